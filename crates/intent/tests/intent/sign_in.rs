//! Sign-In with Ethereum: read by the letter, field by field.

use quorate_intent::{Action, SignIn, decode, resembles_sign_in};
use quorate_types::Payload;

const ACCOUNT: &str = "0x857b06519E91e3A54538791bDbb0E22373e36b66";

/// The example of EIP-4361, for another account.
fn full() -> String {
    format!(
        "example.com wants you to sign in with your Ethereum account:\n{ACCOUNT}\n\nI accept the ExampleOrg Terms of Service: \
         https://example.com/tos\n\nURI: https://example.com/login\nVersion: 1\nChain ID: 1\nNonce: 32891756\nIssued At: \
         2021-09-30T16:25:24Z\nExpiration Time: 2021-09-30T17:25:24Z\nNot Before: 2021-09-30T16:25:24.5Z\nRequest ID: \
         abc-1\nResources:\n- ipfs://bafybeiemxf5abjwjbikoz4mc3a3dla6ual3jsgpdr4cjr3oz3evfyavhwq/\n- https://example.com/my-web2-claim.json"
    )
}

fn read(text: &str) -> Option<SignIn> {
    let decoded = decode(&Payload::Message(text.as_bytes().to_vec().into())).unwrap();
    match decoded.intent.action {
        Action::SignIn(sign_in) => {
            assert_eq!(decoded.intent.signer, Some(sign_in.address));
            assert_eq!(decoded.intent.chain, Some(sign_in.chain));
            Some(*sign_in)
        }
        _ => None,
    }
}

#[test]
fn every_field_is_read() {
    let sign_in = read(&full()).unwrap();
    assert_eq!((sign_in.scheme, sign_in.domain.as_str()), (None, "example.com"));
    assert_eq!(sign_in.address.to_string(), ACCOUNT);
    assert_eq!(
        sign_in.statement.unwrap(),
        "I accept the ExampleOrg Terms of Service: https://example.com/tos"
    );
    assert_eq!((sign_in.uri.as_str(), sign_in.chain), ("https://example.com/login", 1));
    assert_eq!(sign_in.nonce, "32891756");
    assert_eq!(sign_in.issued_at_s, 1_633_019_124);
    assert_eq!(sign_in.expires_at_s, Some(1_633_022_724));
    assert_eq!(sign_in.not_before_s, Some(1_633_019_124));
    assert_eq!(sign_in.request_id.as_deref(), Some("abc-1"));
    assert_eq!(sign_in.resources.len(), 2);
}

#[test]
fn what_is_optional_may_be_absent() {
    let short = full().split("\nExpiration").next().unwrap().to_owned();
    assert!(read(&short).is_some());
    let silent = short.replace("I accept the ExampleOrg Terms of Service: https://example.com/tos\n", "");
    assert_eq!(read(&silent).unwrap().statement, None);
    let schemed = short.replacen("example.com", "https://example.com:8443", 1);
    let sign_in = read(&schemed).unwrap();
    assert_eq!((sign_in.scheme.as_deref(), sign_in.domain.as_str()), (Some("https"), "example.com:8443"));
}

/// One letter off, and it is no sign-in; and it resembles one, so that no pattern lets it pass.
#[test]
fn anything_else_is_none() {
    for (from, to) in [
        ("account:\n", "account: \n"),
        ("account:\n", "account\n"),
        ("example.com wants", "Example.com wants"),
        ("example.com wants", "user@example.com wants"),
        ("example.com wants", " wants"),
        ("example.com wants", "example..com wants"),
        ("example.com wants", "example.com:080 wants"),
        ("example.com wants", "https://evil.example/https://example.com wants"),
        (ACCOUNT, "0x857b06519e91e3a54538791bdbb0e22373e36b66"),
        (ACCOUNT, "857b06519E91e3A54538791bDbb0E22373e36b66"),
        ("Version: 1", "Version: 1 "),
        ("Version: 1", "Version: 2"),
        ("Chain ID: 1", "Chain ID: 01"),
        ("Chain ID: 1", "Chain ID: 0"),
        ("Chain ID: 1", "Chain ID: +1"),
        ("32891756", "3289175"),
        ("32891756", "3289175!"),
        ("2021-09-30T16:25:24Z", "2021-09-30 16:25:24Z"),
        ("2021-09-30T16:25:24Z", "2021-09-30T16:25:24"),
        ("2021-09-30T17:25:24Z", "2021-13-30T17:25:24Z"),
        ("URI: https://example.com/login", "URI: example"),
        ("URI: https://example.com/login", "URI: https://example.com/ login"),
        ("URI: ", "URI:"),
        ("URI: https://example.com/login\nVersion: 1", "Version: 1\nURI: https://example.com/login"),
        ("\nNot Before", "\nNot before"),
        ("- https", "https"),
        ("\n\nI accept", "\nI accept"),
        ("tos\n\n", "tos\n"),
        ("I accept", "I\taccept"),
        ("I accept", "I accépt"),
        ("claim.json", "claim.json\n"),
        ("claim.json", "claim.json\n- "),
        ("\n", "\r\n"),
    ] {
        let text = full().replacen(from, to, if from == "\n" { usize::MAX } else { 1 });
        assert_ne!(text, full(), "{from}");
        assert_eq!(read(&text), None, "{from} -> {to}");
        assert!(resembles_sign_in(&text), "{from} -> {to}");
    }
    assert!(!resembles_sign_in("Hello"));
}
