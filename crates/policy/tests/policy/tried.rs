//! A policy tried on requests in order.

use quorate_intent::{Intent, TransactionTerms};
use quorate_policy::{Facts, Policy, Trial};
use quorate_types::U256;

use crate::rig::{
    AGENT, BASE, BASE_SEPOLIA, NOW_S, PAYER, SHOP, address, authorization, transfer, wallet, with,
};

fn trial() -> Trial {
    let body = with(
        "  cumulative: [{ asset: USDC, chain: base-sepolia, max: \"10\", window: { rolling_s: 60 } }]\n",
    );
    Trial::new(Policy::parse(body.as_bytes()).unwrap())
}

fn ask(trial: &mut Trial, key: &str, intent: &Intent) -> Vec<String> {
    let wallet = wallet();
    let facts = Facts::of(&wallet, &AGENT, address(PAYER), intent, NOW_S * 1000);
    trial.ask(key, &facts).into_iter().map(|failure| failure.rule).collect()
}

fn pay(amount: u64, nonce: u64, fee: u64) -> Intent {
    let max_fee_per_gas = U256::from(fee);
    Intent {
        max_native_fee: max_fee_per_gas,
        transaction: Some(TransactionTerms { nonce, gas_limit: 1, max_fee_per_gas }),
        ..transfer(BASE_SEPOLIA, SHOP, amount)
    }
}

const NONE: [&str; 0] = [];

#[test]
fn what_passed_counts_and_what_was_denied_does_not() {
    let mut trial = trial();
    assert_eq!(ask(&mut trial, "a", &pay(6_000_000, 1, 1)), NONE);
    assert_eq!(ask(&mut trial, "b", &pay(6_000_000, 2, 1)), ["cumulative"]);
    assert_eq!(ask(&mut trial, "c", &pay(4_000_000, 3, 1)), NONE);
    assert_eq!(ask(&mut trial, "d", &pay(1, 4, 1)), ["cumulative"]);
    // Asked again under its key, it is the same; given up, it no longer counts.
    assert_eq!(ask(&mut trial, "a", &pay(6_000_000, 1, 1)), NONE);
    trial.give_up("a");
    assert_eq!(ask(&mut trial, "d", &pay(6_000_000, 4, 1)), NONE);
}

#[test]
fn a_replacement_counts_once_and_a_nonce_is_signed_for_once() {
    let mut trial = trial();
    for (key, fee) in [("a", 1), ("b", 2), ("c", 1)] {
        assert_eq!(ask(&mut trial, key, &pay(6_000_000, 1, fee)), NONE);
    }
    assert_eq!(ask(&mut trial, "d", &pay(4_000_001, 2, 1)), ["cumulative"]);
    assert_eq!(ask(&mut trial, "d", &pay(4_000_000, 2, 1)), NONE);
    assert_eq!(ask(&mut trial, "e", &authorization(BASE, SHOP, 1, NOW_S + 60)), NONE);
    assert_eq!(ask(&mut trial, "f", &authorization(BASE, SHOP, 2, NOW_S + 60)), ["authorization_nonce"]);
}
