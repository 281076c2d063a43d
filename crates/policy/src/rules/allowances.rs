//! Who may be allowed to take tokens later, and how many: ERC-20 `approve` and EIP-2612 permits.

use quorate_intent::{Action, AssetId};
use quorate_types::U256;

use super::{Failure, Question, codes};
use crate::{RuleFailure, words};

pub(super) fn check(question: &Question<'_>) -> Vec<RuleFailure> {
    let intent = question.facts.intent;
    let (token, spender, amount) = match &intent.action {
        Action::TokenApprove { token, spender, amount }
        | Action::TokenPermit { token, spender, amount, .. } => (*token, *spender, *amount),
        _ => return Vec::new(),
    };
    let Some(asset) = intent.chain.map(|chain| AssetId::token(chain, token)) else {
        return Failure {
            reason: "the allowance names no chain".to_owned(),
            limit: "none".to_owned(),
            requested: format!("an allowance for {spender}"),
            ..Failure::default()
        }
        .of(codes::ALLOWANCES);
    };
    let (reason, limit) = match question.policy.allowances().get(&(asset, spender)) {
        Some(line) if amount <= line.max => return Vec::new(),
        Some(line) => ("more than this spender may be allowed", words::quantity(asset, line.max)),
        None => ("there is no line for an allowance of this asset to this spender", "none".to_owned()),
    };
    // What wallets mean by no limit at all.
    let asked = if amount == U256::MAX { "unlimited".to_owned() } else { words::quantity(asset, amount) };
    let requested = format!("{asked} for {spender} on {}", words::chain(asset.chain));
    Failure { reason: reason.to_owned(), limit, requested, ..Failure::default() }.of(codes::ALLOWANCES)
}
