//! Who must get nothing, whatever other rules allow.

use quorate_intent::Action;
use quorate_types::Address;

use super::{Failure, Question, codes};
use crate::{RuleFailure, words};

pub(super) fn check(question: &Question<'_>) -> Vec<RuleFailure> {
    let intent = question.facts.intent;
    let blocked = counterparties(&intent.action).into_iter().filter_map(|address| {
        let entry = question.policy.blocked().get(&address)?;
        // Where no chain is named, it may be any.
        let here = match (&entry.chains, intent.chain) {
            (None, _) | (_, None) => true,
            (Some(chains), Some(chain)) => chains.contains(&chain),
        };
        here.then_some((address, entry))
    });
    blocked
        .flat_map(|(address, entry)| {
            let requested = match intent.chain {
                Some(chain) => format!("{address} on {}", words::chain(chain)),
                None => address.to_string(),
            };
            let (reason, limit) = ("this address is blocked".to_owned(), entry.label.clone());
            Failure { reason, limit, requested, ..Failure::default() }.of(codes::BLOCKED)
        })
        .collect()
}

/// Every address the payload deals with, the wallet's own apart. Exhaustive: a new action must be decided about here.
fn counterparties(action: &Action) -> Vec<Address> {
    match action {
        Action::NativeTransfer { recipient } => vec![*recipient],
        Action::TokenTransfer { token, recipient, .. } => vec![*token, *recipient],
        Action::TokenTransferFrom { token, owner, recipient, .. } => vec![*token, *owner, *recipient],
        Action::TokenApprove { token, spender, .. } | Action::TokenPermit { token, spender, .. } => {
            vec![*token, *spender]
        }
        Action::ContractCall { to, .. } => vec![*to],
        Action::TypedData(data) => data.domain.verifying_contract.into_iter().collect(),
        Action::PersonalMessage { .. } => Vec::new(),
    }
}
