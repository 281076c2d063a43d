//! Fees: in all, per gas, in gas, and counted with the coin.

use quorate_intent::{Intent, TransactionTerms};
use quorate_policy::{Counted, Decision, Past, Policy};
use quorate_types::U256;

use crate::rig::{
    BASE_SEPOLIA, Done, NOW_S, SHOP, allows, asset, authorization, decide, decide_after, failures, native,
    swap, transfer, with,
};

const GWEI: u64 = 1_000_000_000;

fn body() -> String {
    swap(
        "{ chain: base-sepolia, max: \"0.002\" }",
        "{ chain: base-sepolia, max: \"0.002\", max_per_gas_gwei: \"2.5\", max_gas: 100000 }",
    )
}

fn with_terms(gas_limit: u64, max_fee_per_gas: u64) -> Intent {
    let max_fee_per_gas = U256::from(max_fee_per_gas);
    Intent {
        max_native_fee: max_fee_per_gas * U256::from(gas_limit),
        transaction: Some(TransactionTerms { nonce: 0, gas_limit, max_fee_per_gas }),
        ..transfer(BASE_SEPOLIA, SHOP, 1)
    }
}

fn told(intent: &Intent) -> Vec<String> {
    failures(decide(&body(), intent)).iter().map(ToString::to_string).collect()
}

#[test]
fn gas_and_its_price_hold_to_the_last_unit() {
    let price = 5 * GWEI / 2;
    assert!(allows(&body(), &with_terms(100_000, price)));
    assert_eq!(
        told(&with_terms(100_000, price + 1)),
        [
            "max_fee: the price per gas may become higher than allowed (limit 2.5 gwei, requested 2.500000001 gwei on base-sepolia)"
        ]
    );
    assert_eq!(
        told(&with_terms(100_001, price)),
        [
            "max_fee: it may use more gas than allowed (limit 100000 gas, requested 100001 gas on base-sepolia)"
        ]
    );
    assert_eq!(told(&with_terms(1_000_000, 3 * GWEI)).len(), 3);
    // A limit for what a transaction does not say denies; an authorization has neither.
    let untold = Intent { transaction: None, ..with_terms(1, 1) };
    assert_eq!(told(&untold).len(), 2);
    assert!(told(&untold)[0].contains("requested an amount that cannot be told"));
    assert!(allows(&body(), &authorization(BASE_SEPOLIA, SHOP, 1, NOW_S + 60)));
}

fn coin_limit(fees: &str) -> String {
    with(&format!(
        "  cumulative: [{{ asset: ETH, chain: base-sepolia, max: \"0.005\"{fees}, window: {{ rolling_s: 60 }} }}]\n"
    ))
}

fn milli(amount: u64) -> U256 {
    U256::from(amount * 10u64.pow(15))
}

fn done(rows: &[(Counted, u64, u64)]) -> Done {
    let past = |(counted, at, amount): &(Counted, u64, u64)| {
        (*counted, Past { at: NOW_S * 1000 - at, amount: milli(*amount), payee: None })
    };
    Done(rows.iter().map(past).collect(), vec![])
}

#[test]
fn fees_count_with_the_coin_where_the_line_says_so() {
    let coin = Counted::Asset(asset(BASE_SEPOLIA, None));
    let fee = Counted::Fee(BASE_SEPOLIA);
    let before = done(&[(coin, 50_000, 1), (fee, 40_000, 2)]);
    let allowed = |body: &str, intent: &Intent| {
        matches!(decide_after(&before, body, intent, NOW_S * 1000), Decision::Allow(_))
    };
    // 1 moved and 2 burnt before, each transaction below may burn 1.
    let counted = coin_limit(", fees: true");
    assert!(allowed(&counted, &native(BASE_SEPOLIA, SHOP, 10u64.pow(15))));
    assert!(!allowed(&counted, &native(BASE_SEPOLIA, SHOP, 10u64.pow(15) + 1)));
    assert!(allowed(&coin_limit(""), &native(BASE_SEPOLIA, SHOP, 4 * 10u64.pow(15))));
    assert!(!allowed(&coin_limit(""), &native(BASE_SEPOLIA, SHOP, 4 * 10u64.pow(15) + 1)));
    // A transfer of tokens moves no coin and burns it.
    let tokens = |fee: u64| Intent { max_native_fee: milli(fee), ..transfer(BASE_SEPOLIA, SHOP, 1) };
    assert!(allowed(&counted, &tokens(2)));
    let over = Intent { max_native_fee: milli(2) + U256::ONE, ..tokens(2) };
    assert!(allowed(&coin_limit(""), &tokens(2)));
    let refused = failures(decide_after(&before, &counted, &over, NOW_S * 1000));
    assert!(refused.iter().any(|failure| failure.rule == "cumulative"
        && failure.limit == "0.005 ETH fees included in any 60 s"
        && failure.used.as_deref() == Some("0.003 ETH")
        // The oldest of both kinds leaves first, and is enough.
        && failure.resets_at_ms == Some(NOW_S * 1000 + 10_000)));
    // What pays no fee is not asked.
    assert!(allowed(&counted, &authorization(BASE_SEPOLIA, SHOP, 1, NOW_S + 60)));
}

#[test]
fn a_sum_beyond_256_bits_denies() {
    let intent = Intent { max_native_fee: U256::MAX, ..native(BASE_SEPOLIA, SHOP, 1) };
    let refused = failures(decide(&coin_limit(", fees: true"), &intent));
    assert!(refused.iter().any(|failure| failure.rule == "cumulative"
        && failure.reason == "what it moves cannot be told, so no limit can hold"));
}

#[test]
fn lines_are_refused_by_field() {
    let refusal = |body: &str| Policy::parse(body.as_bytes()).unwrap_err().to_string();
    assert_eq!(
        refusal(&body().replace("\"2.5\"", "\"2.5000000001\"")),
        "rules.max_fee[0].max_per_gas_gwei: at most 9 digits after the point, got 10"
    );
    assert_eq!(
        refusal(&with(
            "  cumulative: [{ asset: USDC, chain: base, max: \"1\", fees: true, window: { rolling_s: 60 } }]\n"
        )),
        "rules.cumulative[0].fees: fees are paid in the chain's own coin only"
    );
    // With and without fees are two limits.
    let two = "  cumulative: [{ asset: ETH, chain: base, max: \"1\", fees: true, window: { rolling_s: 60 } }, \
               { asset: ETH, chain: base, max: \"1\", window: { rolling_s: 60 } }]\n";
    assert!(Policy::parse(with(two).as_bytes()).is_ok());
}
