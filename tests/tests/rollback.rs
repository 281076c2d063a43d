//! A node whose data directory was put back behind its back: it has forgotten what it spent, and must hear of it from its
//! peer before it signs anything.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use quorate_proto::v1::node_frame::Frame;
use quorate_proto::v1::session_failure::Fault;
use quorate_proto::v1::{self, relay_frame};
use quorate_tests::{FRIEND, Stage, WALLET, assert_signed, policy_yaml, transfer, usdc};
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
    let ending = stage.sign(&transfer(FRIEND, usdc(1), 50)).await;
    assert!(ending.signed().is_none(), "{:?}", ending.outcomes);
    let failure = ending.failure(node);
    assert_eq!((failure.fault(), failure.field.as_str()), (Fault::Caller, "log"), "{failure:?}");
}

/// Has the node write entries of its own, as whoever holds the coordinator can.
async fn grow_log(stage: &mut Stage, node: &str, entries: u64) {
    for version in 2..2 + entries {
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
    refuses(&mut stage, "service-1").await;
    refuses(&mut stage, "service-1").await;
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
