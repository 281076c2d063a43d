//! What operators sign with OpenSSH proves a lapse, and in its namespace alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use quorate_lapse::{LapseError, SignedLapse};
use quorate_manifest::{
    CoordinatorDraft, DocumentError, Manifest, ManifestDraft, Namespace, PersonDraft, QuorumDraft,
    SignatureFault, SignedDocument, sign,
};
use ssh_key::PrivateKey;

const BODY: &str = include_str!("../fixtures/lapse.yaml");
const ALICE_SIG: &str = include_str!("../fixtures/lapse.alice.sig");
const BOB_SIG: &str = include_str!("../fixtures/lapse.bob.sig");
const ALICE: &str = include_str!("../../manifest/fixtures/alice.pub");
const BOB: &str = include_str!("../../manifest/fixtures/bob.pub");
const ALICE_KEY: &str = include_str!("../../manifest/fixtures/alice");

/// Operators alice and bob, both needed.
fn manifest(cluster: &str) -> Manifest {
    let person = |name: &str, key: &str| PersonDraft { name: name.to_owned(), key: key.trim().to_owned() };
    let draft = ManifestDraft {
        quorum: QuorumDraft { operators: 2, manifests: None },
        coordinators: vec![CoordinatorDraft { id: "c".to_owned() }],
        ..ManifestDraft::new(cluster, vec![person("alice", ALICE), person("bob", BOB)])
    };
    Manifest::parse(draft.to_yaml().unwrap().as_bytes()).unwrap()
}

fn verify(body: &str, signatures: &[&str]) -> Result<SignedLapse, LapseError> {
    let signatures = signatures.iter().map(|&text| text.to_owned()).collect();
    SignedLapse::verify(&SignedDocument { body: body.into(), signatures }, &manifest("prod"))
}

#[test]
fn two_operators_prove_it_and_one_does_not() {
    let lapse = verify(BODY, &[BOB_SIG, ALICE_SIG]).unwrap();
    assert_eq!((lapse.wallet().as_str(), lapse.signers()), ("shopper", &["bob".into(), "alice".into()][..]));
    for alone in [ALICE_SIG, BOB_SIG] {
        let short = LapseError::Document(DocumentError::Quorum { got: 1, need: 2 });
        assert_eq!(verify(BODY, &[alone]), Err(short));
    }
    let key = PrivateKey::from_openssh(ALICE_KEY).unwrap();
    assert_eq!(sign(BODY.as_bytes(), Namespace::Lapse, &key).unwrap(), ALICE_SIG);
}

#[test]
fn a_signature_made_for_another_kind_of_document_proves_nothing() {
    for made_for_another in [
        include_str!("../fixtures/lapse.alice-as-freeze.sig"),
        include_str!("../fixtures/lapse.alice-as-policy.sig"),
    ] {
        let fault = SignatureFault::Namespace { expected: Namespace::Lapse };
        let refused = LapseError::Document(DocumentError::Signature { index: 1, fault });
        assert_eq!(verify(BODY, &[BOB_SIG, made_for_another]), Err(refused));
    }
}

/// Whatever is changed in it, the signatures are over something else.
#[test]
fn no_field_is_outside_the_signatures() {
    for (from, to) in [
        ("cluster: prod", "cluster: prod2"),
        ("wallet: shopper", "wallet: other"),
        ("\"value\":\"1500000\"", "\"value\":\"1500001\""),
        ("\"nonce\":\"0x07", "\"nonce\":\"0x08"),
        ("\"validBefore\":\"1800000600\"", "\"validBefore\":\"1800000599\""),
        ("number: 41234567", "number: 41234568"),
        ("hash: '0xab", "hash: '0xac"),
        ("time_s: 1800000900", "time_s: 1800000901"),
        ("reason: auth", "reason: Auth"),
    ] {
        let changed = BODY.replace(from, to);
        assert_ne!(changed, BODY, "{from}");
        let refused = verify(&changed, &[ALICE_SIG, BOB_SIG]);
        assert!(matches!(refused, Err(LapseError::Document(DocumentError::Signature { .. }))), "{to}");
    }
    let signatures = vec![ALICE_SIG.to_owned(), BOB_SIG.to_owned()];
    let elsewhere =
        SignedLapse::verify(&SignedDocument { body: BODY.into(), signatures }, &manifest("staging"));
    assert!(matches!(elsewhere, Err(LapseError::Cluster { .. })), "{elsewhere:?}");
}
