//! What operators sign with OpenSSH counts, and in the namespace of freeze orders alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use quorate_freeze::{Action, FreezeError, SignedFreeze};
use quorate_manifest::{
    CoordinatorDraft, DocumentError, Manifest, ManifestDraft, Namespace, PersonDraft, QuorumDraft,
    SignatureFault, SignedDocument, sign,
};
use ssh_key::PrivateKey;

const BODY: &str = include_str!("../fixtures/unfreeze.yaml");
const ALICE_SIG: &str = include_str!("../fixtures/unfreeze.alice.sig");
const BOB_SIG: &str = include_str!("../fixtures/unfreeze.bob.sig");
const ALICE: &str = include_str!("../../manifest/fixtures/alice.pub");
const BOB: &str = include_str!("../../manifest/fixtures/bob.pub");
const ALICE_KEY: &str = include_str!("../../manifest/fixtures/alice");

/// Operators alice and bob, both needed.
fn manifest() -> Manifest {
    let person = |name: &str, key: &str| PersonDraft { name: name.to_owned(), key: key.trim().to_owned() };
    let draft = ManifestDraft {
        quorum: QuorumDraft { operators: 2, manifests: None },
        coordinators: vec![CoordinatorDraft { id: "c".to_owned() }],
        ..ManifestDraft::new("prod", vec![person("alice", ALICE), person("bob", BOB)])
    };
    Manifest::parse(draft.to_yaml().unwrap().as_bytes()).unwrap()
}

fn verify(body: &str, signatures: &[&str]) -> Result<SignedFreeze, FreezeError> {
    let signatures = signatures.iter().map(|&text| text.to_owned()).collect();
    SignedFreeze::verify(&SignedDocument { body: body.into(), signatures }, &manifest())
}

#[test]
fn two_operators_lift_a_freeze_and_one_does_not() {
    let lifted = verify(BODY, &[BOB_SIG, ALICE_SIG]).unwrap();
    assert_eq!((lifted.order().action, lifted.sequence()), (Action::Unfreeze, 12));
    assert_eq!(lifted.scope().to_string(), "agent/shopper-agent");
    for alone in [ALICE_SIG, BOB_SIG] {
        let short = FreezeError::Document(DocumentError::Quorum { got: 1, need: 2 });
        assert_eq!(verify(BODY, &[alone]), Err(short));
    }
    let wider = BODY.replace("scope: agent\ntarget: shopper-agent", "scope: all");
    assert!(matches!(verify(&wider, &[ALICE_SIG, BOB_SIG]), Err(FreezeError::Document(_))));
    let key = PrivateKey::from_openssh(ALICE_KEY).unwrap();
    assert_eq!(sign(BODY.as_bytes(), Namespace::Freeze, &key).unwrap(), ALICE_SIG);
}

#[test]
fn a_signature_made_for_another_kind_of_document_lifts_nothing() {
    for made_for_another in [
        include_str!("../fixtures/unfreeze.alice-as-manifest.sig"),
        include_str!("../fixtures/unfreeze.alice-as-policy.sig"),
        include_str!("../fixtures/unfreeze.alice-as-approval.sig"),
    ] {
        let fault = SignatureFault::Namespace { expected: Namespace::Freeze };
        let refused = FreezeError::Document(DocumentError::Signature { index: 1, fault });
        assert_eq!(verify(BODY, &[BOB_SIG, made_for_another]), Err(refused));
    }
}
