//! What the policy allows, and exactly up to where.

use quorate_intent::{Charge, Intent};
use quorate_policy::{Decision, SignedPolicy};
use quorate_types::U256;

use crate::rig::{
    BASE, BASE_SEPOLIA, LANDLORD, NOW_S, POLICY, SHOP, allows, asset, authorization, codes, decide,
    decide_at, native, signed, swap, transfer, usdc, wallet,
};

#[test]
fn an_approval_says_what_was_approved() {
    let policy = signed(POLICY);
    let intent = transfer(BASE_SEPOLIA, SHOP, 25_000_000);
    let Decision::Allow(approval) = decide_at(Some(&policy), &intent, NOW_S * 1000) else { panic!("denied") };
    assert_eq!(approval.policy_hash(), policy.hash());
    assert_eq!(approval.policy_version(), 3);
    assert_eq!(approval.wallet(), &wallet());
    let charge =
        Charge { asset: asset(BASE_SEPOLIA, Some(usdc(BASE_SEPOLIA))), amount: U256::from(25_000_000) };
    assert_eq!(approval.charges(), [charge]);
}

#[test]
fn caps_hold_to_the_last_base_unit() {
    assert!(allows(POLICY, &transfer(BASE_SEPOLIA, SHOP, 25_000_000)));
    assert_eq!(codes(&transfer(BASE_SEPOLIA, SHOP, 25_000_001)), ["per_transaction"]);
    assert!(allows(POLICY, &transfer(BASE_SEPOLIA, SHOP, 0)));
    assert!(allows(POLICY, &native(BASE_SEPOLIA, SHOP, 10u64.pow(16))));
    assert_eq!(codes(&native(BASE_SEPOLIA, SHOP, 10u64.pow(16) + 1)), ["per_transaction"]);
    assert!(allows(POLICY, &authorization(BASE, LANDLORD, 5_000_000, NOW_S + 60)));
    assert_eq!(codes(&authorization(BASE, LANDLORD, 5_000_001, NOW_S + 60)), ["per_transaction"]);
}

#[test]
fn the_coin_may_be_called_native() {
    let body = swap("asset: ETH", "asset: native");
    assert!(allows(&body, &native(BASE_SEPOLIA, SHOP, 10u64.pow(16))));
    assert!(!allows(&body, &native(BASE_SEPOLIA, SHOP, 10u64.pow(16) + 1)));
}

#[test]
fn an_asset_without_a_line_does_not_move_not_even_nothing_of_it() {
    // Native on Base has neither a cap nor a fee limit.
    assert_eq!(codes(&native(BASE, SHOP, 0)), ["per_transaction", "max_fee"]);
}

#[test]
fn the_fee_limit_holds_to_the_last_wei_and_for_transactions_only() {
    let at = |fee: u64| Intent { max_native_fee: U256::from(fee), ..transfer(BASE_SEPOLIA, SHOP, 1) };
    assert!(allows(POLICY, &at(2 * 10u64.pow(15))));
    assert_eq!(codes(&at(2 * 10u64.pow(15) + 1)), ["max_fee"]);
    // A chain without a line takes no transaction, not even a free one; an authorization is none.
    let free = Intent { max_native_fee: U256::ZERO, ..transfer(BASE, SHOP, 1) };
    assert_eq!(codes(&free), ["max_fee"]);
    assert!(allows(POLICY, &authorization(BASE, SHOP, 1, NOW_S + 60)));
}

#[test]
fn recipients_hold_to_their_chains() {
    assert!(allows(POLICY, &authorization(BASE, LANDLORD, 1, NOW_S + 60)));
    assert_eq!(codes(&authorization(BASE_SEPOLIA, LANDLORD, 1, NOW_S + 60)), ["recipients"]);
    let nowhere = swap("label: landlord, chains: [base]", "label: landlord, chains: []");
    assert!(!allows(&nowhere, &authorization(BASE, LANDLORD, 1, NOW_S + 60)));
}

#[test]
fn authorizations_live_to_the_last_millisecond() {
    let policy = signed(POLICY);
    let decide = |valid_before: u64, now_ms: u64| {
        let intent = authorization(BASE, SHOP, 1, valid_before);
        matches!(decide_at(Some(&policy), &intent, now_ms), Decision::Allow(_))
    };
    let now = NOW_S * 1000;
    assert!(decide(NOW_S + 3600, now));
    assert!(decide(NOW_S + 3600, now + 999));
    assert!(!decide(NOW_S + 3601, now));
    assert!(decide(NOW_S + 3601, now + 1000));
    assert!(!decide(NOW_S + 3601, now + 999));
    // Strictly before its end, and not a moment later.
    assert!(decide(NOW_S, now - 1));
    assert!(!decide(NOW_S, now));
    assert!(!decide(NOW_S, now + 1));
    assert!(!decide(u64::MAX, now));
    assert!(!decide(u64::MAX, u64::MAX));
    assert!(!decide(NOW_S, 0));
}

#[test]
fn an_authorization_may_begin_later_but_not_after_its_end() {
    let mut intent = authorization(BASE, SHOP, 1, NOW_S + 60);
    intent.validity.not_before_s = Some(NOW_S + 59);
    assert!(allows(POLICY, &intent));
    intent.validity.not_before_s = Some(NOW_S + 60);
    assert_eq!(codes(&intent), ["max_authorization_lifetime_s"]);
    intent.validity.not_after_s = None;
    assert_eq!(codes(&intent), ["max_authorization_lifetime_s"]);
}

#[test]
fn without_a_line_no_authorization_is_signed() {
    let body = swap("  max_authorization_lifetime_s: 3600\n", "");
    assert!(!allows(&body, &authorization(BASE, SHOP, 1, NOW_S + 1)));
    assert!(allows(&body, &transfer(BASE_SEPOLIA, SHOP, 1)));
}

#[test]
fn another_wallets_policy_allows_nothing() {
    let body = swap("wallet: agent-1", "wallet: agent-2");
    let failures = crate::rig::failures(decide(&body, &transfer(BASE_SEPOLIA, SHOP, 1)));
    assert_eq!(failures.len(), 1);
    assert_eq!(
        failures[0].to_string(),
        "wallet: the policy is for another wallet (limit agent-2, requested agent-1)"
    );
}

#[test]
fn a_restored_policy_decides_alike() {
    let policy = signed(POLICY);
    let restored = SignedPolicy::restore(policy.document(), policy.hash()).unwrap();
    let intent = transfer(BASE_SEPOLIA, SHOP, 1);
    assert_eq!(decide_at(Some(&policy), &intent, 0), decide_at(Some(&restored), &intent, 0));
}
