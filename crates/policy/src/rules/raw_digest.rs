//! Raw digests, by wallets that sign nothing else.

use quorate_intent::Action;

use super::{Failure, Question, codes};
use crate::RuleFailure;

/// Wallet, policy and payload must all three be of this sort, or none of them.
pub(super) fn check(question: &Question<'_>) -> Vec<RuleFailure> {
    let (facts, line) = (question.facts, question.policy.raw_digest());
    let asked = matches!(facts.intent.action, Action::RawDigest { .. });
    let reason = match (facts.raw_digest, asked, line.is_some()) {
        (true, true, true) | (false, false, false) => return Vec::new(),
        (false, true, _) => "the wallet was not created to sign raw digests",
        (true, false, _) => "the wallet signs raw digests and nothing else",
        (true, true, false) => "the policy has no line for raw digests",
        (false, false, true) => "the policy is for a wallet that was created to sign raw digests",
    };
    let limit = line.map_or("none", |tier| tier.as_str()).to_owned();
    let requested = facts.intent.summary();
    Failure { reason: reason.to_owned(), limit, requested, ..Failure::default() }.of(codes::RAW_DIGEST)
}
