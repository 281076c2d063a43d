//! Chains the wallet may act on.

use quorate_intent::Action;

use super::{Failure, Question, codes};
use crate::{RuleFailure, words};

pub(super) fn check(question: &Question<'_>) -> Vec<RuleFailure> {
    let allowed = question.policy.chains();
    let (reason, requested) = match question.facts.intent.chain {
        Some(chain) if allowed.contains(&chain) => return Vec::new(),
        Some(chain) => ("this chain is not allowed", words::chain(chain)),
        // Of these a line says so, or there is none.
        None if matches!(
            question.facts.intent.action,
            Action::TypedData(_) | Action::PersonalMessage { .. } | Action::RawDigest { .. }
        ) =>
        {
            return Vec::new();
        }
        None => ("the payload names no chain", "no chain".to_owned()),
    };
    let limit = words::chains(allowed);
    Failure { reason: reason.to_owned(), limit, requested, ..Failure::default() }.of(codes::CHAINS)
}
