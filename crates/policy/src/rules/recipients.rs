//! Who may be paid.

use super::{Failure, Question, codes};
use crate::{RuleFailure, words};

pub(super) fn check(question: &Question<'_>) -> Vec<RuleFailure> {
    let intent = question.facts.intent;
    // Spenders have lines of their own; other kinds that name no recipient are refused as kinds.
    let Some(address) = intent.recipient() else {
        return Vec::new();
    };
    let recipients = question.policy.recipients();
    let (reason, limit) = match recipients.get(&address).map(|recipient| &recipient.chains) {
        None => {
            let limit = match recipients.len() {
                1 => "1 recipient".to_owned(),
                count => format!("{count} recipients"),
            };
            ("this recipient is not on the list", limit)
        }
        Some(None) => return Vec::new(),
        Some(Some(chains)) if intent.chain.is_some_and(|chain| chains.contains(&chain)) => return Vec::new(),
        Some(Some(chains)) => ("this recipient is not on the list for this chain", words::chains(chains)),
    };
    let requested = match intent.chain {
        Some(chain) => format!("{address} on {}", words::chain(chain)),
        None => address.to_string(),
    };
    Failure { reason: reason.to_owned(), limit, requested, ..Failure::default() }.of(codes::RECIPIENTS)
}
