//! What a lapse must say, and of what and when it is believed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use quorate_lapse::{Block, GRACE_S, Lapse, LapseError, SignedLapse};
use quorate_manifest::{Manifest, ManifestDraft, Namespace, PersonDraft, PersonKey, SignedDocument, sign};
use quorate_policy::Loosening;
use quorate_types::{Address, B256};
use ssh_key::PrivateKey;
use ssh_key::private::Ed25519Keypair;

const BODY: &str = include_str!("../fixtures/lapse.yaml");
fn wallet() -> Address {
    "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf".parse().unwrap()
}
/// The last second at which the fixture's authorization can be used.
const END_S: u64 = 1_800_000_599;
const OVER_MS: u64 = (END_S + 1 + GRACE_S) * 1000;

fn operator(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

/// Two operators, one of whom is enough.
fn manifest() -> Manifest {
    let person = |name: &str, seed| {
        let key = PersonKey::try_from(operator(seed).public_key()).unwrap().to_string();
        PersonDraft { name: name.to_owned(), key }
    };
    let draft = ManifestDraft::new("prod", vec![person("olga", 1), person("otto", 2)]);
    Manifest::parse(draft.to_yaml().unwrap().as_bytes()).unwrap()
}

fn signed(body: &str, by: &[u8]) -> Result<SignedLapse, LapseError> {
    let sign = |seed: &u8| sign(body.as_bytes(), Namespace::Lapse, &operator(*seed)).unwrap();
    let document = SignedDocument { body: body.into(), signatures: by.iter().map(sign).collect() };
    SignedLapse::verify(&document, &manifest())
}

fn fixture() -> Lapse {
    Lapse::parse(BODY.as_bytes()).unwrap()
}

#[test]
fn it_is_written_as_it_is_read() {
    assert_eq!(Lapse::parse(fixture().to_yaml().unwrap().as_bytes()), Ok(fixture()));
    let spaced = Lapse { typed_data: format!("  {}\n\t", fixture().typed_data), ..fixture() };
    assert_eq!(Lapse::parse(spaced.to_yaml().unwrap().as_bytes()), Ok(spaced));
}

#[test]
fn each_field_is_refused_by_name() {
    for (from, to, field) in [
        ("lapse: quorate/v1", "lapse: quorate/v2", "lapse: expected quorate/v1"),
        ("cluster: prod", "cluster: Prod", "cluster: "),
        ("wallet: shopper", "wallet: ../w", "wallet: "),
        ("\"value\":\"1500000\"", "\"value\":\"-1\"", "typed_data: "),
        ("\"verifyingContract\":\"0x036C", "\"verifyingContract\":\"0x136C", "typed_data: "),
        ("hash: '0xab", "hash: '0xzz", "lapse: block.hash"),
        ("number: 41234567", "number: -1", "lapse: block.number"),
        ("time_s: 1800000900", "time_s: 1800000599", "block: its time is 1800000599, and the authorization"),
        ("reason: auth", "reason: \"\\n\" #", "reason: must be 1 to 200 characters"),
        ("reason: auth", "more: x\nreason: auth", "lapse: unknown field"),
        ("  number", "  more: 1\n  number", "lapse: block: unknown field"),
    ] {
        let changed = BODY.replace(from, to);
        assert_ne!(changed, BODY, "{from}");
        let refused = Lapse::parse(changed.as_bytes()).unwrap_err().to_string();
        assert!(refused.starts_with(field), "{field}: {refused}");
    }
    let long = BODY.replace("reason: auth", &format!("reason: {}", "a".repeat(200)));
    assert!(matches!(Lapse::parse(long.as_bytes()), Err(LapseError::Invalid { field: "reason", .. })));
}

/// The first second after the end will do, and it is the token's end: `validBefore` itself is too late to use it.
#[test]
fn the_block_must_come_after_the_end() {
    let at = |time_s| Lapse { block: Block { time_s, ..fixture().block }, ..fixture() }.to_yaml();
    let refused = LapseError::BeforeEnd { block_s: END_S, not_after_s: END_S };
    assert_eq!(at(END_S), Err(refused));
    assert!(at(END_S + 1).is_ok());
}

#[test]
fn only_what_ends_and_is_used_once_off_any_transaction_ends_unused() {
    let of = |typed_data: String| Lapse { typed_data, ..fixture() }.to_yaml().map(drop);
    let never = of(fixture().typed_data.replace("1800000600", &u128::MAX.to_string()));
    assert_eq!(never.unwrap_err().to_string(), "typed_data: it never ends");
    let mail = r#"{"types":{"EIP712Domain":[{"name":"name","type":"string"}],"Mail":[{"name":"to","type":"string"}]},
        "primaryType":"Mail","domain":{"name":"x"},"message":{"to":"y"}}"#;
    let other = of(mail.to_owned()).unwrap_err().to_string();
    assert!(other.starts_with("typed_data: only an EIP-3009 authorization or an EIP-2612 permit"), "{other}");
}

