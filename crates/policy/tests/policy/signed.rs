//! Whose policies count, and which of two.

use quorate_manifest::{DocumentError, Namespace, SignedDocument, sign};
use quorate_policy::{PolicyError, SignedPolicy};
use quorate_types::B256;

use crate::rig::{POLICY, document, manifest, operator, signed, swap};

fn verify(body: &str, seeds: &[u8], quorum: usize) -> Result<SignedPolicy, PolicyError> {
    SignedPolicy::verify(&document(body, seeds), &manifest("example", &[1, 2], quorum))
}

#[test]
fn a_policy_needs_a_quorum_of_operators() {
    let policy = verify(POLICY, &[1, 2], 2).unwrap();
    assert_eq!((policy.wallet().as_str(), policy.version()), ("agent-1", 3));
    assert_eq!(policy.hash(), policy.document().hash(Namespace::Policy));
    let short = DocumentError::Quorum { got: 1, need: 2 };
    assert_eq!(verify(POLICY, &[1], 2), Err(PolicyError::Document(short)));
    assert!(matches!(
        verify(POLICY, &[1, 9], 1),
        Err(PolicyError::Document(DocumentError::Signature { index: 1, .. }))
    ));
    assert!(matches!(verify(POLICY, &[], 1), Err(PolicyError::Document(DocumentError::Quorum { .. }))));
}

#[test]
fn a_signature_for_another_kind_of_document_is_none() {
    for namespace in [Namespace::Manifest, Namespace::Approval, Namespace::Freeze] {
        let signature = sign(POLICY.as_bytes(), namespace, &operator(1)).unwrap();
        let document = SignedDocument { body: POLICY.into(), signatures: vec![signature] };
        let error = SignedPolicy::verify(&document, &manifest("example", &[1], 1)).unwrap_err();
        assert!(error.to_string().contains("another namespace"), "{error}");
    }
}

#[test]
fn signatures_are_checked_before_the_text_is_read() {
    let error = verify("not a policy", &[9], 1).unwrap_err();
    assert!(matches!(error, PolicyError::Document(_)), "{error}");
    let error = verify("not a policy", &[1], 1).unwrap_err();
    assert!(matches!(error, PolicyError::Yaml(_)), "{error}");
    let error = verify(&swap("version: 3", "version: 0"), &[1], 1).unwrap_err();
    assert_eq!(error.to_string(), "version: must be at least 1");
}

#[test]
fn a_policy_is_for_the_cluster_it_names_and_names_one() {
    let error = SignedPolicy::verify(&document(POLICY, &[1]), &manifest("other", &[1], 1)).unwrap_err();
    assert_eq!(error.to_string(), "cluster: the policy is for example, this cluster is other");
    let unnamed = swap("cluster: example\n", "");
    let error = SignedPolicy::verify(&document(&unnamed, &[1]), &manifest("example", &[1], 1)).unwrap_err();
    assert!(error.to_string().contains("missing field `cluster`"), "{error}");
}

#[test]
fn only_a_later_version_for_the_same_wallet_takes_over() {
    let present = signed(POLICY);
    let later = signed(&swap("version: 3", "version: 4"));
    assert_eq!(later.supersedes(&present), Ok(()));
    assert_eq!(present.supersedes(&later), Err(PolicyError::Rollback { present: 4, offered: 3 }));
    // The same body again, also with other signatures.
    assert_eq!(present.supersedes(&present), Ok(()));
    let again = SignedPolicy::verify(&document(POLICY, &[2]), &manifest("example", &[1, 2], 1)).unwrap();
    assert_eq!(again.supersedes(&present), Ok(()));
    let fork = signed(&swap("\"25.00\"", "\"2500.00\""));
    assert_eq!(fork.supersedes(&present), Err(PolicyError::Fork { version: 3 }));
    let comment = signed(&format!("{POLICY}# note\n"));
    assert_eq!(comment.supersedes(&present), Err(PolicyError::Fork { version: 3 }));
    let other = signed(&swap("wallet: agent-1", "wallet: agent-2").replace("version: 3", "version: 9"));
    assert_eq!(
        other.supersedes(&present).unwrap_err().to_string(),
        "wallet: the policy is for agent-2, the one in force for agent-1"
    );
}

#[test]
fn a_store_gives_back_what_it_was_given_and_nothing_else() {
    let policy = signed(POLICY);
    assert_eq!(SignedPolicy::restore(policy.document(), policy.hash()), Ok(policy.clone()));
    assert_eq!(SignedPolicy::restore(policy.document(), B256::ZERO), Err(PolicyError::NotKept));
    let mut changed = policy.document().clone();
    changed.body.push(b'\n');
    assert_eq!(SignedPolicy::restore(&changed, policy.hash()), Err(PolicyError::NotKept));
}
