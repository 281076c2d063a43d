//! Typed data that is refused, and why.

use quorate_intent::TypedDataError;
use serde_json::{Value, json};

use crate::words::*;

fn changed(change: impl Fn(&mut Value)) -> TypedDataError {
    let mut data = payment(usdc());
    change(&mut data);
    refused(&data)
}

/// A harmless message with one field `x` of type `ty`.
fn one(ty: &str, value: Value) -> Value {
    let mut data = typed(usdc(), "One", &format!("{ty} x"), json!({"x": value}));
    data["domain"]["verifyingContract"] = json!(PAYER);
    data
}

fn named(owner: &str, field: &str) -> (String, String) {
    (owner.to_owned(), field.to_owned())
}

#[test]
fn a_borrowed_domain_is_refused() {
    let error = TypedDataError::TokenDomain { symbol: "USDC", network: "base" };
    // Each of these would give another separator, but bears the token's address.
    assert_eq!(changed(|d| d["domain"]["name"] = json!("USDC")), error);
    assert_eq!(changed(|d| d["domain"]["version"] = json!("1")), error);
    assert_eq!(changed(|d| d["domain"]["chainId"] = json!(1)), error);
    // Also for a type nobody knows, and for a shorter domain.
    let mut mail = typed(usdc(), "Mail", "string text", json!({"text": "hello"}));
    mail["domain"]["name"] = json!("Mail");
    assert_eq!(refused(&mail), error);
    let mut short = payment(json!({"name": "USD Coin", "chainId": 8453, "verifyingContract": BASE_USDC}));
    short["types"]["EIP712Domain"] = fields("string name,uint256 chainId,address verifyingContract");
    assert_eq!(refused(&short), error);
}

#[test]
fn a_payment_needs_a_pinned_token() {
    let error = TypedDataError::UnknownToken("TransferWithAuthorization");
    assert_eq!(changed(|d| d["domain"]["verifyingContract"] = json!(PAYER)), error);
    assert_eq!(
        changed(|d| {
            d["domain"] = json!({"name": "USD Coin", "version": "2", "chainId": 8453});
            d["types"]["EIP712Domain"] = fields("string name,string version,uint256 chainId");
        }),
        error
    );
}

#[test]
fn the_name_of_a_payment_needs_its_fields() {
    for (name, types) in [
        ("TransferWithAuthorization", "address from,address to,uint256 value"),
        (
            "ReceiveWithAuthorization",
            "address to,address from,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce",
        ),
        ("Permit", "address owner,address spender,uint256 value,uint256 nonce,uint128 deadline"),
    ] {
        let mut message = serde_json::Map::new();
        for field in types.split(',').map(|field| field.split_once(' ').unwrap()) {
            let value = match field.0 {
                "address" => json!(PAYER),
                "bytes32" => json!(NONCE),
                _ => json!(1),
            };
            message.insert(field.1.to_owned(), value);
        }
        for contract in [BASE_USDC, PAYER] {
            let mut data = typed(usdc(), name, types, message.clone().into());
            data["domain"]["verifyingContract"] = json!(contract);
            assert_eq!(refused(&data), TypedDataError::TypeHash(name));
        }
    }
}

#[test]
fn a_pinned_token_signs_nothing_else() {
    let message = json!({"authorizer": PAYER, "nonce": NONCE});
    let data = typed(usdc(), "CancelAuthorization", "address authorizer,bytes32 nonce", message);
    assert_eq!(refused(&data), TypedDataError::UnknownTokenType("USDC"));
}

#[test]
fn json_must_be_unambiguous() {
    let text = payment(usdc()).to_string();
    for key in ["\"value\":", "\"domain\":", "\"chainId\":", "\"types\":", "\"name\":\"from\""] {
        assert!(text.contains(key), "{key}");
        let twice =
            text.replacen(key, &format!("{}0,{key}", key.replace("\"name\":\"from\"", "\"name\":")), 1);
        assert_eq!(refused_text(&twice), TypedDataError::DuplicateKey, "{key}");
    }
    // The same key, once escaped.
    let escaped = text.replacen("\"value\":", "\"valu\\u0065\":\"1\",\"value\":", 1);
    assert_eq!(refused_text(&escaped), TypedDataError::DuplicateKey);
    for number in ["1.0", "1e3", "-0", "18446744073709551616", "1e400"] {
        let float = text.replacen("\"10000\"", number, 1);
        let error = refused_text(&float);
        assert!(
            matches!(error, TypedDataError::NotAnInteger | TypedDataError::Json { .. }),
            "{number} {error}"
        );
    }
    for bad in
        ["", "{", "nul", &text[1..], &text[..text.len() - 1], &format!("{text}{text}"), &format!("{text}x")]
    {
        assert!(matches!(refused_text(bad), TypedDataError::Json { .. }), "{bad}");
    }
    assert_eq!(refused_text("\"{}\""), TypedDataError::Shape { field: "payload", expected: "an object" });
}

