//! Payments and permits of pinned tokens, their windows, and other typed data as rules see it.

use quorate_intent::{
    Action, AssetId, AuthorizationKind, Charge, PERMIT as PERMIT_HASH, RECEIVE_WITH_AUTHORIZATION, TOKENS,
    TRANSFER_WITH_AUTHORIZATION, TypedValue,
};
use quorate_types::{Address, B256, U256};
use serde_json::{Value, json};

use crate::encoder::keccak;
use crate::words::*;

const MAX: &str = "115792089237316195423570985008687907853269984665640564039457584007913129639935";

fn permit(value: &str, deadline: &str) -> Value {
    let message = json!({"owner": PAYER, "spender": PAYEE, "value": value, "nonce": 3, "deadline": deadline});
    typed(usdc(), "Permit", PERMIT, message)
}

#[test]
fn pinned_type_hashes() {
    let hash = |name: &str, fields: &str| B256::from(keccak(format!("{name}({fields})").as_bytes()));
    assert_eq!(hash("TransferWithAuthorization", AUTHORIZATION), TRANSFER_WITH_AUTHORIZATION);
    assert_eq!(hash("ReceiveWithAuthorization", AUTHORIZATION), RECEIVE_WITH_AUTHORIZATION);
    assert_eq!(hash("Permit", PERMIT), PERMIT_HASH);
}

#[test]
fn every_pinned_token_can_pay() {
    for token in &TOKENS {
        let data = payment(json!({
            "name": token.domain_name, "version": token.domain_version,
            "chainId": token.chain, "verifyingContract": token.address,
        }));
        let decoded = read(&data);
        let charge = Charge { asset: token.asset(), amount: U256::from(10_000) };
        assert_eq!(decoded.intent.charges().unwrap(), [charge]);
        assert_eq!(decoded.digest.read().unwrap().preimage()[2..34], token.separator[..]);
    }
}

#[test]
fn receive_is_told_from_transfer() {
    let mut data = payment(usdc());
    data["types"]["ReceiveWithAuthorization"] = fields(AUTHORIZATION);
    data["primaryType"] = json!("ReceiveWithAuthorization");
    let Action::TokenTransfer { authorization: Some(authorization), .. } = read(&data).intent.action else {
        panic!()
    };
    assert_eq!(authorization.kind, AuthorizationKind::Receive);
    assert_eq!(read(&data).intent.signer, Some(address(PAYER)));
}

#[test]
fn windows_are_inclusive_and_saturate() {
    let window = |after: &str, before: &str| {
        let mut data = payment(usdc());
        data["message"]["validAfter"] = json!(after);
        data["message"]["validBefore"] = json!(before);
        let validity = read(&data).intent.validity;
        (validity.not_before_s.unwrap(), validity.not_after_s.unwrap())
    };
    assert_eq!(window("0", "1"), (1, 0));
    assert_eq!(window("10", "20"), (11, 19));
    assert_eq!(window("0", "0"), (1, 0));
    assert_eq!(window("18446744073709551614", "18446744073709551616"), (u64::MAX, u64::MAX));
    assert_eq!(window("18446744073709551615", "18446744073709551615"), (u64::MAX, u64::MAX - 1));
    assert_eq!(window(MAX, MAX), (u64::MAX, u64::MAX));

    let deadline = |deadline| read(&permit("1", deadline)).intent.validity;
    assert_eq!(deadline("20").not_after_s, Some(20));
    assert_eq!(deadline("0").not_after_s, Some(0));
    assert_eq!(deadline(MAX).not_after_s, Some(u64::MAX));
    assert_eq!(deadline("20").not_before_s, None);
}

