//! Who must get nothing, whatever other rules allow.

use std::collections::BTreeSet;

use quorate_intent::{Action, TypedValue};
use quorate_types::Address;

use super::{Failure, Question, codes};
use crate::{RuleFailure, words};

pub(super) fn check(question: &Question<'_>) -> Vec<RuleFailure> {
    let intent = question.facts.intent;
    if question.policy.blocked().is_empty() {
        return Vec::new();
    }
    let counterparties: BTreeSet<Address> = counterparties(&intent.action).into_iter().collect();
    let blocked = counterparties.into_iter().filter_map(|address| {
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
        Action::ContractCall { to, data, .. } => std::iter::once(*to).chain(in_calldata(data)).collect(),
        Action::TypedData(data) => {
            let mut found = data.domain.verifying_contract.into_iter().collect();
            in_message(&data.message, &mut found);
            found
        }
        // No policy has both, and nobody can say whom 32 bytes deal with.
        Action::SignIn(_) | Action::PersonalMessage { .. } | Action::RawDigest { .. } => Vec::new(),
    }
}

/// Whatever in calldata could be an address, at any place where a call inside it could have one.
fn in_calldata(data: &[u8]) -> impl Iterator<Item = Address> {
    let words = data.windows(32).filter(|word| word.iter().take(12).all(|byte| *byte == 0));
    words.filter_map(|word| word.last_chunk::<20>().map(Address::from))
}

fn in_message(value: &TypedValue, found: &mut Vec<Address>) {
    match value {
        TypedValue::Address(address) => found.push(*address),
        TypedValue::Array(values) => values.iter().for_each(|value| in_message(value, found)),
        TypedValue::Struct(fields) => fields.iter().for_each(|(_, value)| in_message(value, found)),
        // Calls, and addresses of other chains, travel as bytes; a word that could be an address may be read as one.
        TypedValue::Bytes(bytes) => {
            found.extend(in_calldata(bytes));
            found.extend(<[u8; 20]>::try_from(bytes.as_ref()).ok().map(Address::from));
        }
        TypedValue::Uint(number) => found.extend(in_calldata(&number.to_be_bytes::<32>())),
        TypedValue::Bool(_) | TypedValue::Int(_) | TypedValue::Text(_) => {}
    }
}
