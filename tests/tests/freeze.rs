//! Freeze orders against the whole cluster, and against whoever holds the coordinator: an order can be held back, and
//! never undone.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use std::time::Instant;

use quorate_freeze::{Action, Order, RULE};
use quorate_manifest::{Namespace, SignedDocument};
use quorate_proto::v1::failure::Kind;
use quorate_proto::v1::freeze_service_client::FreezeServiceClient;
use quorate_proto::v1::node_frame::Frame;
use quorate_proto::v1::sign_response::Outcome;
use quorate_proto::{failure_of, v1};
use quorate_tests::{
    Cluster, FRIEND, Post, Stage, WALLET, World, assert_signed, both, golden, transfer, usdc,
};
use quorate_transport::PeerRole;
use quorate_types::{Payload, Role};
use tonic::{Response, Status};

fn payment(nonce: u64) -> Payload {
    transfer(FRIEND, usdc(1), nonce)
}

fn order(world: &World, scope: &str, sequence: u64, action: Action) -> v1::SignedDocument {
    let order = Order {
        cluster: "dev".parse().unwrap(),
        sequence,
        scope: scope.parse().unwrap(),
        action,
        reason: "a drill".to_owned(),
    };
    let body = order.to_yaml().unwrap().into_bytes();
    let signatures = vec![world.sign(&body, Namespace::Freeze)];
    v1::SignedDocument { body, signatures }
}

/// An order the operator never signed, under the signature of another.
fn forged(world: &World, scope: &str, sequence: u64, action: Action) -> v1::SignedDocument {
    let body = order(world, scope, sequence, action).body;
    v1::SignedDocument { body, ..order(world, scope, 1, Action::Freeze) }
}

async fn apply(cluster: &Cluster, order: v1::SignedDocument) -> Result<v1::ApplyFreezeResponse, Status> {
    let mut client = FreezeServiceClient::new(cluster.channel(PeerRole::Operator).await);
    let request = v1::ApplyFreezeRequest { order: Some(order) };
    client.apply_freeze(request).await.map(Response::into_inner)
}

fn frozen_by(denial: &v1::Denial, decided_by: &str) {
    assert_eq!(
        (denial.failures[0].rule.as_str(), denial.decided_by.as_str()),
        (RULE, decided_by),
        "{denial:?}"
    );
    assert!(denial.failures[0].reason.contains("a drill"), "{denial:?}");
}

async fn denied(cluster: &Cluster, key: &str) {
    let answer = cluster.sign(WALLET, &payment(1), key).await.unwrap();
    let Some(Outcome::Denied(denial)) = answer.outcome else { panic!("signed while frozen") };
    frozen_by(&denial, "coordinator");
}

