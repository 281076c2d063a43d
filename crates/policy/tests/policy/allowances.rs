//! Allowances: by `approve` and by permit, to whom and up to where.

use quorate_intent::{Action, Intent, Validity};
use quorate_policy::Policy;
use quorate_types::{Address, U256};

use crate::rig::{
    BASE_SEPOLIA, LANDLORD, NOW_S, PAYER, POLICY, SHOP, STRANGER, address, allows, decide, failures, other,
    usdc, with,
};

const ROUTER: &str = LANDLORD;

fn body() -> String {
    with(&format!(
        "  allowances: [{{ asset: USDC, chain: base-sepolia, spender: \"{ROUTER}\", label: router, max: \"10\" }}]\n"
    ))
}

fn approve(spender: &str, amount: U256) -> Intent {
    let action = Action::TokenApprove { token: usdc(BASE_SEPOLIA), spender: address(spender), amount };
    Intent { max_native_fee: U256::from(10u64.pow(15)), ..other(BASE_SEPOLIA, action) }
}

fn permit(spender: &str, amount: U256, deadline: u64) -> Intent {
    let owner = address(PAYER);
    let token = usdc(BASE_SEPOLIA);
    let action = Action::TokenPermit { token, owner, spender: address(spender), amount, nonce: U256::ZERO };
    let validity = Validity { not_before_s: None, not_after_s: Some(deadline) };
    Intent { signer: Some(owner), validity, ..other(BASE_SEPOLIA, action) }
}

fn codes(body: &str, intent: &Intent) -> Vec<String> {
    failures(decide(body, intent)).into_iter().map(|failure| failure.rule).collect()
}

#[test]
fn a_spender_on_the_list_may_be_allowed_up_to_the_last_base_unit() {
    let ten = U256::from(10_000_000);
    for intent in [approve(ROUTER, ten), permit(ROUTER, ten, NOW_S + 60), approve(ROUTER, U256::ZERO)] {
        assert!(allows(&body(), &intent), "{intent:?}");
    }
    let over = ten + U256::ONE;
    for intent in [approve(ROUTER, over), permit(ROUTER, over, NOW_S + 60)] {
        let failure = failures(decide(&body(), &intent)).remove(0);
        assert_eq!(
            failure.to_string(),
            format!(
                "allowances: more than this spender may be allowed (limit 10 USDC, requested 10.000001 USDC for {ROUTER} on \
                 base-sepolia)"
            )
        );
    }
}

#[test]
fn nobody_else_is_allowed_anything_not_even_a_recipient() {
    for spender in [SHOP, STRANGER] {
        for intent in [approve(spender, U256::ZERO), permit(spender, U256::ONE, NOW_S + 60)] {
            assert_eq!(codes(&body(), &intent), ["allowances"]);
            assert_eq!(codes(POLICY, &intent), ["allowances"]);
        }
    }
}

#[test]
fn an_unlimited_allowance_is_refused_by_name() {
    for intent in [approve(ROUTER, U256::MAX), permit(ROUTER, U256::MAX, NOW_S + 60)] {
        let failures = failures(decide(&body(), &intent));
        assert_eq!(failures[0].rule, "allowances");
        assert_eq!(failures[0].requested, format!("unlimited for {ROUTER} on base-sepolia"));
    }
}

#[test]
fn the_other_rules_hold_for_allowances_too() {
    let ten = U256::from(10_000_000);
    // Another token than USDC, another chain, a fee too high.
    let mut foreign = approve(ROUTER, ten);
    if let Action::TokenApprove { token, .. } = &mut foreign.action {
        *token = Address::repeat_byte(7);
    }
    assert_eq!(codes(&body(), &foreign), ["allowances", "per_transaction"]);
    let nowhere = Intent { chain: None, ..approve(ROUTER, ten) };
    assert_eq!(codes(&body(), &nowhere), ["chains", "allowances", "per_transaction"]);
    let dear = Intent { max_native_fee: U256::MAX, ..approve(ROUTER, ten) };
    assert_eq!(codes(&body(), &dear), ["max_fee"]);
    // A permit by another owner, by nobody, and one that is over or lasts too long. Its deadline is its last second.
    let by = |signer| Intent { signer, ..permit(ROUTER, ten, NOW_S + 60) };
    assert_eq!(codes(&body(), &by(Some(address(SHOP)))), ["signer_mismatch"]);
    assert_eq!(codes(&body(), &by(None)), ["signer_mismatch"]);
    assert!(allows(&body(), &permit(ROUTER, ten, NOW_S)));
    assert_eq!(codes(&body(), &permit(ROUTER, ten, NOW_S - 1)), ["max_authorization_lifetime_s"]);
    assert!(allows(&body(), &permit(ROUTER, ten, NOW_S + 3599)));
    assert_eq!(codes(&body(), &permit(ROUTER, ten, NOW_S + 3600)), ["max_authorization_lifetime_s"]);
    assert_eq!(codes(&body(), &permit(ROUTER, ten, u64::MAX)), ["max_authorization_lifetime_s"]);
}

#[test]
fn allowances_count_in_full_and_a_blocked_spender_gets_none() {
    let capped = body()
        + "  cumulative: [{ asset: USDC, chain: base-sepolia, max: \"9\", window: { rolling_s: 60 } }]\n";
    let ten = U256::from(10_000_000);
    assert_eq!(codes(&capped, &approve(ROUTER, ten)), ["cumulative"]);
    assert_eq!(codes(&capped, &permit(ROUTER, ten, NOW_S + 60)), ["cumulative"]);
    let blocked = body() + &format!("  blocked: [{{ address: \"{ROUTER}\", label: x }}]\n");
    assert_eq!(codes(&blocked, &approve(ROUTER, ten)), ["blocked"]);
}

#[test]
fn lines_are_refused_by_field() {
    let refusal = |line: &str| {
        let body = with(&format!("  allowances: [{{ {line} }}]\n"));
        Policy::parse(body.as_bytes()).unwrap_err().to_string()
    };
    let usdc = "asset: USDC, chain: base";
    let router = format!("spender: \"{ROUTER}\", label: x");
    for (line, expected) in [
        (format!("asset: ETH, chain: base, {router}, max: \"1\""), ".asset: only tokens have allowances"),
        (format!("asset: USDC, chain: moon, {router}, max: \"1\""), ".chain: no chain is called \"moon\""),
        (
            format!("{usdc}, spender: \"0x1\", label: x, max: \"1\""),
            ".spender: expected 0x and 40 hex digits",
        ),
        (
            format!("{usdc}, spender: \"{ROUTER}\", label: \"\", max: \"1\""),
            ".label: must be 1 to 64 characters",
        ),
        (
            format!("{usdc}, {router}, max: \"39614081257132168796771.975168\""),
            ".max: so much is as good as unlimited",
        ),
        (format!("{usdc}, {router}, max: \"1\" }}, {{ {usdc}, {router}, max: \"2\""), ""),
    ] {
        let expected = if expected.is_empty() {
            "rules.allowances[1]: USDC on base has a line for this spender already".to_owned()
        } else {
            format!("rules.allowances[0]{expected}")
        };
        assert_eq!(refusal(&line), expected, "{line}");
    }
    let most = format!("{usdc}, {router}, max: \"39614081257132168796771.975167\"");
    assert!(Policy::parse(with(&format!("  allowances: [{{ {most} }}]\n")).as_bytes()).is_ok());
}
