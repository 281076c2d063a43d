//! Checkpoints of the log, by nodes that do their part and others.

use futures::StreamExt;
use quorate_manifest::Manifest;
use quorate_proto::v1;
use quorate_proto::v1::relay_frame::Frame;
use quorate_session::{LogCheckpoint, Note};
use quorate_types::{B256, Role};

use super::rig::{Rig, node, node_key};
use crate::checkpoints::make;
use crate::error::OpError;
use crate::ops::read_audit::{checkpoint, prove};

/// A node that says this to every checkpoint.
fn attach(rig: &Rig, role: Role, says: fn(Role, v1::Cosign) -> Option<v1::Cosigned>) {
    let (link, frames) = rig.core.nodes.new_link(node(role));
    rig.core.nodes.attach(link.clone(), super::fake::about());
    tokio::spawn(async move {
        let mut frames = std::pin::pin!(frames);
        while let Some(Ok(frame)) = frames.next().await {
            if let Some(Frame::Cosign(asked)) = frame.frame
                && let Some(answer) = says(role, asked)
            {
                link.cosigned(answer);
            }
        }
    });
}

fn cosigns(role: Role, asked: v1::Cosign) -> Option<v1::Cosigned> {
    let read = LogCheckpoint::parse(&asked.checkpoint).unwrap();
    let cosignature = node_key(role).cosign(&read, 7);
    let (checkpoint, signature) = (asked.checkpoint, cosignature.signature.to_vec());
    Some(v1::Cosigned { checkpoint, timestamp_s: 7, signature, ..Default::default() })
}

/// Knows an earlier size, and wants the proof from there.
fn knows_one(role: Role, asked: v1::Cosign) -> Option<v1::Cosigned> {
    if asked.from == 1 {
        assert!(!asked.proof.is_empty() || asked.checkpoint.contains("\n1\n"));
        return cosigns(role, asked);
    }
    let (checkpoint, refused) = (asked.checkpoint, "stale".to_owned());
    Some(v1::Cosigned { checkpoint, refused, known: 1, ..Default::default() })
}

fn forges(_: Role, asked: v1::Cosign) -> Option<v1::Cosigned> {
    cosigns(Role::Cold, asked)
}

fn refuses(_: Role, asked: v1::Cosign) -> Option<v1::Cosigned> {
    let (checkpoint, refused) = (asked.checkpoint, "shrank".to_owned());
    Some(v1::Cosigned { checkpoint, refused, known: 900, ..Default::default() })
}

async fn some_entries(rig: &Rig) {
    rig.attach_signers(&[], &[]);
    for version in [2, 3, 4] {
        let policy = super::rig::policy(version, "0.02");
        crate::ops::apply_policy::apply_policy(
            &rig.core,
            super::rig::caller(quorate_transport::PeerRole::Operator),
            policy,
        )
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn what_two_nodes_cosigned_is_kept_and_holds_by_the_manifests_keys() {
    let rig = Rig::new();
    some_entries(&rig).await;
    attach(&rig, Role::Agent, cosigns);
    attach(&rig, Role::Service, knows_one);
    assert_eq!(make(&rig.core, "coordinator-1").await.unwrap().len(), 2);
    let record = checkpoint(&rig.core).await.unwrap().unwrap();
    let note = Note::parse(&record.note).unwrap();
    assert_eq!(note.checkpoint.origin, "quorate/demo/coordinator-1");
    assert_eq!(note.checkpoint.size, quorate_audit::head(rig.store.as_ref()).unwrap().sequence);
    let manifest = Manifest::parse(&super::rig::manifest(1).body).unwrap();
    let keys = manifest.nodes().iter().map(|node| (&node.id, &node.key));
    assert_eq!(note.cosigners(manifest.cluster(), keys).unwrap().len(), 2);
    // Each entry of it is proven by that checkpoint, and none after it.
    let size = note.checkpoint.size;
    let checkpoint = quorate_audit::Checkpoint { sequence: size, hash: note.checkpoint.root };
    for sequence in 1..=size {
        let v1::ProveResponse { entry, path, note } = prove(&rig.core, sequence).await.unwrap();
        assert_eq!(note, record.note);
        let path = path.iter().map(|hash| B256::from_slice(hash)).collect();
        let entry = quorate_audit::Proof { entry, checkpoint, path }.check().unwrap();
        assert_eq!(entry.sequence, sequence);
    }
    for none in [0, size + 1] {
        assert!(matches!(prove(&rig.core, none).await, Err(OpError::NotFound { .. })));
    }
    crate::ops::apply_policy::apply_policy(
        &rig.core,
        super::rig::caller(quorate_transport::PeerRole::Operator),
        super::rig::policy(5, "0.02"),
    )
    .await
    .unwrap();
    let Err(OpError::Unavailable { reason, .. }) = prove(&rig.core, size + 1).await else { panic!() };
    assert_eq!(reason, format!("two nodes have cosigned {size} entries, and not yet entry {}", size + 1));
}

#[tokio::test]
async fn one_cosigner_a_forged_one_or_a_refusal_make_no_checkpoint() {
    for other in [forges, refuses, |_, _| None] {
        let rig = Rig::new();
        some_entries(&rig).await;
        attach(&rig, Role::Agent, cosigns);
        attach(&rig, Role::Service, other);
        tokio::time::timeout(std::time::Duration::from_secs(20), make(&rig.core, "coordinator-1"))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(checkpoint(&rig.core).await.unwrap(), None);
    }
}
