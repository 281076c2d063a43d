//! Who gets nothing, whatever else allows it.

use quorate_intent::{Action, Domain, Intent, TypedData, TypedValue};
use quorate_types::{Address, B256, Bytes, U256};

use crate::rig::{
    BASE, BASE_SEPOLIA, LANDLORD, NOW_S, PAYER, SHOP, STRANGER, address, allows, authorization, decide,
    failures, other, transfer, usdc, with,
};

fn blocking(who: &str, chains: &str) -> String {
    with(&format!("  blocked: [{{ address: \"{who}\", label: \"the mixer\"{chains} }}]\n"))
}

fn codes(body: &str, intent: &Intent) -> Vec<String> {
    failures(decide(body, intent)).into_iter().map(|failure| failure.rule).collect()
}

#[test]
fn a_block_wins_over_the_list_of_recipients() {
    let body = blocking(SHOP, "");
    let failure = failures(decide(&body, &transfer(BASE_SEPOLIA, SHOP, 1))).remove(0);
    assert_eq!(
        failure.to_string(),
        format!("blocked: this address is blocked (limit the mixer, requested {SHOP} on base-sepolia)")
    );
    assert!(allows(&body, &authorization(BASE, LANDLORD, 1, NOW_S + 60)));
}

#[test]
fn a_block_holds_on_its_chains_and_wherever_none_is_named() {
    let body = blocking(SHOP, ", chains: [base]");
    assert!(allows(&body, &transfer(BASE_SEPOLIA, SHOP, 1)));
    assert_eq!(codes(&body, &authorization(BASE, SHOP, 1, NOW_S + 60)), ["blocked"]);
    let nowhere = Intent { chain: None, ..transfer(BASE_SEPOLIA, SHOP, 1) };
    assert_eq!(codes(&body, &nowhere), ["chains", "blocked", "per_transaction"]);
    let nothing = blocking(SHOP, ", chains: []");
    assert!(allows(&nothing, &transfer(BASE_SEPOLIA, SHOP, 1)));
}

#[test]
fn everybody_a_payload_deals_with_is_looked_up() {
    let blocked = |who: Address| blocking(&who.to_string(), "");
    let (token, stranger, amount) = (usdc(BASE), address(STRANGER), U256::ONE);
    let (shop, owner) = (address(SHOP), address(PAYER));
    let domain = Domain { verifying_contract: Some(stranger), ..Domain::default() };
    let typed = TypedData {
        domain,
        separator: B256::ZERO,
        primary_type: "Order".to_owned(),
        type_hash: B256::ZERO,
        struct_hash: B256::ZERO,
        message: TypedValue::Struct(vec![]),
    };
    for (action, who) in [
        (Action::NativeTransfer { recipient: stranger }, stranger),
        (Action::TokenTransfer { token, recipient: shop, amount, authorization: None }, token),
        (Action::TokenTransferFrom { token, owner: stranger, recipient: shop, amount }, stranger),
        (Action::TokenTransferFrom { token, owner: shop, recipient: stranger, amount }, stranger),
        (Action::TokenApprove { token, spender: stranger, amount }, stranger),
        (Action::TokenPermit { token, owner, spender: stranger, amount, nonce: U256::ZERO }, stranger),
        (Action::ContractCall { to: stranger, selector: None, data: Bytes::new() }, stranger),
        (Action::TypedData(Box::new(typed.clone())), stranger),
    ] {
        let codes = codes(&blocked(who), &other(BASE, action.clone()));
        assert!(codes.iter().any(|code| code == "blocked"), "{action:?}: {codes:?}");
    }
    // An address of any spelling inside a message: a field of its own, or in the bytes of a call, or as a number.
    let word = stranger.into_word();
    for inside in [
        TypedValue::Address(stranger),
        TypedValue::Bytes(Bytes::copy_from_slice(stranger.as_slice())),
        TypedValue::Bytes(word.into()),
        TypedValue::Bytes([&[0xa9, 5, 0x9c, 0xbb], word.as_slice(), &[0; 32]].concat().into()),
        TypedValue::Uint(U256::from_be_bytes(word.0)),
    ] {
        let message = TypedValue::Array(vec![TypedValue::Struct(vec![("x".to_owned(), inside.clone())])]);
        let data = TypedData { domain: Domain::default(), message, ..typed.clone() };
        let codes = codes(&blocked(stranger), &other(BASE, Action::TypedData(Box::new(data))));
        assert!(codes.iter().any(|code| code == "blocked"), "{inside:?}: {codes:?}");
    }
    let message = Action::PersonalMessage { bytes: Bytes::new(), text: None };
    assert!(!codes(&blocked(stranger), &other(BASE, message)).contains(&"blocked".to_owned()));
}
