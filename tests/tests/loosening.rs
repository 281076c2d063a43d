//! A wallet created with a delay: its policy is tightened at once and by one, and loosened late and by two, whatever the
//! coordinator says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::time::Duration;

use quorate_manifest::{Namespace, SignedDocument};
use quorate_proto::payload_to_pb;
use quorate_proto::v1::node_frame::Frame;
use quorate_proto::v1::session_start::Protocol;
use quorate_proto::v1::sign_response::Outcome as Verdict;
use quorate_proto::v1::{self, relay_frame};
use quorate_tests::{Cluster, FRIEND, Script, Stage, WALLET, golden, policy_yaml, transfer, usdc};
use quorate_types::{Payload, Role};

const GUARDED: &str = "wallet-2";

fn yaml(version: u64, max: &str) -> String {
    policy_yaml(version, max).replace(WALLET, GUARDED)
}

/// The golden cluster with a second wallet, and version 1 of its policy: 5 USDC at once.
async fn cluster(delay_s: u32) -> Cluster {
    let world = tokio::task::spawn_blocking(|| golden().world()).await.unwrap();
    let cluster = Cluster::start(world).await;
    let wallet = cluster.create_guarded_wallet(GUARDED, delay_s).await.unwrap();
    assert_eq!(wallet.loosening_delay_s, Some(delay_s));
    let other = cluster.create_guarded_wallet(GUARDED, delay_s + 1).await.unwrap_err();
    assert!(other.message().contains("loosening_delay_s"), "{other}");
    let alone = cluster.apply_policy(&cluster.world.policy(&yaml(1, "5.00"))).await.unwrap_err();
    assert!(alone.message().contains("still to sign: one of otto"), "{alone}");
    let first = cluster.apply_policy(&cluster.world.policy_of_both(&yaml(1, "5.00"))).await.unwrap();
    assert_eq!((first.version, first.nodes.len(), first.waiting), (1, 2, None));
    cluster
}

