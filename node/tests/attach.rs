//! A node and its coordinators, over real TLS.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(unreachable_pub, dead_code, reason = "shared between test binaries")]

mod common;

use std::time::Duration;

use common::{Cluster, Coordinator, readyz, until};
use quorate_proto::v1::node_frame::Frame as FromNode;
use quorate_proto::v1::relay_frame::Frame;
use quorate_transport::PeerRole;

#[tokio::test]
async fn says_hello_is_ready_and_puts_documents_in_force() {
    let cluster = Cluster::new();
    let mut coordinator = Coordinator::start(&cluster, "coordinator-1").await;
    let node = cluster.start(&cluster.yaml(&[("coordinator-1", coordinator.address)])).await.unwrap();
    assert!(!node.ready());
    let health = node.health_addr();
    let answer = tokio::task::spawn_blocking(move || readyz(health)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("attached to no coordinator"), "{answer}");

    let (mut stream, hello) = coordinator.welcome(1_000).await;
    assert_eq!((hello.node.as_str(), hello.manifest_version, hello.primes_ready), ("service-1", 1, 1));
    assert_eq!((hello.boot_id.len(), hello.manifest_hash.len()), (16, 32));
    until(|| node.ready()).await;
    let answer = tokio::task::spawn_blocking(move || readyz(health)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    stream.send(Frame::Policy(cluster.policy("w", 3))).await;
    let Some(FromNode::Document(ack)) = stream.answer().await else { panic!("expected an ack") };
    assert_eq!(
        (ack.kind.as_str(), ack.wallet.as_str(), ack.version, ack.refused.as_str()),
        ("policy", "w", 3, "")
    );
    stream.send(Frame::Manifest(cluster.manifest(2))).await;
    let Some(FromNode::Document(ack)) = stream.answer().await else { panic!("expected an ack") };
    assert_eq!((ack.kind.as_str(), ack.version, ack.refused.as_str()), ("manifest", 2, ""));
    node.shutdown().await;

    // Another process on the same disk: what was in force still is, and cannot be brought down.
    let node = cluster.start(&cluster.yaml(&[("coordinator-1", coordinator.address)])).await.unwrap();
    let (mut stream, again) = coordinator.welcome(1_000).await;
    assert_eq!(again.manifest_version, 2);
    assert_ne!(again.boot_id, hello.boot_id);
    stream.send(Frame::Policy(cluster.policy("w", 2))).await;
    let Some(FromNode::Document(ack)) = stream.answer().await else { panic!("expected an ack") };
    assert!(ack.refused.contains("older than 3"), "{}", ack.refused);
    node.shutdown().await;
}

#[tokio::test]
async fn comes_back_after_its_stream_ended() {
    let cluster = Cluster::new();
    let mut coordinator = Coordinator::start(&cluster, "coordinator-1").await;
    let node = cluster.start(&cluster.yaml(&[("coordinator-1", coordinator.address)])).await.unwrap();
    let (stream, first) = coordinator.welcome(1_000).await;
    until(|| node.ready()).await;
    drop(stream);
    until(|| !node.ready()).await;
    let (_stream, second) = coordinator.welcome(1_000).await;
    assert_eq!(first.boot_id, second.boot_id);
    until(|| node.ready()).await;
    node.shutdown().await;
}

#[tokio::test]
async fn heartbeats_go_both_ways_and_three_missed_end_the_stream() {
    let cluster = Cluster::new();
    let mut coordinator = Coordinator::start(&cluster, "coordinator-1").await;
    let node = cluster.start(&cluster.yaml(&[("coordinator-1", coordinator.address)])).await.unwrap();
    let (mut stream, _) = coordinator.welcome(100).await;
    // Answered, the stream outlives three periods many times over.
    for _ in 0..10 {
        assert!(matches!(stream.frame().await, Some(FromNode::Heartbeat(_))));
        stream.beat().await;
    }
    // Silent from here on: the node still beats, and then leaves.
    let mut more = 0;
    while let Some(frame) = stream.frame().await {
        assert!(matches!(frame, FromNode::Heartbeat(_)));
        more += 1;
    }
    assert!((1..=4).contains(&more), "{more} heartbeats into silence");
    coordinator.welcome(1_000).await;
    node.shutdown().await;
}

#[tokio::test]
async fn two_coordinators_at_once() {
    let cluster = Cluster::new();
    let mut one = Coordinator::start(&cluster, "coordinator-1").await;
    let mut two = Coordinator::start(&cluster, "coordinator-2").await;
    let both = [("coordinator-1", one.address), ("coordinator-2", two.address)];
    let node = cluster.start(&cluster.yaml(&both)).await.unwrap();
    let (first, _) = one.welcome(1_000).await;
    let (mut second, _) = two.welcome(1_000).await;
    until(|| node.ready()).await;
    drop((first, one));
    second.send(Frame::Policy(cluster.policy("w", 1))).await;
    let Some(FromNode::Document(ack)) = second.answer().await else { panic!("expected an ack") };
    assert_eq!(ack.refused, "");
    assert!(node.ready(), "one of two is enough");
    node.shutdown().await;
}

#[tokio::test]
async fn a_flood_of_documents_waits_and_none_is_lost() {
    let cluster = Cluster::new();
    let mut coordinator = Coordinator::start(&cluster, "coordinator-1").await;
    let node = cluster.start(&cluster.yaml(&[("coordinator-1", coordinator.address)])).await.unwrap();
    let (mut stream, _) = coordinator.welcome(1_000).await;
    let policies: Vec<_> = (0..300).map(|i| cluster.policy(&format!("w-{i}"), 1)).collect();
    for policy in policies {
        stream.send(Frame::Policy(policy)).await;
    }
    for i in 0..300 {
        let Some(FromNode::Document(ack)) = stream.answer().await else { panic!("expected an ack") };
        assert_eq!((ack.wallet, ack.refused), (format!("w-{i}"), String::new()));
    }
    node.shutdown().await;
}

#[tokio::test]
async fn an_impostor_is_not_attached_to() {
    let cluster = Cluster::new();
    let mut impostor = Coordinator::start(&cluster, "coordinator-2").await;
    let node = cluster.start(&cluster.yaml(&[("coordinator-1", impostor.address)])).await.unwrap();
    assert!(impostor.alone(Duration::from_secs(2)).await);
    assert!(!node.ready());
    node.shutdown().await;
}

#[tokio::test]
async fn the_first_frame_must_be_a_sane_welcome() {
    let cluster = Cluster::new();
    let mut coordinator = Coordinator::start(&cluster, "coordinator-1").await;
    let node = cluster.start(&cluster.yaml(&[("coordinator-1", coordinator.address)])).await.unwrap();
    for heartbeat_ms in [0, 1, u32::MAX] {
        let (mut stream, _) = coordinator.welcome(heartbeat_ms).await;
        assert!(stream.frame().await.is_none(), "{heartbeat_ms}");
    }
    let mut stream = coordinator.next().await;
    stream.frame().await.expect("hello");
    stream.send(Frame::Policy(cluster.policy("w", 1))).await;
    assert!(stream.frame().await.is_none());
    assert!(!node.ready());
    node.shutdown().await;
}

#[tokio::test]
async fn what_does_not_belong_together_does_not_start() {
    let cluster = Cluster::new();
    let good = cluster.yaml(&[("coordinator-1", ([127, 0, 0, 1], 1).into())]);
    cluster.certificate(PeerRole::Node, "service-2", "other");
    let cases = [
        ("tls/", "other/", "tls.certificate: is for spiffe://dev/node/service-2"),
        ("dev: true", "dev: false", "manifest: dev"),
        ("role: service", "role: agent", "configured as agent"),
        ("manifest.sig", "kek", "signature"),
        ("file: kek", "file: manifest.yaml", "kek"),
        ("data_dir: data", "data_dir: elsewhere", "quorate-node init"),
    ];
    for (from, to, words) in cases {
        let error = cluster.start(&good.replace(from, to)).await.err().expect(words);
        assert!(error.is_configuration(), "{error}");
        assert!(error.to_string().contains(words), "{words}: {error}");
    }
    let node = cluster.start(&good).await.unwrap();
    let second = cluster.start(&good).await.err().expect("the store is locked");
    assert!(second.is_configuration() && second.to_string().contains("already open"), "{second}");
    node.shutdown().await;
    cluster.start(&good).await.expect("the lock is gone").shutdown().await;
}

#[tokio::test]
async fn no_secret_is_on_disk_in_clear() {
    let cluster = Cluster::new();
    let mut coordinator = Coordinator::start(&cluster, "coordinator-1").await;
    let node = cluster.start(&cluster.yaml(&[("coordinator-1", coordinator.address)])).await.unwrap();
    let (mut stream, _) = coordinator.welcome(1_000).await;
    stream.send(Frame::Policy(cluster.policy("w", 1))).await;
    stream.answer().await.expect("an ack");
    node.shutdown().await;
    // A policy is no secret, but it shows that what the store keeps is sealed.
    let canary = b"0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf";
    let store = common::files(&cluster.path("data/store"));
    assert!(!store.is_empty());
    for file in store {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(canary.len()).any(|window| window == canary), "{}", file.display());
    }
}
