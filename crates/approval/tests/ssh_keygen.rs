//! What approvers sign with OpenSSH counts, and in the namespace of approvals alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use quorate_approval::{ApprovalError, SignedApproval};
use quorate_manifest::{
    CoordinatorDraft, DocumentError, Manifest, ManifestDraft, Namespace, PersonDraft, SignatureFault,
    SignedDocument, sign,
};
use ssh_key::PrivateKey;

const BODY: &str = include_str!("../fixtures/request.yaml");
const ALICE_SIG: &str = include_str!("../fixtures/request.alice.sig");
const BOB_SIG: &str = include_str!("../fixtures/request.bob.sig");
const ALICE: &str = include_str!("../../manifest/fixtures/alice.pub");
const BOB: &str = include_str!("../../manifest/fixtures/bob.pub");
const ALICE_KEY: &str = include_str!("../../manifest/fixtures/alice");

fn person(name: &str, key: &str) -> PersonDraft {
    PersonDraft { name: name.to_owned(), key: key.trim().to_owned() }
}

/// Alice and bob approve; olga operates.
fn manifest() -> Manifest {
    let olga = PrivateKey::from(ssh_key::private::Ed25519Keypair::from_seed(&[1; 32]));
    let draft = ManifestDraft {
        approvers: vec![person("alice", ALICE), person("bob", BOB)],
        coordinators: vec![CoordinatorDraft { id: "c".to_owned() }],
        ..ManifestDraft::new("prod", vec![person("olga", &olga.public_key().to_openssh().unwrap())])
    };
    Manifest::parse(draft.to_yaml().unwrap().as_bytes()).unwrap()
}

fn verify(body: &str, signatures: &[&str]) -> Result<SignedApproval, ApprovalError> {
    let signatures = signatures.iter().map(|&text| text.to_owned()).collect();
    SignedApproval::verify(&SignedDocument { body: body.into(), signatures }, &manifest())
}

#[test]
fn two_people_approve_with_keys_of_two_kinds() {
    let signed = verify(BODY, &[ALICE_SIG, BOB_SIG]).unwrap();
    assert_eq!(signed.approvers(), ["alice", "bob"]);
    assert_eq!(signed.request().idempotency_key, "ticket-17");
    assert_eq!(verify(BODY, &[BOB_SIG]).unwrap().approvers(), ["bob"]);
    let other = BODY.replace("4000 USDC", "4 USDC");
    assert!(matches!(verify(&other, &[ALICE_SIG]), Err(ApprovalError::Document(_))));
    let key = PrivateKey::from_openssh(ALICE_KEY).unwrap();
    assert_eq!(sign(BODY.as_bytes(), Namespace::Approval, &key).unwrap(), ALICE_SIG);
}

#[test]
fn a_signature_made_for_another_kind_of_document_is_no_yes() {
    for made_for_another in [
        include_str!("../fixtures/request.alice-as-manifest.sig"),
        include_str!("../fixtures/request.alice-as-policy.sig"),
        include_str!("../fixtures/request.alice-as-freeze.sig"),
    ] {
        let fault = SignatureFault::Namespace { expected: Namespace::Approval };
        let refused = ApprovalError::Document(DocumentError::Signature { index: 1, fault });
        assert_eq!(verify(BODY, &[BOB_SIG, made_for_another]), Err(refused));
    }
}