#[test]
fn a_permit_counts_its_allowance() {
    for (text, amount) in [("0", U256::ZERO), ("7", U256::from(7)), (MAX, U256::MAX)] {
        let intent = read(&permit(text, "99")).intent;
        assert_eq!(
            intent.charges().unwrap(),
            [Charge { asset: AssetId::token(8453, address(BASE_USDC)), amount }]
        );
        assert_eq!((intent.spender(), intent.recipient()), (Some(address(PAYEE)), None));
        assert_eq!(intent.signer, Some(address(PAYER)));
        assert!(matches!(intent.action, Action::TokenPermit { nonce, .. } if nonce == U256::from(3)));
    }
    assert_eq!(
        read(&permit("1500000", "99")).intent.summary(),
        format!("permit {PAYEE} to spend up to 1.5 USDC of {PAYER} on base")
    );
}

#[test]
fn spelling_does_not_change_the_digest() {
    let plain = read(&payment(usdc()));
    let mut data = payment(usdc());
    data["message"]["value"] = json!("0x2710");
    data["message"]["to"] = json!(PAYEE.to_lowercase());
    data["domain"]["chainId"] = json!("8453");
    data["types"]["Unused"] = fields("uint8 x");
    assert_eq!(read(&data), plain);
    data["domain"]["chainId"] = json!("0x2105");
    assert_eq!(read(&data), plain);
}

#[test]
fn other_typed_data_is_shown_as_it_is_hashed() {
    let types = "bool b,uint8 u,int16 i,address a,bytes x,bytes2 y,string s,uint8[] v,Inner[2] w";
    let mut data = typed(
        usdc(),
        "Outer",
        types,
        json!({
            "b": true, "u": 255, "i": -2, "a": PAYER, "x": "0x", "y": "0x0102", "s": "é", "v": [],
            "w": [{"n": "0x10"}, {"n": 17}],
        }),
    );
    data["domain"]["verifyingContract"] = json!(PAYER);
    data["types"]["Inner"] = fields("uint256 n");
    let decoded = read(&data);
    let Action::TypedData(typed_data) = &decoded.intent.action else { panic!() };
    let message = &typed_data.message;
    assert_eq!(message.field("b"), Some(&TypedValue::Bool(true)));
    assert_eq!(message.field("u"), Some(&TypedValue::Uint(U256::from(255))));
    let minus_two = B256::from(U256::MAX - U256::from(1));
    assert_eq!(message.field("i"), Some(&TypedValue::Int(minus_two)));
    assert_eq!(message.field("a").unwrap().as_address(), Some(address(PAYER)));
    assert_eq!(message.field("y"), Some(&TypedValue::Bytes(vec![1, 2].into())));
    assert_eq!(message.field("s"), Some(&TypedValue::Text("é".into())));
    assert_eq!(message.field("v"), Some(&TypedValue::Array(vec![])));
    let Some(TypedValue::Array(inner)) = message.field("w") else { panic!() };
    assert_eq!(inner[1].field("n").unwrap().as_uint(), Some(U256::from(17)));
    assert_eq!(message.field("none"), None);

    // encodeData by hand, word by word.
    let word = |value: U256| value.to_be_bytes::<32>();
    let inner_hash = keccak(b"Inner(uint256 n)");
    let inner = |n: u64| keccak(&[inner_hash, word(U256::from(n))].concat());
    let type_hash = keccak(format!("Outer({types})Inner(uint256 n)").as_bytes());
    let mut y = [0; 32];
    y[..2].copy_from_slice(&[1, 2]);
    let words = [
        type_hash,
        word(U256::from(1)),
        word(U256::from(255)),
        minus_two.0,
        Address::into_word(&address(PAYER)).0,
        keccak(b""),
        y,
        keccak("é".as_bytes()),
        keccak(b""),
        keccak(&[inner(16), inner(17)].concat()),
    ];
    assert_eq!(typed_data.type_hash.0, type_hash);
    assert_eq!(typed_data.struct_hash.0, keccak(&words.concat()));
    assert_eq!(decoded.intent.summary(), "sign typed data \"Outer\" on base");
}
