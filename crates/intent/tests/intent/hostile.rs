//! Bytes from anywhere: the decoder answers, and an answer is about exactly those bytes.

use proptest::prelude::*;
use quorate_intent::decode;
use quorate_types::Payload;

use crate::encoder::keccak;
use crate::words::*;

/// JSON whose words are those of typed data, in the wrong places.
fn json_like() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "types",
        "primaryType",
        "domain",
        "message",
        "EIP712Domain",
        "name",
        "type",
        "chainId",
        "Permit",
        "A",
        "B",
        "A[]",
        "uint256",
        "uint8[2][]",
        "string",
        "address",
        "bytes32",
        "tuple",
        "(uint256)",
        "0x",
        "1",
        "",
        "é\\u0000",
    ]);
    let leaf = prop_oneof![
        word.clone().prop_map(|word| format!("\"{word}\"")),
        any::<i64>().prop_map(|number| number.to_string()),
        prop::sample::select(vec!["null", "true", "1e9", "-0", "1.5", "99999999999999999999", "{}", "[]"])
            .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(5, 64, 6, move |inner| {
        let entry = (word.clone(), inner.clone()).prop_map(|(key, value)| format!("\"{key}\":{value}"));
        prop_oneof![
            prop::collection::vec(inner, 0..6).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec(entry, 0..6).prop_map(|entries| format!("{{{}}}", entries.join(","))),
        ]
    })
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for first in [None, Some(1), Some(2), Some(0xc8), Some(0xf8)] {
            let bytes: Vec<u8> = first.into_iter().chain(bytes.iter().copied()).collect();
            if let Ok(decoded) = decode(&Payload::Transaction(bytes.clone().into())) {
                prop_assert_eq!(decoded.digest.read().unwrap().preimage(), &bytes);
            }
            let _ = decode(&Payload::TypedData(String::from_utf8_lossy(&bytes).into_owned()));
        }
        prop_assert!(decode(&Payload::Message(bytes.into())).is_ok());
    }

    #[test]
    fn random_json_never_panics(json in json_like(), types in json_like(), message in json_like()) {
        let outer = format!("{{\"types\":{{\"EIP712Domain\":{types}}},\"primaryType\":\"A\",\"domain\":{{}},\"message\":{json}}}");
        let domain = fields(FULL_DOMAIN);
        let inner = format!(
            "{{\"types\":{{\"EIP712Domain\":{domain},\"A\":[{{\"name\":\"B\",\"type\":\"B[]\"}}],\"B\":{types}}},\
             \"primaryType\":\"A\",\"domain\":{},\"message\":{{\"B\":[{message}]}}}}",
            usdc()
        );
        for text in [json, outer, inner] {
            let _ = decode(&Payload::TypedData(text));
        }
    }

    #[test]
    fn a_mutated_payment_is_refused_or_means_its_own_preimage(at in 0usize..1200, byte in 0x20u8..0x7f) {
        let mut text = payment(usdc()).to_string().into_bytes();
        let at = at % text.len();
        text[at] = byte;
        if let Ok(decoded) = decode(&Payload::TypedData(String::from_utf8(text).unwrap())) {
            // All that can still change is a value: the domain and the type are pinned by hash.
            prop_assert_eq!(decoded.digest.read().unwrap().preimage().len(), 66);
            prop_assert_eq!(decoded.digest.digest().0, keccak(decoded.digest.read().unwrap().preimage()));
            prop_assert_eq!(decoded.intent.chain, Some(8453));
            prop_assert!(decoded.intent.signer.is_some());
        }
    }
}
