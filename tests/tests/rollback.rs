//! A node whose data directory was put back behind its back: it has forgotten what it spent, and must hear of it from its
//! peer before it signs anything.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use quorate_audit::{Checkpoint, Exported};
use quorate_proto::v1::audit_service_client::AuditServiceClient;
use quorate_proto::v1::node_frame::Frame;
use quorate_proto::v1::session_failure::Fault;
use quorate_proto::v1::session_start::Protocol;
use quorate_proto::v1::{self, relay_frame};
use quorate_session::Note;
use quorate_tests::{
    Cluster, FRIEND, Script, Stage, WALLET, assert_signed, golden, policy_yaml, transfer, usdc,
};
use quorate_transport::PeerRole;
use quorate_types::Role;

/// Twice, since the second session tells the peer what the first one added to the log.
async fn sign_twice(stage: &mut Stage, first: u64) {
    for nonce in first..first + 2 {
        let payload = transfer(FRIEND, usdc(1), nonce);
        let ending = stage.sign(&payload).await;
        assert_signed(&ending, &payload);
    }
}

async fn refuses(stage: &mut Stage, node: &str) {
    let start = Protocol::Sign(quorate_tests::shown(&transfer(FRIEND, usdc(1), 50)));
    let script = Script::new(["agent-1", "service-1"].map(|node| (node, start.clone())));
    let ending = stage.play(script.until(node)).await;
    assert!(ending.signed().is_none(), "{:?}", ending.outcomes);
    let failure = ending.failure(node);
    assert_eq!((failure.fault(), failure.field.as_str()), (Fault::Caller, "log"), "{failure:?}");
}

/// Has the node write entries of its own, as whoever holds the coordinator can.
async fn grow_log(stage: &mut Stage, node: &str, entries: u64) {
    put_policies(stage, node, 2..2 + entries).await;
}

