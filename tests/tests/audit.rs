//! The audit log, read through the API and checked without it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use quorate_audit::{Checkpoint, Exported};
use quorate_proto::failure_of;
use quorate_proto::v1;
use quorate_proto::v1::audit_service_client::AuditServiceClient;
use quorate_proto::v1::failure::Kind;
use quorate_tests::{Cluster, FRIEND, STRANGER, WALLET, golden, transfer, usdc};
use quorate_transport::PeerRole;
use quorate_types::{B256, Role};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_s_receipt_is_in_the_log_that_an_auditor_reads() {
    let world = tokio::task::spawn_blocking(|| golden().world()).await.unwrap();
    let mut cluster = Cluster::start(world).await;
    let signed = cluster.sign(WALLET, &transfer(FRIEND, usdc(1), 1), "pay").await.unwrap();
    let denied = cluster.sign(WALLET, &transfer(STRANGER, usdc(1), 1), "stranger").await.unwrap();
    let before = export(&cluster, 1000).await;
    let seen = before.checkpoint();
    for (answer, kind) in [(&signed, "sign.signed"), (&denied, "sign.denied")] {
        let receipt = answer.receipt.as_ref().unwrap();
        let receipt = Checkpoint { sequence: receipt.sequence, hash: B256::from_slice(&receipt.hash) };
        assert_eq!(before.holds(&receipt).unwrap().kind, kind);
        assert_eq!(before.prove(receipt.sequence).unwrap().check().unwrap().hash, receipt.hash);
    }
    cluster.restart_coordinator().await;
    cluster.attached(&[Role::Agent, Role::Service]).await;
    cluster.sign(WALLET, &transfer(STRANGER, usdc(1), 2), "again").await.unwrap();
    // Page by page it is the same log, and it begins with the one seen before.
    let after = export(&cluster, 3).await;
    assert!(after.head().sequence > seen.sequence);
    assert_eq!(after.extends(&seen), Ok(()));
    let mut client = AuditServiceClient::new(cluster.channel(PeerRole::Auditor).await);
    let head = client.head(v1::HeadRequest {}).await.unwrap().into_inner().head.unwrap();
    assert_eq!((head.sequence, head.hash), (after.head().sequence, after.head().hash.to_vec()));
    let beyond = v1::ListEntriesRequest { from: head.sequence + 1, page_size: 1 };
    let beyond = client.list(beyond).await.unwrap().into_inner();
    assert_eq!((beyond.entries.len(), beyond.next), (0, 0));
    let many = client.list(v1::ListEntriesRequest { from: 1, page_size: 1001 }).await.unwrap_err();
    assert_eq!(failure_of(&many).unwrap().kind(), Kind::Invalid);
    cluster.stop().await;
}

async fn export(cluster: &Cluster, page_size: u32) -> Exported {
    let mut client = AuditServiceClient::new(cluster.channel(PeerRole::Auditor).await);
    let (mut log, mut from) = (Exported::default(), 1);
    while from > 0 {
        let request = v1::ListEntriesRequest { from, page_size };
        let page = client.list(request).await.unwrap().into_inner();
        assert!(page.entries.len() <= usize::try_from(page_size).unwrap());
        page.entries.iter().for_each(|entry| log.push(entry).unwrap());
        from = page.next;
    }
    log
}

/// The nodes cosign the coordinator's log by themselves, and a coordinator that forgot a part of it gets no cosignature.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_nodes_cosign_the_log_and_none_that_was_put_back() {
    let world = tokio::task::spawn_blocking(|| golden().world()).await.unwrap();
    let older = world.fork();
    let cluster = Cluster::start(world).await;
    cluster.sign(WALLET, &transfer(STRANGER, usdc(1), 2), "denied").await.unwrap();
    let note = cosigned(&cluster).await;
    assert_eq!(note.checkpoint.origin, "quorate/dev/coordinator-1");
    let manifest = quorate_manifest::Manifest::parse(&cluster.world.manifest().body).unwrap();
    let keys = manifest.nodes().iter().map(|node| (&node.id, &node.key));
    assert!(note.cosigners(manifest.cluster(), keys).unwrap().len() >= 2);
    // Each entry of it is proven by that checkpoint to whoever has the manifest.
    let mut client = AuditServiceClient::new(cluster.channel(PeerRole::Auditor).await);
    let denied = note.checkpoint.size;
    let v1::ProveResponse { entry, path, note: by } =
        client.prove(v1::ProveRequest { sequence: denied }).await.unwrap().into_inner();
    let by = quorate_session::Note::parse(&by).unwrap().checkpoint;
    let checkpoint = Checkpoint { sequence: by.size, hash: by.root };
    let path = path.iter().map(|hash| B256::from_slice(hash)).collect();
    let entry = quorate_audit::Proof { entry, checkpoint, path }.check().unwrap();
    assert_eq!((entry.sequence, entry.kind.as_str()), (denied, "sign.denied"));
    // The nodes keep what they saw; the coordinator's directory is put back to before it.
    let world = cluster.stop().await;
    let (from, to) = (older.path("coordinator/data"), world.path("coordinator/data"));
    assert!(from.is_dir() && to.is_dir());
    std::fs::remove_dir_all(&to).unwrap();
    assert!(std::process::Command::new("cp").arg("-a").args([&from, &to]).status().unwrap().success());
    let cluster = Cluster::start(world).await;
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let mut client = AuditServiceClient::new(cluster.channel(PeerRole::Auditor).await);
    let answer = client.checkpoint(v1::CheckpointRequest::default()).await.unwrap().into_inner();
    assert!(answer.size < note.checkpoint.size, "no two nodes cosigned anything of this log");
    cluster.stop().await;
}

async fn cosigned(cluster: &Cluster) -> quorate_session::Note {
    let mut client = AuditServiceClient::new(cluster.channel(PeerRole::Auditor).await);
    let head = client.head(v1::HeadRequest {}).await.unwrap().into_inner().head.unwrap();
    for _ in 0..100 {
        let answer = client.checkpoint(v1::CheckpointRequest::default()).await.unwrap().into_inner();
        if answer.size >= head.sequence {
            return quorate_session::Note::parse(&answer.note).unwrap();
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    panic!("no checkpoint was cosigned");
}
