//! What operators sign with OpenSSH counts, and in the namespace of policies alone.

use quorate_manifest::{
    DocumentError, Manifest, ManifestDraft, Namespace, PersonDraft, QuorumDraft, SignatureFault,
    SignedDocument, sign,
};
use quorate_policy::{PolicyError, SignedPolicy};
use ssh_key::PrivateKey;

const BODY: &str = include_str!("../../fixtures/policy.yaml");
const ALICE_SIG: &str = include_str!("../../fixtures/policy.alice.sig");
const BOB_SIG: &str = include_str!("../../fixtures/policy.bob.sig");
const ALICE: &str = include_str!("../../../manifest/fixtures/alice.pub");
const BOB: &str = include_str!("../../../manifest/fixtures/bob.pub");
const ALICE_KEY: &str = include_str!("../../../manifest/fixtures/alice");

fn verify(body: &str, signatures: &[&str]) -> Result<SignedPolicy, PolicyError> {
    let person = |name: &str, key: &str| PersonDraft { name: name.to_owned(), key: key.trim().to_owned() };
    let draft = ManifestDraft {
        quorum: QuorumDraft { operators: 2, manifests: None },
        ..ManifestDraft::new("example", vec![person("alice", ALICE), person("bob", BOB)])
    };
    let manifest = Manifest::parse(draft.to_yaml().unwrap().as_bytes()).unwrap();
    let signatures = signatures.iter().map(|&text| text.to_owned()).collect();
    SignedPolicy::verify(&SignedDocument { body: body.into(), signatures }, &manifest)
}

#[test]
fn two_operators_put_a_policy_in_force_and_one_does_not() {
    let policy = verify(BODY, &[ALICE_SIG, BOB_SIG]).unwrap();
    assert_eq!((policy.wallet().as_str(), policy.version()), ("agent-1", 3));
    for alone in [ALICE_SIG, BOB_SIG] {
        let short = DocumentError::Quorum { got: 1, need: 2 };
        assert_eq!(verify(BODY, &[alone]), Err(PolicyError::Document(short)));
    }
    // A comment is signed too.
    let remarked = BODY.replace("pays one shop", "pays any shop");
    assert!(matches!(verify(&remarked, &[ALICE_SIG, BOB_SIG]), Err(PolicyError::Document(_))));
    let key = PrivateKey::from_openssh(ALICE_KEY).unwrap();
    assert_eq!(sign(BODY.as_bytes(), Namespace::Policy, &key).unwrap(), ALICE_SIG);
}

#[test]
fn a_signature_made_for_another_kind_of_document_is_none() {
    for made_for_another in [
        include_str!("../../fixtures/policy.alice-as-manifest.sig"),
        include_str!("../../fixtures/policy.alice-as-approval.sig"),
        include_str!("../../fixtures/policy.alice-as-freeze.sig"),
    ] {
        let fault = SignatureFault::Namespace { expected: Namespace::Policy };
        let refused = PolicyError::Document(DocumentError::Signature { index: 1, fault });
        assert_eq!(verify(BODY, &[BOB_SIG, made_for_another]), Err(refused));
    }
}