async fn signs(cluster: &Cluster, payload: &Payload, key: &str) -> bool {
    match cluster.sign(GUARDED, payload, key).await.unwrap().outcome.unwrap() {
        Verdict::Signed(_) => true,
        Verdict::Denied(_) => false,
        Verdict::Waiting(waiting) => panic!("{waiting:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_one_operator_may_replace_the_others_no_wallet_is_promised_a_delay() {
    let world = tokio::task::spawn_blocking(|| golden().world()).await.unwrap();
    let cluster = Cluster::start(world).await;
    // Two of them say that from now on one is enough.
    let next = String::from_utf8(cluster.world.manifest().body).unwrap();
    let next = next.replace("version: 1", "version: 2").replace(", manifests: 2", "");
    let alone = cluster.world.next_manifest(&next, &["operator"]);
    let refused = cluster.apply_manifest(&alone).await.unwrap_err();
    assert!(refused.message().contains("2 signers must agree"), "{refused}");
    cluster.apply_manifest(&cluster.world.next_manifest(&next, &["operator", "operator-2"])).await.unwrap();
    let refused = cluster.create_guarded_wallet(GUARDED, 60).await.unwrap_err();
    assert!(refused.message().contains("loosening_delay_s"), "{refused}");
    assert!(refused.message().contains("quorum.manifests"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loosening_comes_into_force_by_itself_once_its_time_is_over() {
    let cluster = cluster(3).await;
    let (small, large) = (transfer(FRIEND, usdc(5), 1), transfer(FRIEND, usdc(6), 2));
    assert!(signs(&cluster, &small, "small").await);
    let looser = cluster.world.policy_of_both(&yaml(2, "9.00"));
    let applied = cluster.apply_policy(&looser).await.unwrap();
    let waiting = applied.waiting.unwrap();
    assert_eq!((applied.version, waiting.version, waiting.cancelled), (1, 2, false));
    assert_eq!((waiting.loosens, waiting.nodes.len()), (vec!["per_transaction".to_owned()], 2));
    assert!(!signs(&cluster, &large, "large").await, "the old policy is in force");
    let mut signed = false;
    for _ in 0..40 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        signed = signs(&cluster, &large, "large").await;
        if signed {
            break;
        }
    }
    assert!(signed, "it never came into force");
    let tighter = cluster.world.policy(&yaml(3, "4.00"));
    assert_eq!(cluster.apply_policy(&tighter).await.unwrap().version, 3);
    assert!(!signs(&cluster, &small, "again").await, "tightened at once");
    let world = cluster.stop().await;
    for role in [Role::Agent, Role::Service] {
        let log = world.log(role);
        let at = |kind: &str, version: u64| {
            let of = |entry: &&quorate_audit::Entry| {
                entry.kind == kind
                    && entry.wallet.as_ref().is_some_and(|wallet| wallet.as_str() == GUARDED)
                    && entry.fields["version"] == version
            };
            log.iter().find(of).unwrap_or_else(|| panic!("{role}: no {kind} of {version}")).at
        };
        assert!(at("policy.enforced", 2) - at("policy.waiting", 2) >= 3_000, "{role}: by its own clock");
    }
}

/// What a node says to a policy it is shown.
async fn show(stage: &mut Stage, node: &str, policy: &SignedDocument) -> v1::DocumentAck {
    let document = v1::SignedDocument { body: policy.body.clone(), signatures: policy.signatures.clone() };
    stage.relay.send(node, relay_frame::Frame::Policy(document)).await;
    loop {
        if let (from, Frame::Document(ack)) = stage.relay.next().await
            && from == node
        {
            return ack;
        }
    }
}

/// A coordinator in an attacker's hands, with one operator's key, and then with what both signed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rogue_coordinator_hastens_nothing() {
    let world = cluster(3_600).await.stop().await;
    let (looser, tighter) = (world.policy_of_both(&yaml(2, "9.00")), world.policy(&yaml(3, "4.00")));
    let alone = world.policy(&yaml(2, "9.00"));
    let twice = SignedDocument {
        signatures: [alone.signatures.clone(), alone.signatures.clone()].concat(),
        ..alone.clone()
    };
    let mut stage = Stage::of(world, &[Role::Agent, Role::Service]).await;
    let nodes = ["agent-1", "service-1"];
    for node in nodes {
        assert!(show(&mut stage, node, &alone).await.refused.contains("still to sign: one of otto"));
        assert!(!show(&mut stage, node, &twice).await.refused.is_empty(), "one signature twice");
        let noted = show(&mut stage, node, &looser).await;
        assert_eq!((noted.refused.as_str(), noted.version), ("", 2));
        assert!(noted.waits_until_ms > 0);
        let again = show(&mut stage, node, &looser).await;
        assert_eq!(again.waits_until_ms, noted.waits_until_ms, "showing it again hastens nothing");
    }
    let asked = |policy: &SignedDocument| {
        let payload = transfer(FRIEND, usdc(6), 7);
        Protocol::Sign(v1::StartSign {
            wallet: GUARDED.to_owned(),
            payload: Some(payload_to_pb(&payload)),
            policy_hash: policy.hash(Namespace::Policy).to_vec(),
            idempotency_key: "key-1".to_owned(),
            ..Default::default()
        })
    };
    let ending = stage.play(Script::new(nodes.map(|node| (node, asked(&looser))))).await;
    for node in nodes {
        assert_eq!(ending.failure(node).field, "policy_hash", "not in force yet");
    }
    for role in [Role::Agent, Role::Service] {
        stage.stop(role).await;
        stage.start(role).await;
    }
    let ending = stage.play(Script::new(nodes.map(|node| (node, asked(&looser))))).await;
    assert!(ending.signed().is_none(), "a restart puts nothing in force");
    for node in nodes {
        assert!(show(&mut stage, node, &looser).await.waits_until_ms > 0);
        let ack = show(&mut stage, node, &tighter).await;
        assert_eq!((ack.refused.as_str(), ack.version, ack.waits_until_ms), ("", 3, 0));
        assert!(show(&mut stage, node, &looser).await.refused.contains("older than 3"));
    }
    stage.still_signs().await;
}
