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
use quorate_proto::v1::session_outcome::Outcome as Answer;
use quorate_proto::v1::sign_response::Outcome;
use quorate_proto::{failure_of, v1};
use quorate_tests::{
    CLUSTER, Cluster, FRIEND, Post, Script, Stage, WALLET, World, assert_signed, both, golden, shown,
    transfer, usdc,
};
use quorate_transport::PeerRole;
use quorate_types::{Payload, Role};
use tonic::{Response, Status};

const SIGNERS: [&str; 2] = ["agent-1", "service-1"];

fn payment(nonce: u64) -> Payload {
    transfer(FRIEND, usdc(1), nonce)
}

fn order(world: &World, scope: &str, sequence: u64, action: Action) -> v1::SignedDocument {
    order_by(world, &["operator"], (scope, sequence, action))
}

/// An order under the signatures of these people.
fn order_by(
    world: &World,
    signers: &[&str],
    (scope, sequence, action): (&str, u64, Action),
) -> v1::SignedDocument {
    let order = Order {
        cluster: CLUSTER.parse().unwrap(),
        sequence,
        scope: scope.parse().unwrap(),
        action,
        reason: "a drill".to_owned(),
    };
    let SignedDocument { body, signatures } =
        world.signed(&order.to_yaml().unwrap(), Namespace::Freeze, signers);
    v1::SignedDocument { body, signatures }
}

/// Everything that an order can be about and [`payment`] is.
fn covering() -> [String; 5] {
    let agent = &golden().wallet.agent;
    let asset = "asset/0x036CbD53842c5426634e7929541eC2318f3dCF7e@84532";
    [
        "all".to_owned(),
        format!("wallet/{WALLET}"),
        format!("agent/{agent}"),
        asset.to_owned(),
        "chain/84532".to_owned(),
    ]
}

/// What it is not.
const OTHERS: [&str; 4] = ["wallet/other", "agent/other", "asset/native@84532", "chain/1"];

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
    let scopes = covering();
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
    for scope in OTHERS {
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
    assert_eq!((listed.next_sequence, listed.orders.len()), (8, scopes.len() + OTHERS.len()));
    assert_eq!(listed.orders.iter().filter(|order| order.freezes).count(), 1 + OTHERS.len());
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
    let ending = stage.play(both(&payment(1)).until("service-1")).await;
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
    let ending = stage.play(both(&payment(1)).until("service-1")).await;
    assert!(ending.signed().is_none());
    frozen_by(ending.denial("service-1"), "service-1");
    for undo in [&old, &invented] {
        assert_ne!(show(&mut stage, "service-1", undo).await, "", "a freeze was undone");
    }
    // The same from a restarted node, and by the agent node alone.
    stage.stop(Role::Service).await;
    stage.start(Role::Service).await;
    assert_ne!(show(&mut stage, "service-1", &old).await, "");
    let ending = stage.play(both(&payment(2)).until("service-1")).await;
    frozen_by(ending.denial("service-1"), "service-1");
    let lift = order(&stage.world, "all", 6, Action::Unfreeze);
    assert_eq!(show(&mut stage, "service-1", &lift).await, "");
    assert_ne!(show(&mut stage, "service-1", &freeze).await, "", "a lifted freeze was replayed");
    stage.still_signs().await;
    let freeze = order(&stage.world, "all", 1, Action::Freeze);
    assert_eq!(show(&mut stage, "agent-1", &freeze).await, "");
    let ending = stage.play(both(&payment(3)).until("agent-1")).await;
    assert!(ending.signed().is_none());
    frozen_by(ending.denial("agent-1"), "agent-1");
}

/// A session in which a node is shown orders while both compute.
fn interrupted(stage: &Stage, orders: Vec<(&str, v1::SignedDocument)>) -> Script<'static> {
    let handle = tokio::runtime::Handle::current();
    let mut orders: Vec<_> =
        orders.into_iter().map(|(node, order)| (stage.relay.line(node), order)).collect();
    let mut seen = 0;
    both(&payment(1)).courier(move |post: Post| {
        seen += 1;
        if seen == 3 {
            let orders = std::mem::take(&mut orders);
            handle.spawn(async move {
                for (line, order) in orders {
                    let frame = Some(v1::relay_frame::Frame::Freeze(order));
                    let _ = line.send(Ok(v1::RelayFrame { frame })).await;
                }
            });
        }
        vec![post]
    })
}