#[test]
fn nesting_is_limited() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(refused_text(&nested(33)), TypedDataError::TooDeep(32));
    assert_eq!(refused_text(&nested(60_000)), TypedDataError::TooDeep(32));
    assert!(matches!(refused_text(&nested(32)), TypedDataError::Shape { .. }));
}

#[test]
fn the_outer_object_has_four_keys() {
    for key in ["types", "primaryType", "domain", "message"] {
        let error = changed(|d| {
            d.as_object_mut().unwrap().remove(key);
        });
        assert_eq!(error, TypedDataError::Missing(key));
    }
    assert_eq!(changed(|d| d["extra"] = json!(1)), TypedDataError::UnknownKey("payload"));
    for key in ["types", "domain"] {
        assert!(matches!(changed(|d| d[key] = json!([])), TypedDataError::Shape { .. }));
    }
    for primary in [
        json!("Nobody"),
        json!("EIP712Domain"),
        json!(1),
        json!(""),
        json!("uint256"),
        json!("TransferWithAuthorization[]"),
    ] {
        assert_eq!(changed(|d| d["primaryType"] = primary.clone()), TypedDataError::UnknownPrimaryType);
    }
}

#[test]
fn the_domain_is_exactly_what_its_type_says() {
    let domain_type = |types: &str| changed(|d| d["types"]["EIP712Domain"] = fields(types));
    for types in [
        "",
        "string name",
        "string version,string name,uint256 chainId,address verifyingContract",
        "string name,string version,uint64 chainId,address verifyingContract",
        "string name,string version,uint256 chainId,address verifyingContract,bytes32 salt",
    ] {
        assert_eq!(domain_type(types), TypedDataError::DomainType, "{types}");
    }
    let missing = changed(|d| {
        d["types"].as_object_mut().unwrap().remove("EIP712Domain");
    });
    assert_eq!(missing, TypedDataError::DomainType);
    assert_eq!(changed(|d| d["domain"]["salt"] = json!(NONCE)), TypedDataError::DomainType);
    assert_eq!(changed(|d| d["domain"]["chainid"] = json!(1)), TypedDataError::UnknownKey("domain"));
    assert_eq!(changed(|d| d["domain"] = json!({})), TypedDataError::EmptyDomain);
    for (field, values) in [
        ("name", vec![json!(1), json!(null)]),
        ("version", vec![json!(2)]),
        (
            "chainId",
            vec![
                json!(0),
                json!(-1),
                json!("0x"),
                json!(""),
                json!("08453"),
                json!("18446744073709551616"),
                json!(true),
            ],
        ),
        ("verifyingContract", vec![json!("0x"), json!(BASE_USDC[2..]), json!(1), json!(null)]),
    ] {
        for value in values {
            let error = changed(|d| d["domain"][field] = value.clone());
            assert!(matches!(error, TypedDataError::DomainValue { field: f, .. } if f == field), "{error}");
        }
    }
}

#[test]
fn types_are_identifiers_and_built_ins() {
    let (owner, field) = named("One", "x");
    for ty in [
        "uint",
        "int",
        "uint+8",
        "uint08",
        "uint7",
        "uint264",
        "bytes0",
        "bytes33",
        "function",
        "byte",
        "(uint8)",
        "uint8[",
        "uint8[]x",
        "uint8[0]",
        "uint8[-1]",
        "uint8[][][][][]",
        "uint8]",
        " uint8",
        "tuple",
        "",
    ] {
        let error = TypedDataError::BadType { owner: owner.clone(), field: field.clone() };
        let mut data = one("uint8", json!(1));
        data["types"]["One"][0]["type"] = json!(ty);
        assert_eq!(refused(&data), error, "{ty}");
    }
    assert_eq!(refused(&one("Two", json!(1))), TypedDataError::UndefinedType { owner: owner.clone(), field });
    for name in
        ["uint256", "address", "bytes32", "bytes33", "a b", "a(", "a$", "", "1a", "é", &"a".repeat(65)]
    {
        let mut data = one("uint8", json!(1));
        data["types"][name] = json!([]);
        assert_eq!(refused(&data), TypedDataError::BadName, "{name}");
        let mut data = one("uint8", json!(1));
        if !["uint256", "address", "bytes32", "bytes33"].contains(&name) {
            data["types"]["One"][0]["name"] = json!(name);
            assert_eq!(refused(&data), TypedDataError::BadName, "{name}");
        }
    }
    let mut twice = one("uint8", json!(1));
    twice["types"]["One"] = fields("uint8 x,uint8 x");
    assert_eq!(refused(&twice), TypedDataError::DuplicateField { owner, field: "x".into() });
    for shape in [
        json!(1),
        json!([1]),
        json!([{"name": "x"}]),
        json!([{"name": "x", "type": "uint8", "z": 1}]),
        json!([{"name": "x", "type": 8}]),
    ] {
        let mut data = one("uint8", json!(1));
        data["types"]["One"] = shape;
        assert!(matches!(refused(&data), TypedDataError::Shape { .. }));
    }
}

