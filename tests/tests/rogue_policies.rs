//! What a coordinator kept, held against the nodes: another wallet's policy, an older policy, and its own old database. All
//! of it was signed or written by the right hands once; none of it makes a signature outside policy.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use quorate_manifest::{Namespace, SignedDocument};
use quorate_proto::v1;
use quorate_proto::v1::node_frame::Frame;
use quorate_proto::v1::session_failure::Fault;
use quorate_proto::v1::session_start::Protocol;
use quorate_proto::v1::sign_response::Outcome;
use quorate_tests::{
    Cluster, FRIEND, STRANGER, Script, Stage, WALLET, golden, policy_yaml, shown, transfer, usdc, with_limits,
};
use quorate_types::{Payload, Role};

const NODES: [&str; 2] = ["agent-1", "service-1"];
const OTHER: &str = "wallet-2";

fn hash(policy: &SignedDocument) -> Vec<u8> {
    policy.hash(Namespace::Policy).to_vec()
}

/// What each node says to a policy that it is shown: nothing where it takes it.
async fn offered(stage: &mut Stage, policy: &SignedDocument) -> [String; 2] {
    let document = v1::SignedDocument { body: policy.body.clone(), signatures: policy.signatures.clone() };
    let mut said = NODES.map(|_| String::new());
    for (at, node) in NODES.into_iter().enumerate() {
        stage.relay.send(node, v1::relay_frame::Frame::Policy(document.clone())).await;
        said[at] = loop {
            if let (from, Frame::Document(ack)) = stage.relay.next().await
                && from == node
            {
                break ack.refused;
            }
        };
    }
    said
}

/// Both nodes refuse to go by this policy, at once, in a session and with a presignature, and blame nobody.
async fn refused_under(stage: &mut Stage, policy: &SignedDocument, payload: &Payload) {
    let start = v1::StartSign { policy_hash: hash(policy), ..shown(payload) };
    let ending = stage.play(Script::new(NODES.map(|node| (node, Protocol::Sign(start.clone()))))).await;
    assert!(ending.posts.is_empty() && ending.signed().is_none(), "{:?}", ending.outcomes);
    for node in NODES {
        let failure = ending.failure(node);
        assert_eq!(
            (failure.fault(), failure.field.as_str(), failure.released),
            (Fault::Caller, "policy_hash", false),
            "{node}: {failure:?}"
        );
        let request = Some(start.clone());
        let online = v1::StartOnline { presignature: vec![7; 32], request, contribution: b"sealed".to_vec() };
        let ending = stage.play(Script::new([(node, Protocol::Online(online))])).await;
        assert_eq!(ending.failure(node).field, "policy_hash", "{node}: {:?}", ending.outcomes);
    }
}

/// Another wallet of the same cluster may pay a stranger a thousand. That is no policy for this one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_wallets_policy_is_no_policy() {
    let world = tokio::task::spawn_blocking(|| golden().world()).await.unwrap();
    let cluster = Cluster::start(world).await;
    cluster.create_wallet(OTHER).await.unwrap();
    let generous = policy_yaml(2, "1000").replace(&FRIEND.to_string(), &STRANGER.to_string());
    let theirs = cluster.world.policy(&generous.replace(WALLET, OTHER));
    cluster.apply_policy(&theirs).await.unwrap();
    let mut stage = Stage::of(cluster.stop().await, &[Role::Agent, Role::Service]).await;

    let payload = transfer(STRANGER, usdc(1000), 1);
    refused_under(&mut stage, &theirs, &payload).await;
    // Shown again it is taken for what it says it is, and this wallet's stays.
    assert_eq!(offered(&mut stage, &theirs).await, ["", ""]);
    refused_under(&mut stage, &theirs, &payload).await;
    // Rewritten for this wallet it is nobody's.
    let rewritten = SignedDocument { body: generous.into_bytes(), signatures: theirs.signatures.clone() };
    for refused in offered(&mut stage, &rewritten).await {
        assert!(refused.contains("signature"), "{refused:?}");
    }
    refused_under(&mut stage, &rewritten, &payload).await;
    let ending = stage.sign(&payload).await;
    for node in NODES {
        let denial = ending.denial(node);
        assert_eq!(denial.policy_hash, golden().policy_hash.to_vec(), "{node}: {denial:?}");
    }
    stage.still_signs().await;
}