/// The order comes while both nodes compute, and to one of them alone: that one does not contribute. One about something
/// else stops nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_session_is_stopped_half_way_by_an_order_about_it() {
    let mut stage = Stage::signers().await;
    for node in SIGNERS {
        for scope in covering() {
            let freeze = order(&stage.world, &scope, 1, Action::Freeze);
            let script = interrupted(&stage, vec![(node, freeze)]).until(node);
            let ending = stage.play(script).await;
            assert!(ending.posts.len() > 3, "it had begun");
            assert!(ending.signed().is_none(), "{node} obeyed an order for {scope} and a signature came out");
            frozen_by(ending.denial(node), node);
            let lift = order(&stage.world, &scope, 2, Action::Unfreeze);
            assert_eq!(show(&mut stage, node, &lift).await, "");
        }
    }
    let others = SIGNERS.iter().flat_map(|node| {
        let world = &stage.world;
        OTHERS.iter().map(move |scope| (*node, order(world, scope, 1, Action::Freeze)))
    });
    let script = interrupted(&stage, others.collect());
    let ending = stage.play(script).await;
    assert_signed(&ending, &payment(1));
    for role in [Role::Agent, Role::Service] {
        stage.stop(role).await;
        let log = stage.world.log(role);
        let obeyed = log.iter().filter(|entry| entry.kind == "freeze.enforced").count();
        assert_eq!(obeyed, 2 * covering().len() + OTHERS.len(), "{role} saw all of them");
    }
}

/// Through the pool a signature is two messages, and the order comes between them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signature_through_the_pool_is_stopped_by_each_node_alone() {
    let mut stage = Stage::signers().await;
    let payload = payment(1);
    let presignature = stage.presign().await;
    let ask = |contribution: &[u8]| v1::StartOnline {
        presignature: presignature.clone(),
        request: Some(shown(&payload)),
        contribution: contribution.to_vec(),
    };
    let contribution = match stage.online("agent-1", ask(&[])).await {
        Answer::Contributed(sealed) => sealed,
        other => panic!("no contribution: {other:?}"),
    };
    for node in SIGNERS {
        for scope in covering() {
            let freeze = order(&stage.world, &scope, 1, Action::Freeze);
            assert_eq!(show(&mut stage, node, &freeze).await, "");
            match stage.online(node, ask(&contribution)).await {
                Answer::Denied(denial) => frozen_by(&denial, node),
                other => panic!("{node} obeys an order for {scope}: {other:?}"),
            }
            let lift = order(&stage.world, &scope, 2, Action::Unfreeze);
            assert_eq!(show(&mut stage, node, &lift).await, "");
        }
        for scope in OTHERS {
            let freeze = order(&stage.world, scope, 1, Action::Freeze);
            assert_eq!(show(&mut stage, node, &freeze).await, "");
        }
    }
    // Nothing was used up by any of it.
    let answer = stage.online("service-1", ask(&contribution)).await;
    assert!(matches!(answer, Answer::Signed(_)), "{answer:?}");
}

/// Whoever can freeze cannot lift alone: one operator's order is refused by the coordinator, and by each node that is shown it
/// by whoever holds the coordinator. Two operators' is obeyed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_takes_two_operators_to_lift_what_one_person_froze() {
    const FEW: [&[&str]; 5] =
        [&[], &["operator"], &["operator-2"], &["operator", "operator"], &["operator", "anne"]];
    const BOTH: &[&str] = &["operator", "operator-2"];
    let world = tokio::task::spawn_blocking(|| golden().world()).await.unwrap();
    world.require_both_operators();
    let cluster = Cluster::start(world).await;
    let wallet = format!("wallet/{WALLET}");
    for (scope, by) in [(wallet.as_str(), "anne"), ("all", "operator")] {
        apply(&cluster, order_by(&cluster.world, &[by], (scope, 1, Action::Freeze))).await.unwrap();
    }
    for few in FEW {
        let lift = order_by(&cluster.world, few, ("all", 2, Action::Unfreeze));
        let refused = failure_of(&apply(&cluster, lift).await.unwrap_err()).unwrap();
        assert_eq!(
            (refused.kind(), refused.field.as_str()),
            (Kind::Invalid, "order"),
            "{few:?}: {refused:?}"
        );
    }
    denied(&cluster, "two of them").await;
    let lift = order_by(&cluster.world, BOTH, ("all", 2, Action::Unfreeze));
    assert_eq!(apply(&cluster, lift).await.unwrap().order.unwrap().nodes.len(), 2);
    denied(&cluster, "one is left").await;

    let mut stage = Stage::of(cluster.stop().await, &[Role::Agent, Role::Service]).await;
    for node in SIGNERS {
        for few in FEW {
            let lift = order_by(&stage.world, few, (&wallet, 2, Action::Unfreeze));
            assert_ne!(show(&mut stage, node, &lift).await, "", "{node} obeyed {few:?}");
        }
    }
    let ending = stage.sign(&payment(2)).await;
    SIGNERS.iter().for_each(|node| frozen_by(ending.denial(node), node));
    for node in SIGNERS {
        let lift = order_by(&stage.world, BOTH, (&wallet, 2, Action::Unfreeze));
        assert_eq!(show(&mut stage, node, &lift).await, "");
    }
    stage.still_signs().await;
}
