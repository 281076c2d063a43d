//! The most a transaction may burn as fee: in all, per gas, and in gas.

use quorate_intent::{Action, AssetId, TransactionTerms};
use quorate_types::U256;

use super::{Failure, Question, codes};
use crate::{Fee, RuleFailure, words};

pub(super) fn check(question: &Question<'_>) -> Vec<RuleFailure> {
    let intent = question.facts.intent;
    // What is no transaction pays no fee, and fails as a kind or on its chain where it is neither allowed.
    let Some(chain) = intent.chain.filter(|_| is_transaction(&intent.action)) else {
        return Vec::new();
    };
    let coin = AssetId::native(chain);
    let fee = words::quantity(coin, intent.max_native_fee);
    let fail = |reason: &str, limit: String, requested: String| {
        let requested = format!("{requested} on {}", words::chain(chain));
        Failure { reason: reason.to_owned(), limit, requested, ..Failure::default() }.of(codes::MAX_FEE)
    };
    let Some(line) = question.policy.max_fee().get(&chain) else {
        let reason = "there is no fee limit for this chain, so it takes no transactions";
        return fail(reason, "none".to_owned(), fee);
    };
    let mut failures = Vec::new();
    if intent.max_native_fee > line.max {
        let limit = words::quantity(coin, line.max);
        failures.extend(fail("the fee may become higher than allowed", limit, fee));
    }
    failures.extend(
        excess(line, intent.transaction.as_ref())
            .into_iter()
            .flat_map(|(reason, limit, requested)| fail(reason, limit, requested)),
    );
    failures
}

/// What is too much of gas and of its price: reason, limit and what was asked.
fn excess(line: &Fee, terms: Option<&TransactionTerms>) -> Vec<(&'static str, String, String)> {
    let price = line.max_per_gas.map(|max| {
        let asked = terms.map(|terms| terms.max_fee_per_gas);
        ("the price per gas may become higher than allowed", max, asked, words::gwei as fn(U256) -> String)
    });
    let gas = line.max_gas.map(|max| {
        let asked = terms.map(|terms| U256::from(terms.gas_limit));
        ("it may use more gas than allowed", U256::from(max), asked, words::gas as fn(U256) -> String)
    });
    let exceeded =
        price.into_iter().chain(gas).filter(|(_, max, asked, _)| asked.is_none_or(|asked| asked > *max));
    let told = exceeded.map(|(reason, max, asked, words)| {
        (reason, words(max), asked.map_or_else(|| "an amount that cannot be told".to_owned(), words))
    });
    told.collect()
}

/// Exhaustive: a new action must be decided about here.
const fn is_transaction(action: &Action) -> bool {
    match action {
        Action::NativeTransfer { .. }
        | Action::TokenTransferFrom { .. }
        | Action::TokenApprove { .. }
        | Action::ContractCall { .. } => true,
        Action::TokenTransfer { authorization, .. } => authorization.is_none(),
        Action::TokenPermit { .. }
        | Action::TypedData(_)
        | Action::SignIn(_)
        | Action::PersonalMessage { .. }
        | Action::RawDigest { .. } => false,
    }
}
