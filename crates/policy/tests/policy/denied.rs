//! How denials are told: every failing rule, in one order, in human units.

use quorate_intent::{Action, Domain, Intent, TypedData, TypedValue};
use quorate_policy::{Decision, Full};
use quorate_types::{B256, Bytes, U256};

use crate::rig::{
    BASE, BASE_SEPOLIA, NOW_S, PAYER, POLICY, POLYGON, SHOP, STRANGER, address, authorization, codes, decide,
    decide_at, failures, other, signed, swap, transfer, usdc,
};

fn told(decision: Decision<Full>) -> Vec<String> {
    failures(decision).iter().map(ToString::to_string).collect()
}

#[test]
fn without_a_policy_nothing_is_signed() {
    let decision = decide_at(None, &transfer(BASE_SEPOLIA, SHOP, 1), NOW_S * 1000);
    let Decision::Deny(denial) = decision else { panic!("allowed") };
    assert_eq!(denial.policy_hash, None);
    assert_eq!(
        denial.to_string(),
        "denied by policy: no_policy: wallet agent-1 has no policy, and without one nothing is signed (limit none, \
         requested any signature)"
    );
}

#[test]
fn a_denial_names_the_policy_that_decided() {
    let policy = signed(POLICY);
    let decision = decide_at(Some(&policy), &transfer(BASE, STRANGER, 1), NOW_S * 1000);
    let Decision::Deny(denial) = decision else { panic!("allowed") };
    assert_eq!(denial.policy_hash, Some(policy.hash()));
}

#[test]
fn every_failing_rule_is_listed_in_human_units() {
    let body = swap("wallet: agent-1", "wallet: agent-2");
    let mut intent = authorization(POLYGON, STRANGER, 30_500_000, NOW_S + 7200);
    intent.signer = Some(address(SHOP));
    let expected = [
        "wallet: the policy is for another wallet (limit agent-2, requested agent-1)".to_owned(),
        "chains: this chain is not allowed (limit base, base-sepolia, requested polygon)".to_owned(),
        format!(
            "signer_mismatch: the payload is for another address to sign (limit {PAYER}, requested {SHOP})"
        ),
        format!(
            "recipients: this recipient is not on the list (limit 2 recipients, requested {STRANGER} on polygon)"
        ),
        "per_transaction: more than one signature may move (limit 5 USDC, requested 30.5 USDC on polygon)"
            .to_owned(),
        "max_authorization_lifetime_s: the authorization would stay usable for too long (limit 3600 s, \
         requested 7200 s)"
            .to_owned(),
    ];
    assert_eq!(told(decide(&body, &intent)), expected);
}

#[test]
fn fees_and_coins_are_told_in_whole_coins() {
    let mut intent = crate::rig::native(BASE_SEPOLIA, SHOP, 15_000_000_000_000_000);
    intent.max_native_fee = U256::from(2_000_000_000_000_001u64);
    assert_eq!(
        told(decide(POLICY, &intent)),
        [
            "per_transaction: more than one signature may move (limit 0.01 ETH, requested 0.015 ETH on \
             base-sepolia)",
            "max_fee: the fee may become higher than allowed (limit 0.002 ETH, requested 0.002000000000000001 ETH \
             on base-sepolia)",
        ]
    );
    assert_eq!(
        told(decide(POLICY, &transfer(BASE, SHOP, 1))),
        [
            "max_fee: there is no fee limit for this chain, so it takes no transactions (limit none, requested \
          0.001 ETH on base)"
        ]
    );
}

#[test]
fn times_are_told_to_the_millisecond() {
    let policy = signed(POLICY);
    let intent = authorization(BASE, SHOP, 1, NOW_S + 3601);
    assert_eq!(
        told(decide_at(Some(&policy), &intent, NOW_S * 1000 + 1)),
        ["max_authorization_lifetime_s: the authorization would stay usable for too long (limit 3600 s, \
          requested 3600.999 s)"]
    );
    assert_eq!(
        told(decide_at(Some(&policy), &authorization(BASE, SHOP, 1, NOW_S), NOW_S * 1000)),
        [format!(
            "max_authorization_lifetime_s: the authorization is over (limit 3600 s, requested an end at {NOW_S} Unix \
             seconds)"
        )]
    );
}

#[test]
fn kinds_nothing_can_allow_are_denied_whoever_is_paid() {
    let token = usdc(BASE_SEPOLIA);
    let (shop, owner, amount) = (address(SHOP), address(PAYER), U256::from(1));
    let action = Action::TokenTransferFrom { token, owner, recipient: shop, amount };
    let failures = failures(decide(POLICY, &other(BASE_SEPOLIA, action)));
    // Everything else about it would do: the kind alone is refused.
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert_eq!(failures[0].rule, "kind");
    assert_eq!(failures[0].reason, "no rule of this policy version can allow a token transferFrom");
}

#[test]
fn kinds_without_a_line_are_denied_by_the_rule_that_could_have_one() {
    let shop = address(SHOP);
    let typed = TypedData {
        domain: Domain::default(),
        separator: B256::ZERO,
        primary_type: "Order".to_owned(),
        type_hash: B256::ZERO,
        struct_hash: B256::ZERO,
        message: TypedValue::Struct(vec![]),
    };
    for (action, code) in [
        (Action::ContractCall { to: shop, selector: None, data: Bytes::new() }, "calls"),
        (Action::TypedData(Box::new(typed)), "typed_data"),
        (Action::PersonalMessage { bytes: Bytes::new(), text: None }, "messages"),
    ] {
        assert_eq!(codes(&other(BASE_SEPOLIA, action)), [code]);
    }
}

#[test]
fn value_sent_along_with_a_call_is_capped_and_its_target_must_be_known() {
    let call = Action::ContractCall { to: address(STRANGER), selector: None, data: Bytes::new() };
    let mut intent = other(BASE_SEPOLIA, call);
    intent.native_value = U256::from(10u64.pow(17));
    assert_eq!(codes(&intent), ["recipients", "calls", "per_transaction"]);
}

#[test]
fn what_names_no_chain_is_on_no_chain() {
    let mut message = other(BASE, Action::PersonalMessage { bytes: Bytes::new(), text: None });
    message.chain = None;
    assert_eq!(codes(&message), ["messages"]);
    // `decode` never makes this one; were it to, it is denied and not charged as nothing.
    let transfer = Intent { chain: None, ..transfer(BASE, SHOP, 1) };
    assert_eq!(codes(&transfer), ["chains", "per_transaction"]);
}

#[test]
fn an_authorization_that_names_no_signer_is_denied() {
    let intent = Intent { signer: None, ..authorization(BASE, SHOP, 1, NOW_S + 60) };
    assert_eq!(codes(&intent), ["signer_mismatch"]);
}

#[test]
fn an_unknown_token_is_denied_under_any_line() {
    let mut intent = transfer(BASE_SEPOLIA, SHOP, 1);
    // The address of USDC on another chain is nobody's here.
    if let Action::TokenTransfer { token, .. } = &mut intent.action {
        *token = usdc(BASE);
    }
    let failures = failures(decide(POLICY, &intent));
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].rule, "per_transaction");
    assert_eq!(failures[0].requested, format!("1 base units of {} on base-sepolia", usdc(BASE)));
}