#[test]
fn a_permit_ends_at_its_deadline() {
    let permit = serde_permit("1800000600");
    let at = |time_s| {
        let block = Block { time_s, ..fixture().block };
        Lapse { typed_data: permit.clone(), block, ..fixture() }.to_yaml()
    };
    assert_eq!(
        at(1_800_000_600).unwrap_err().to_string().split(',').next(),
        Some("block: its time is 1800000600")
    );
    let lapse = signed(&at(1_800_000_601).unwrap(), &[1]).unwrap();
    let proof = lapse.judge(wallet(), None, OVER_MS + 1000).unwrap();
    assert_eq!(proof.charges().len(), 1);
}

fn serde_permit(deadline: &str) -> String {
    let from = fixture().typed_data;
    let (types, rest) = from.split_once("\"TransferWithAuthorization\":").unwrap();
    let domain = &rest[rest.find("\"domain\"").unwrap()..rest.find("\"message\"").unwrap()];
    let field = |(name, kind): (&str, &str)| format!("{{\"name\":\"{name}\",\"type\":\"{kind}\"}}");
    let fields = [
        ("owner", "address"),
        ("spender", "address"),
        ("value", "uint256"),
        ("nonce", "uint256"),
        ("deadline", "uint256"),
    ];
    let (fields, wallet) = (fields.map(field).join(","), wallet());
    format!(
        "{types}\"Permit\":[{fields}]}},\"primaryType\":\"Permit\",{domain}\"message\":{{\"owner\":\"{wallet}\",\
         \"spender\":\"0x209693Bc6afc0C5328bA36FaF03C514EF312287C\",\"value\":\"5\",\"nonce\":\"3\",\"deadline\":\"{deadline}\"}}}}"
    )
}

#[test]
fn it_is_believed_of_its_own_wallet_and_late_enough() {
    let lapse = signed(BODY, &[1]).unwrap();
    let proof = lapse.judge(wallet(), None, OVER_MS).unwrap();
    assert_eq!((proof.wallet().as_str(), proof.hash()), ("shopper", lapse.hash()));
    assert_eq!(
        proof.charges().iter().map(|charge| charge.amount.to::<u64>()).collect::<Vec<_>>(),
        [1_500_000]
    );
    let early = lapse.judge(wallet(), None, OVER_MS - 1);
    assert_eq!(early, Err(LapseError::TooEarly { until_ms: OVER_MS }));
    let signer = wallet();
    let other = Address::repeat_byte(1);
    let foreign = lapse.judge(other, None, OVER_MS);
    assert_eq!(foreign, Err(LapseError::Signer { wallet: other, signer }));
    let ahead = Block { time_s: OVER_MS / 1000 + 1, number: 1, hash: B256::ZERO };
    let ahead = signed(&Lapse { block: ahead, ..fixture() }.to_yaml().unwrap(), &[1]).unwrap();
    let block_s = OVER_MS / 1000 + 1;
    assert_eq!(ahead.judge(wallet(), None, OVER_MS), Err(LapseError::Future { block_s }));
    assert!(ahead.judge(wallet(), None, OVER_MS + 1000).is_ok());
}

/// A quorum of one does not loosen the policy of such a wallet, and gives nothing back to it either.
#[test]
fn a_wallet_with_a_delay_takes_a_second_operator() {
    let delay = Some(Loosening { delay_s: 60 });
    let alone = signed(BODY, &[1]).unwrap().judge(wallet(), delay, OVER_MS);
    assert_eq!(alone, Err(LapseError::SecondOperator { got: 1, need: 2 }));
    assert!(signed(BODY, &[1, 2]).unwrap().judge(wallet(), delay, OVER_MS).is_ok());
}