async fn signs(cluster: &Cluster, key: &str) {
    let answer = cluster.sign(WALLET, &payment(1), key).await.unwrap();
    assert!(matches!(answer.outcome, Some(Outcome::Signed(_))), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_freeze_stops_the_cluster_outlives_restarts_and_is_lifted_by_operators() {
    let world = tokio::task::spawn_blocking(|| golden().world()).await.unwrap();
    let mut cluster = Cluster::start(world).await;
    signs(&cluster, "before").await;
    let agent = golden().wallet.agent.clone();
    let asset = "asset/0x036CbD53842c5426634e7929541eC2318f3dCF7e@84532";
    let scopes = ["all", &format!("wallet/{WALLET}"), &format!("agent/{agent}"), asset, "chain/84532"];
    for (number, scope) in scopes.iter().enumerate() {
        let began = Instant::now();
        let applied = apply(&cluster, order(&cluster.world, scope, 1, Action::Freeze)).await.unwrap();
        println!("{scope}: frozen on both nodes {:?} after the order was sent", began.elapsed());
        assert_eq!(applied.waiting, Vec::<String>::new());
        let mut nodes = applied.order.unwrap().nodes;
        nodes.sort();
        assert_eq!(nodes, ["agent-1", "service-1"]);
        denied(&cluster, &format!("frozen-{number}")).await;
        apply(&cluster, order(&cluster.world, scope, 2, Action::Unfreeze)).await.unwrap();
        signs(&cluster, &format!("frozen-{number}")).await;
    }
    let others = ["wallet/other", "agent/other", "asset/native@84532", "chain/1"];
    for scope in others {
        apply(&cluster, order(&cluster.world, scope, 1, Action::Freeze)).await.unwrap();
    }
    signs(&cluster, "others are frozen").await;

    apply(&cluster, order(&cluster.world, "all", 7, Action::Freeze)).await.unwrap();
    cluster.restart_coordinator().await;
    cluster.attached(&[Role::Agent, Role::Service]).await;
    denied(&cluster, "after a restart").await;
    for (sequence, action) in [(7, Action::Unfreeze), (8, Action::Freeze)] {
        let bad = forged(&cluster.world, "all", sequence, action);
        assert_eq!(failure_of(&apply(&cluster, bad).await.unwrap_err()).unwrap().kind(), Kind::Invalid);
    }
    let stale = order(&cluster.world, "all", 2, Action::Unfreeze);
    assert_eq!(failure_of(&apply(&cluster, stale).await.unwrap_err()).unwrap().kind(), Kind::Conflict);
    denied(&cluster, "after a restart").await;
    let mut client = FreezeServiceClient::new(cluster.channel(PeerRole::Auditor).await);
    let listed = client.list_freezes(v1::ListFreezesRequest {}).await.unwrap().into_inner();
    assert_eq!((listed.next_sequence, listed.orders.len()), (8, scopes.len() + others.len()));
    assert_eq!(listed.orders.iter().filter(|order| order.freezes).count(), 1 + others.len());
    cluster.stop().await;
}

/// A node that was away when an order was given has it before it signs again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_away_is_told_when_it_attaches() {
    let world = tokio::task::spawn_blocking(|| golden().world()).await.unwrap();
    let mut cluster = Cluster::start(world).await;
    cluster.stop_node(Role::Service).await;
    let freeze = order(&cluster.world, "all", 1, Action::Freeze);
    assert_eq!(apply(&cluster, freeze.clone()).await.unwrap().order.unwrap().nodes, ["agent-1"]);
    cluster.start_node(Role::Service).await;
    cluster.attached(&[Role::Service]).await;
    let again = apply(&cluster, freeze).await.unwrap();
    assert_eq!(again.order.unwrap().nodes.len(), 2);
    cluster.stop().await;
}

/// Shows a node an order as whoever holds the coordinator, and returns why it was refused.
async fn show(stage: &mut Stage, node: &str, order: &v1::SignedDocument) -> String {
    stage.relay.send(node, v1::relay_frame::Frame::Freeze(order.clone())).await;
    loop {
        if let (from, Frame::Document(ack)) = stage.relay.next().await
            && from == node
        {
            assert_eq!(ack.kind, "freeze");
            let document = SignedDocument { body: order.body.clone(), signatures: vec![] };
            assert_eq!(ack.hash, document.hash(Namespace::Freeze).as_slice());
            return ack.refused;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retired_wallet_is_never_signed_with_again() {
    let mut stage = Stage::signers().await;
    let scope = format!("wallet/{WALLET}");
    let retire = order(&stage.world, &scope, 1, Action::Retire);
    assert_eq!(show(&mut stage, "service-1", &retire).await, "");
    stage.stop(Role::Service).await;
    stage.start(Role::Service).await;
    for action in [Action::Unfreeze, Action::Freeze] {
        let later = order(&stage.world, &scope, 9, action);
        assert!(show(&mut stage, "service-1", &later).await.contains("is retired"));
    }
    let ending = stage.sign(&payment(1)).await;
    assert!(ending.signed().is_none());
    frozen_by(ending.denial("service-1"), "service-1");
    assert!(ending.denial("service-1").failures[0].reason.contains("is retired"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rogue_coordinator_can_hold_an_order_back_and_never_undo_it() {
    let mut stage = Stage::signers().await;
    let freeze = order(&stage.world, "all", 5, Action::Freeze);
    let old = order(&stage.world, "all", 4, Action::Unfreeze);
    let invented = forged(&stage.world, "all", 9, Action::Unfreeze);
    assert_ne!(show(&mut stage, "service-1", &invented).await, "");
    // Held back from the agent node: the service node alone stops the payment.
    assert_eq!(show(&mut stage, "service-1", &freeze).await, "");
    let ending = stage.sign(&payment(1)).await;
    assert!(ending.signed().is_none());
    frozen_by(ending.denial("service-1"), "service-1");
    for undo in [&old, &invented] {
        assert_ne!(show(&mut stage, "service-1", undo).await, "", "a freeze was undone");
    }
    // The same from a restarted node, and by the agent node alone.
    stage.stop(Role::Service).await;
    stage.start(Role::Service).await;
    assert_ne!(show(&mut stage, "service-1", &old).await, "");
    let ending = stage.sign(&payment(2)).await;
    frozen_by(ending.denial("service-1"), "service-1");
    let lift = order(&stage.world, "all", 6, Action::Unfreeze);
    assert_eq!(show(&mut stage, "service-1", &lift).await, "");
    assert_ne!(show(&mut stage, "service-1", &freeze).await, "", "a lifted freeze was replayed");
    stage.still_signs().await;
    let freeze = order(&stage.world, "all", 1, Action::Freeze);
    assert_eq!(show(&mut stage, "agent-1", &freeze).await, "");
    let ending = stage.sign(&payment(3)).await;
    assert!(ending.signed().is_none());
    frozen_by(ending.denial("agent-1"), "agent-1");
}

/// The order comes while both nodes compute: neither contributes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_session_is_stopped_half_way() {
    for node in ["agent-1", "service-1"] {
        let mut stage = Stage::signers().await;
        let payload = payment(1);
        assert_signed(&stage.sign(&payload).await, &payload);
        let freeze = order(&stage.world, "all", 1, Action::Freeze);
        let handle = tokio::runtime::Handle::current();
        let line = stage.relay.line(node);
        let mut seen = 0;
        let script = both(&payload).courier(move |post: Post| {
            seen += 1;
            if seen == 3 {
                let frame = v1::relay_frame::Frame::Freeze(freeze.clone());
                let line = line.clone();
                handle.spawn(async move {
                    let _ = line.send(Ok(v1::RelayFrame { frame: Some(frame) })).await;
                });
            }
            vec![post]
        });
        let ending = stage.play(script).await;
        assert!(ending.posts.len() > 3, "it had begun");
        assert!(ending.signed().is_none(), "{node} obeyed an order and a signature came out");
        frozen_by(ending.denial(node), node);
    }
}
