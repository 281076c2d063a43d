//! The most a transaction may burn as fee.

use quorate_intent::{Action, AssetId};

use super::{Failure, Question, codes};
use crate::{RuleFailure, words};

pub(super) fn check(question: &Question<'_>) -> Vec<RuleFailure> {
    let intent = question.facts.intent;
    // What is no transaction pays no fee, and fails as a kind or on its chain where it is neither allowed.
    let Some(chain) = intent.chain.filter(|_| is_transaction(&intent.action)) else {
        return Vec::new();
    };
    let coin = AssetId::native(chain);
    let (reason, limit) = match question.policy.max_fee().get(&chain) {
        Some(max) if intent.max_native_fee <= *max => return Vec::new(),
        Some(max) => ("the fee may become higher than allowed", words::quantity(coin, *max)),
        None => ("there is no fee limit for this chain, so it takes no transactions", "none".to_owned()),
    };
    let requested = format!("{} on {}", words::quantity(coin, intent.max_native_fee), words::chain(chain));
    Failure { reason: reason.to_owned(), limit, requested, ..Failure::default() }.of(codes::MAX_FEE)
}

/// Exhaustive: a new action must be decided about here.
const fn is_transaction(action: &Action) -> bool {
    match action {
        Action::NativeTransfer { .. }
        | Action::TokenTransferFrom { .. }
        | Action::TokenApprove { .. }
        | Action::ContractCall { .. } => true,
        Action::TokenTransfer { authorization, .. } => authorization.is_none(),
        Action::TokenPermit { .. } | Action::TypedData(_) | Action::PersonalMessage { .. } => false,
    }
}
