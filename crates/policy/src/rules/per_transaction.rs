//! The most of each asset one signature may move.

use quorate_intent::Charge;

use super::{Failure, Question, codes};
use crate::{RuleFailure, words};

pub(super) fn check(question: &Question<'_>) -> Vec<RuleFailure> {
    match question.facts.intent.charges() {
        Ok(charges) => charges.iter().flat_map(|charge| check_charge(question, charge)).collect(),
        Err(error) => {
            let (limit, requested) = ("none".to_owned(), "an amount that cannot be told".to_owned());
            Failure { reason: error.to_string(), limit, requested, ..Failure::default() }
                .of(codes::PER_TRANSACTION)
        }
    }
}

fn check_charge(question: &Question<'_>, charge: &Charge) -> Vec<RuleFailure> {
    let asset = charge.asset;
    let (reason, limit) = match question.policy.per_transaction().get(&asset) {
        Some(max) if charge.amount <= *max => return Vec::new(),
        Some(max) => ("more than one signature may move", words::quantity(asset, *max)),
        None => ("there is no line for this asset on this chain", "none".to_owned()),
    };
    let requested = format!("{} on {}", words::quantity(asset, charge.amount), words::chain(asset.chain));
    Failure { reason: reason.to_owned(), limit, requested, ..Failure::default() }.of(codes::PER_TRANSACTION)
}
