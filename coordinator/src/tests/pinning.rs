use quorate_manifest::{ManifestDraft, Namespace, SignedDocument};
use quorate_store::MemStore;
use quorate_transport::PeerRole;
use quorate_types::Role;

use super::rig::{Rig, caller, manifest, root, signed};
use crate::error::OpError;
use crate::ops::apply_manifest::apply_manifest;
use crate::pin::pin;

fn forged(version: u64) -> SignedDocument {
    let mut document = manifest(version);
    document.signatures = manifest(version + 1).signatures;
    document
}

#[test]
fn the_last_pinned_manifest_outlives_the_configured_one() {
    let store = MemStore::new();
    let pin = |document: &SignedDocument| pin(&store, document, &[root()], 0).map(|p| p.manifest().version());
    assert!(pin(&forged(1)).is_err());
    assert_eq!(pin(&manifest(1)).unwrap(), 1);
    assert_eq!(pin(&manifest(3)).unwrap(), 3, "a later one, signed by the operators of the pinned one");
    assert_eq!(pin(&manifest(1)).unwrap(), 3, "an older file does not roll it back");
    assert!(pin(&forged(4)).is_err());
    let mut draft = ManifestDraft::from_yaml(&manifest(3).body).unwrap();
    draft.operators[0].name = "oleg".to_owned();
    let fork = signed(draft.to_yaml().unwrap(), Namespace::Manifest);
    assert!(pin(&fork).is_err(), "the same version with another content");
    assert_eq!(pin(&manifest(3)).unwrap(), 3);
}

#[tokio::test]
async fn a_manifest_goes_up_and_out() {
    let rig = Rig::new();
    let fakes = Role::ALL.map(|role| rig.attach(role, &[]));
    let operator = || caller(PeerRole::Operator);
    let next = apply_manifest(&rig.core, operator(), manifest(2)).await.unwrap();
    assert_eq!(next.manifest().version(), 2);
    assert_eq!(rig.manifest_record().version, 2);
    for fake in &fakes {
        assert_eq!(fake.documents(), ["manifest"]);
    }
    let rollback = apply_manifest(&rig.core, operator(), manifest(1)).await;
    assert!(matches!(rollback, Err(OpError::Conflict { .. })));
    assert!(matches!(apply_manifest(&rig.core, operator(), forged(3)).await, Err(OpError::Invalid { .. })));
    assert_eq!(rig.restarted().manifest_record().version, 2);
    assert_eq!(rig.audit(), ["manifest.pinned", "manifest.applied"]);
}