/// A policy was tightened. Whoever kept the one before can neither name it nor bring it back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_policy_is_no_policy() {
    let mut stage = Stage::signers().await;
    let (old, tighter) = (policy_yaml(1, "25.00"), policy_yaml(2, "5.00"));
    let (old, tighter) = (stage.world.policy(&old), stage.world.policy(&tighter));
    assert_eq!(offered(&mut stage, &tighter).await, ["", ""]);
    let payload = transfer(FRIEND, usdc(20), 1);
    for _ in 0..2 {
        refused_under(&mut stage, &old, &payload).await;
        for refused in offered(&mut stage, &old).await {
            assert!(refused.contains("older than 2"), "{refused:?}");
        }
        // Nor by processes that only know what is on their disks.
        for role in [Role::Agent, Role::Service] {
            stage.stop(role).await;
            stage.start(role).await;
        }
    }
    let ask = |payload: &Payload| {
        let start = v1::StartSign { policy_hash: hash(&tighter), ..shown(payload) };
        Script::new(NODES.map(|node| (node, Protocol::Sign(start.clone()))))
    };
    let ending = stage.play(ask(&payload)).await;
    for node in NODES {
        assert_eq!(ending.denial(node).failures[0].rule, "per_transaction");
    }
    assert!(stage.play(ask(&transfer(FRIEND, usdc(5), 2))).await.signed().is_some());
}

/// The cap is spent, and the coordinator's data directory put back to before: it believes that nothing was spent, and lets
/// everything through. The service node's own ledger does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_coordinator_with_its_old_database_spends_no_cap_twice() {
    let world = tokio::task::spawn_blocking(|| golden().world()).await.unwrap();
    let cluster = Cluster::start(world).await;
    let ten =
        "  cumulative:\n    - {asset: USDC, chain: base-sepolia, max: \"10\", window: {rolling_s: 86400}}\n";
    cluster.apply_policy(&cluster.world.policy(&with_limits(2, ten))).await.unwrap();
    let world = cluster.stop().await;
    let before = world.fork();

    let cluster = Cluster::start(world).await;
    for nonce in 1..3 {
        let answer = cluster.sign(WALLET, &transfer(FRIEND, usdc(5), nonce), &format!("pay-{nonce}")).await;
        assert!(matches!(answer.unwrap().outcome, Some(Outcome::Signed(_))));
    }
    denied_by("coordinator", &cluster, (3, "more")).await;
    let world = cluster.stop().await;
    world.restore_coordinator(&before);

    let cluster = Cluster::start(world).await;
    // The keys are free again, there: what was paid under them does not stand in the way of other payments.
    for asked in [(3, "pay-1"), (4, "pay-2"), (5, "more")] {
        denied_by("service-1", &cluster, asked).await;
    }
    let world = cluster.stop().await;
    let log = world.log(Role::Service);
    let contributed: Vec<_> = log.iter().filter(|entry| entry.kind == "sign.contributed").collect();
    assert_eq!(contributed.len(), 2, "{contributed:?}");
}

/// A dollar more is denied, by whom.
async fn denied_by(whom: &str, cluster: &Cluster, (nonce, key): (u64, &str)) {
    let answer = cluster.sign(WALLET, &transfer(FRIEND, usdc(1), nonce), key).await.unwrap();
    let Some(Outcome::Denied(denial)) = answer.outcome else { panic!("{answer:?}") };
    assert_eq!(denial.decided_by, whom);
    let failure = &denial.failures[0];
    assert_eq!((failure.rule.as_str(), failure.used.as_str()), ("cumulative", "10 USDC"), "{denial:?}");
}