#[test]
fn cycles_and_doubling_types_are_refused() {
    let mut own = one("One[]", json!([]));
    assert_eq!(refused(&own), TypedDataError::Cyclic("One".into()));
    own["types"]["One"] = fields("Two x");
    own["types"]["Two"] = fields("One[] x");
    assert!(matches!(refused(&own), TypedDataError::Cyclic(_)));
    // 2^40 fields when written out, in two kilobytes.
    let mut bomb = one("A0[]", json!([]));
    for level in 0..40 {
        bomb["types"][format!("A{level}")] = fields(&format!("A{0} x,A{0} y", level + 1));
    }
    bomb["types"]["A40"] = fields("uint8 x");
    assert!(matches!(refused(&bomb), TypedDataError::TooMuch { .. }));
}

#[test]
fn work_is_limited() {
    let mut many = one("uint8", json!(1));
    for i in 0..63 {
        many["types"][format!("T{i}")] = json!([]);
    }
    assert_eq!(refused(&many), TypedDataError::TooMuch { what: "types", max: 64 });
    let mut wide = one("uint8", json!(1));
    let fields: Vec<_> = (0..900).map(|i| json!({"name": format!("f{i}"), "type": "uint256"})).collect();
    wide["types"]["Wide"] = json!(fields);
    assert!(matches!(refused(&wide), TypedDataError::TooMuch { .. }));
    let fits = |len: usize| one("uint8[]", json!(vec![1; len]));
    read(&fits(2046));
    assert_eq!(refused(&fits(2047)), TypedDataError::TooMuch { what: "message: values", max: 2048 });
}

#[test]
fn the_message_is_exactly_its_type() {
    for key in ["from", "nonce"] {
        let error = changed(|d| {
            d["message"].as_object_mut().unwrap().remove(key);
        });
        let (owner, field) = named("TransferWithAuthorization", key);
        assert_eq!(error, TypedDataError::MissingField { owner, field });
    }
    let error = TypedDataError::ExtraField("TransferWithAuthorization".into());
    assert_eq!(changed(|d| d["message"]["memo"] = json!("rent")), error);
    for message in [json!(null), json!([]), json!("x")] {
        let error = changed(|d| d["message"] = message.clone());
        assert_eq!(error, TypedDataError::Value("TransferWithAuthorization".into()));
    }
}

#[test]
fn values_are_of_their_type_and_plain() {
    for (ty, values) in [
        ("bool", vec![json!("true"), json!(1), json!(null)]),
        (
            "uint8",
            vec![
                json!(256),
                json!(-1),
                json!("256"),
                json!(""),
                json!("0x"),
                json!("1_0"),
                json!("01"),
                json!("+1"),
                json!(" 1"),
                json!("0b1"),
                json!("0x100"),
                json!("1.0"),
                json!([1]),
            ],
        ),
        ("uint256", vec![json!(format!("0x1{}", "0".repeat(64))), json!("9".repeat(78))]),
        ("int8", vec![json!(128), json!(-129), json!("0x1"), json!("--1"), json!("-"), json!("128")]),
        ("address", vec![json!(PAYER[2..]), json!(&PAYER[..40]), json!(1), json!(format!("{PAYER}00"))]),
        ("bytes", vec![json!("00"), json!("0x0"), json!("0xzz"), json!([1, 2]), json!(null)]),
        ("bytes2", vec![json!("0x01"), json!("0x010203"), json!("0102")]),
        ("string", vec![json!(1), json!(null), json!(["x"])]),
        ("uint8[2]", vec![json!([1]), json!([1, 2, 3]), json!({"0": 1, "1": 2}), json!(1)]),
        ("uint8[]", vec![json!(["x"]), json!("0x01"), json!({})]),
    ] {
        for value in values {
            let error = refused(&one(ty, value.clone()));
            assert!(matches!(error, TypedDataError::Value(_)), "{ty} {value} {error}");
        }
    }
    for (ty, value) in [
        ("uint8", json!(255)),
        ("int8", json!(-128)),
        ("int8", json!("127")),
        ("uint256", json!(format!("0x{}", "f".repeat(64)))),
    ] {
        read(&one(ty, value));
    }
}

#[test]
fn refusals_do_not_repeat_values() {
    let text = payment(usdc()).to_string().replace("10000", "canary");
    assert!(!refused_text(&text).to_string().contains("canary"));
    assert!(!refused_text(&text.replace("\"canary\"", "canary")).to_string().contains("canary"));
    let unknown = changed(|d| d["canary"] = json!(1));
    assert!(!unknown.to_string().contains("canary"));
}