async fn put_policies(stage: &mut Stage, node: &str, versions: std::ops::Range<u64>) {
    for version in versions {
        let policy = stage.world.policy(&policy_yaml(version, "25.00"));
        let document = v1::SignedDocument { body: policy.body, signatures: policy.signatures };
        stage.relay.send(node, relay_frame::Frame::Policy(document)).await;
        loop {
            if let (from, Frame::Document(ack)) = stage.relay.next().await
                && from == node
            {
                assert_eq!((ack.refused.as_str(), ack.wallet.as_str()), ("", WALLET));
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_put_back_to_an_older_state_signs_nothing_until_it_is_put_right() {
    let (mut stage, role) = (Stage::signers().await, Role::Service);
    sign_twice(&mut stage, 1).await;
    stage.stop(role).await;
    let older = stage.world.fork();
    stage.start(role).await;
    sign_twice(&mut stage, 10).await;
    stage.stop(role).await;
    let newest = stage.world.fork();
    stage.world.restore(role, &older);
    stage.start(role).await;
    // It writes down that it refused: with each time its log is longer, and at last longer than the one its peer saw.
    for _ in 0..8 {
        refuses(&mut stage, "service-1").await;
    }
    stage.stop(role).await;
    stage.world.restore(role, &newest);
    stage.start(role).await;
    sign_twice(&mut stage, 20).await;
}

/// The length of the log alone would not tell.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_log_that_grew_long_again_is_still_an_older_one() {
    let mut stage = Stage::signers().await;
    stage.stop(Role::Service).await;
    let older = stage.world.fork();
    stage.start(Role::Service).await;
    sign_twice(&mut stage, 1).await;
    stage.stop(Role::Service).await;
    stage.world.restore(Role::Service, &older);
    stage.start(Role::Service).await;
    let before = golden_policy(&stage);
    grow_log(&mut stage, "service-1", 6).await;
    grow_log(&mut stage, "agent-1", 6).await;
    let policy_hash = stage.world.policy(&policy_yaml(7, "25.00")).hash(quorate_manifest::Namespace::Policy);
    assert_ne!(before, policy_hash.to_vec());
    let start = v1::StartSign {
        policy_hash: policy_hash.to_vec(),
        ..quorate_tests::shown(&transfer(FRIEND, usdc(1), 60))
    };
    let starts =
        ["agent-1", "service-1"].map(|node| (node, v1::session_start::Protocol::Sign(start.clone())));
    let ending = stage.play(quorate_tests::Script::new(starts)).await;
    assert!(ending.signed().is_none(), "{:?}", ending.outcomes);
    assert_eq!(ending.failure("service-1").field, "log", "{:?}", ending.outcomes);
}

fn golden_policy(stage: &Stage) -> Vec<u8> {
    stage.world.policy(&policy_yaml(1, "25.00")).hash(quorate_manifest::Namespace::Policy).to_vec()
}

/// A node's word on its own log: its latest checkpoint, once its tree has all of what it wrote.
async fn own_log(stage: &mut Stage, node: &str, from: u64) -> v1::NodeLog {
    let mut size = 0;
    for _ in 0..50 {
        stage.relay.send(node, relay_frame::Frame::Log(v1::AskLog { from, size: 0 })).await;
        let shown = loop {
            if let (_, Frame::Log(shown)) = stage.relay.next().await {
                break shown;
            }
        };
        if !shown.refused.is_empty() {
            return shown;
        }
        // Grown since the last look, it may grow on.
        let now = Note::parse(&shown.note).map_or(0, |note| note.checkpoint.size);
        if now > 0 && now == size {
            return shown;
        }
        size = now;
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    }
    panic!("{node} shows nothing of its log");
}

async fn cosign(stage: &mut Stage, witness: &str, shown: &v1::NodeLog) -> v1::Cosigned {
    let v1::NodeLog { note, from, proof, head, head_proof, .. } = shown.clone();
    let asked = v1::Cosign { checkpoint: note, from, proof, head, head_proof };
    stage.relay.send(witness, relay_frame::Frame::Cosign(asked)).await;
    loop {
        if let (_, Frame::Cosigned(said)) = stage.relay.next().await {
            return said;
        }
    }
}

/// The agent node's cosignature under the service node's log as it is, from where the agent node saw it last: whoever made
/// the golden world may have had an earlier checkpoint cosigned.
async fn vouch(stage: &mut Stage) -> v1::Cosigned {
    let shown = own_log(stage, "service-1", 0).await;
    let said = cosign(stage, "agent-1", &shown).await;
    if said.refused.is_empty() {
        return said;
    }
    let shown = own_log(stage, "service-1", said.known).await;
    cosign(stage, "agent-1", &shown).await
}

async fn bring(stage: &mut Stage, node: &str, note: String) {
    stage.relay.send(node, relay_frame::Frame::Witnessed(v1::LogNote { note })).await;
    // Papers are done one after the other: what is asked next is answered after it.
    stage.relay.send(node, relay_frame::Frame::Log(v1::AskLog { from: 1, size: 1 })).await;
    while !matches!(stage.relay.next().await, (_, Frame::Log(v1::NodeLog { size: 1, .. }))) {}
}

/// A log that the other node cosigned is remembered by that node, and its word counts without any session.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_put_back_is_shown_the_checkpoint_it_signed_of_a_later_log() {
    let (mut stage, role) = (Stage::signers().await, Role::Service);
    stage.stop(role).await;
    let older = stage.world.fork();
    stage.start(role).await;
    sign_twice(&mut stage, 1).await;
    // Started again it takes what it wrote into its tree at once.
    stage.stop(role).await;
    stage.start(role).await;
    assert_eq!(vouch(&mut stage).await.refused, "");
    stage.stop(role).await;
    let newest = stage.world.fork();
    stage.world.restore(role, &older);
    stage.start(role).await;
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let put_back = own_log(&mut stage, "service-1", 0).await;
    let said = cosign(&mut stage, "agent-1", &put_back).await;
    assert_eq!(said.refused, "checkpoint: the log shrank", "the witness sees it by itself");
    // What a coordinator makes of that, or of nothing, is not believed.
    let bent = said.seen.replacen("service-1", "agent-1", 1);
    for note in [put_back.note.clone(), bent, String::new(), said.seen.replace('\n', "\n\n")] {
        bring(&mut stage, "service-1", note).await;
        assert_eq!(own_log(&mut stage, "service-1", 0).await.refused, "");
    }
    bring(&mut stage, "service-1", said.seen).await;
    let failed = stage.sign(&transfer(FRIEND, usdc(1), 50)).await;
    let failure = failed.failure("service-1");
    assert_eq!((failure.fault(), failure.field.as_str()), (Fault::Caller, "log"), "{failure:?}");
    assert!(failure.reason.starts_with("another node cosigned"), "{}", failure.reason);
    // It does not forget that, and vouches for its log no more.
    stage.stop(role).await;
    stage.start(role).await;
    assert!(own_log(&mut stage, "service-1", 0).await.refused.starts_with("another node cosigned"));
    refuses(&mut stage, "service-1").await;
    stage.stop(role).await;
    let log = stage.world.log(role);
    assert_eq!(log.iter().filter(|entry| entry.kind == "node.rolled_back").count(), 1);
    stage.world.restore(role, &newest);
    stage.start(role).await;
    sign_twice(&mut stage, 20).await;
}

/// Whoever carries checkpoints may hold the later ones back for ever: a session with whoever cosigned one tells all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_node_cosigned_is_in_its_next_open() {
    let (mut stage, role) = (Stage::signers().await, Role::Service);
    grow_log(&mut stage, "service-1", 1).await;
    stage.stop(role).await;
    let older = stage.world.fork();
    stage.start(role).await;
    // No session has told the agent node of what comes now.
    put_policies(&mut stage, "service-1", 3..6).await;
    stage.stop(role).await;
    stage.start(role).await;
    assert_eq!(vouch(&mut stage).await.refused, "");
    stage.stop(role).await;
    stage.world.restore(role, &older);
    stage.start(role).await;
    grow_log(&mut stage, "agent-1", 1).await;
    let policy = stage.world.policy(&policy_yaml(2, "25.00")).hash(quorate_manifest::Namespace::Policy);
    let start = v1::StartSign {
        policy_hash: policy.to_vec(),
        ..quorate_tests::shown(&transfer(FRIEND, usdc(1), 60))
    };
    let starts =
        ["agent-1", "service-1"].map(|node| (node, v1::session_start::Protocol::Sign(start.clone())));
    let ending = stage.play(quorate_tests::Script::new(starts)).await;
    assert!(ending.signed().is_none(), "{:?}", ending.outcomes);
    let failure = ending.failure("service-1");
    assert_eq!(failure.field, "log", "{failure:?}");
    assert!(failure.reason.starts_with("agent-1 saw entry"), "{}", failure.reason);
}

/// Through the coordinator as it is: nobody does anything but put the directory back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_coordinator_brings_a_node_that_was_put_back_the_proof_and_tells_people() {
    let world = tokio::task::spawn_blocking(|| golden().world()).await.unwrap();
    let older = world.fork();
    let cluster = Cluster::start(world).await;
    let signed = cluster.sign(WALLET, &transfer(FRIEND, usdc(1), 1), "pay").await.unwrap();
    assert!(matches!(signed.outcome, Some(v1::sign_response::Outcome::Signed(_))), "{signed:?}");
    let mut client = AuditServiceClient::new(cluster.channel(PeerRole::Auditor).await);
    let request = v1::CheckpointRequest { node: "service-1".to_owned() };
    let before = older.log(Role::Service).len() as u64;
    let note = loop {
        let answer = client.checkpoint(request.clone()).await.unwrap().into_inner();
        if answer.size > before {
            break Note::parse(&answer.note).unwrap();
        }
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    };
    let manifest = quorate_manifest::Manifest::parse(&cluster.world.manifest().body).unwrap();
    for node in ["service-1", "agent-1"] {
        let entry = manifest.node(&node.parse().unwrap()).unwrap();
        let line = note.cosignature(manifest.cluster(), (&entry.id, &entry.key)).unwrap();
        assert!(line.is_some(), "{node}");
    }
    let world = cluster.stop().await;
    let exported = world.path("service.jsonl");
    let any = "127.0.0.1:1".parse().unwrap();
    let report = quorate_node::export_log(&world.node(Role::Service, any), &exported).unwrap();
    assert!(report.cosigned.is_some_and(|cosigned| cosigned > before), "{report:?}");
    let log = Exported::read(&std::fs::read_to_string(&exported).unwrap()).unwrap();
    let size_and_root = Checkpoint { sequence: note.checkpoint.size, hash: note.checkpoint.root };
    log.extends(&size_and_root).unwrap();
    world.restore(Role::Service, &older);
    let cluster = Cluster::start(world).await;
    told(&cluster).await;
    let refused = cluster.sign(WALLET, &transfer(FRIEND, usdc(1), 2), "again").await.unwrap_err();
    assert!(refused.message().contains("another node cosigned"), "{refused}");
    cluster.stop().await;
}

/// Waits until the coordinator's log says that the service node was put back.
async fn told(cluster: &Cluster) {
    let mut client = AuditServiceClient::new(cluster.channel(PeerRole::Auditor).await);
    for _ in 0..100 {
        let request = v1::ListEntriesRequest { from: 1, page_size: 1000 };
        let page = client.list(request).await.unwrap().into_inner();
        if page.entries.iter().any(|entry| entry.contains("node.rolled_back") && entry.contains("service-1"))
        {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    panic!("nobody was told");
}
