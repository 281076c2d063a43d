//! Presignatures: one digest each, whatever the coordinator does, and a path to a signature that is as well guarded as the
//! long one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::time::Duration;

use quorate_proto::v1;
use quorate_proto::v1::node_frame::Frame;
use quorate_proto::v1::relay_frame;
use quorate_proto::v1::session_failure::Fault;
use quorate_proto::v1::session_outcome::Outcome;
use quorate_proto::v1::session_start::Protocol;
use quorate_proto::v1::sign_response;
use quorate_tests::{
    Cluster, FRIEND, STRANGER, Stage, WALLET, golden, policy_yaml, recover, shown, transfer, usdc,
};
use quorate_types::{Payload, Role, Signature};

const AGENT: &str = "agent-1";
const SERVICE: &str = "service-1";

fn payment(nonce: u64) -> Payload {
    transfer(FRIEND, usdc(1), nonce)
}

fn start(id: &[u8], payload: &Payload, contribution: &[u8]) -> v1::StartOnline {
    v1::StartOnline {
        presignature: id.to_vec(),
        request: Some(shown(payload)),
        contribution: contribution.to_vec(),
    }
}

fn contributed(outcome: Outcome) -> Vec<u8> {
    match outcome {
        Outcome::Contributed(sealed) => sealed,
        other => panic!("no contribution: {other:?}"),
    }
}

/// The signature, checked with a second library, and its r.
fn signed(outcome: Outcome, payload: &Payload) -> Vec<u8> {
    let Outcome::Signed(signed) = outcome else { panic!("no signature: {outcome:?}") };
    let digest = quorate_intent::decode(payload).unwrap().digest.digest();
    Signature::from_bytes(&signed.signature, digest, golden().public_key()).unwrap();
    assert_eq!(recover(&signed.signature, digest), golden().public_key().address());
    assert_eq!(signed.intent.unwrap().node, AGENT);
    signed.signature
}

/// The field a refusal names. It blames nobody, and nothing has left.
fn refused(outcome: &Outcome) -> &str {
    let Outcome::Failed(failure) = outcome else { panic!("not refused: {outcome:?}") };
    assert_eq!((failure.fault(), failure.blamed.as_str()), (Fault::Caller, ""), "{failure:?}");
    assert!(!failure.released, "{failure:?}");
    &failure.field
}

async fn sign(stage: &mut Stage, id: &[u8], payload: &Payload) -> Vec<u8> {
    let sealed = contributed(stage.online(AGENT, start(id, payload, &[])).await);
    signed(stage.online(SERVICE, start(id, payload, &sealed)).await, payload)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_presignature_signs_one_digest_and_gives_the_same_answer_again() {
    let mut stage = Stage::signers().await;
    let id = stage.presign().await;
    let (mine, other) = (payment(1), payment(2));
    let sealed = contributed(stage.online(AGENT, start(&id, &mine, &[])).await);
    let again = contributed(stage.online(AGENT, start(&id, &mine, &[])).await);
    assert_eq!(sealed, again, "the stored one, and not another partial signature");
    assert_eq!(refused(&stage.online(AGENT, start(&id, &other, &[])).await), "presignature");

    let signature = signed(stage.online(SERVICE, start(&id, &mine, &sealed)).await, &mine);
    let again = signed(stage.online(SERVICE, start(&id, &mine, &sealed)).await, &mine);
    assert_eq!(signature, again);
    assert_eq!(refused(&stage.online(SERVICE, start(&id, &other, &sealed)).await), "presignature");
    // The same digest in another request is no attack, and is not answered either.
    let mut renamed = start(&id, &mine, &sealed);
    renamed.request.as_mut().unwrap().idempotency_key = "key-2".to_owned();
    for node in [AGENT, SERVICE] {
        assert_eq!(refused(&stage.online(node, renamed.clone()).await), "presignature");
    }

    for role in [Role::Agent, Role::Service] {
        stage.stop(role).await;
        let log = stage.world.log(role);
        let misused: Vec<_> = log.iter().filter(|entry| entry.kind == "presignature.misused").collect();
        assert_eq!(misused.len(), 1, "{role}");
        assert_eq!(misused[0].fields["presignature"], format!("0x{}", hex::encode(&id)));
        // What was used is remembered by a process that never held it.
        stage.start(role).await;
    }
    assert_eq!(contributed(stage.online(AGENT, start(&id, &mine, &[])).await), sealed);
    assert_eq!(signed(stage.online(SERVICE, start(&id, &mine, &sealed)).await, &mine), signature);
    for node in [AGENT, SERVICE] {
        assert_eq!(refused(&stage.online(node, start(&id, &other, &sealed)).await), "presignature");
    }
}

/// Sixteen requests at once, for as many digests.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_at_once_one_is_answered() {
    let mut stage = Stage::signers().await;
    let id = stage.presign().await;
    let many = 16_u8;
    for n in 0..many {
        let protocol = Some(Protocol::Online(start(&id, &payment(n.into()), &[])));
        let start = v1::SessionStart { session: vec![100 + n; 16], deadline_ms: 10_000, protocol };
        stage.relay.send(AGENT, relay_frame::Frame::Start(start)).await;
    }
    let (mut answers, mut refusals) = (BTreeSet::new(), 0);
    while answers.len() + refusals < usize::from(many) {
        let (_, frame) = stage.relay.next().await;
        let Frame::Outcome(outcome) = frame else { continue };
        match outcome.outcome.unwrap() {
            Outcome::Contributed(sealed) => assert!(answers.insert(sealed)),
            other => {
                assert_eq!(refused(&other), "presignature");
                refusals += 1;
            }
        }
    }
    assert_eq!(answers.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contribution_completes_no_other_request_and_blames_nobody() {
    let mut stage = Stage::signers().await;
    let (mine, other) = (payment(1), payment(2));
    let id = stage.presign().await;
    let sealed = contributed(stage.online(AGENT, start(&id, &mine, &[])).await);
    // The coordinator shows the service node another payment than it showed the agent node.
    assert_eq!(refused(&stage.online(SERVICE, start(&id, &other, &sealed)).await), "contribution");
    assert_eq!(refused(&stage.online(SERVICE, start(&id, &mine, &sealed)).await), "presignature", "used up");

    // One presignature's contribution under another's id.
    let (id, next) = (stage.presign().await, stage.presign().await);
    let sealed = contributed(stage.online(AGENT, start(&id, &mine, &[])).await);
    assert_eq!(refused(&stage.online(SERVICE, start(&next, &mine, &sealed)).await), "contribution");

    // And one that was altered, cut, or never was.
    let flipped = |at: usize| {
        let mut bytes = sealed.clone();
        bytes[at] ^= 1;
        bytes
    };
    let long = vec![0; 1 << 16];
    for bent in [flipped(0), flipped(sealed.len() - 1), sealed[1..].to_vec(), Vec::new(), long] {
        let id = stage.presign().await;
        assert_eq!(refused(&stage.online(SERVICE, start(&id, &mine, &bent)).await), "contribution");
    }
    stage.still_signs().await;
    stage.stop(Role::Service).await;
    let charged = stage.world.log(Role::Service);
    let charged = charged.iter().filter(|entry| entry.kind == "sign.contributed").count();
    assert_eq!(charged, 1, "only what was signed, by the long way, is charged");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_guard_stands_before_the_pool_and_a_refusal_uses_nothing_up() {
    let mut stage = Stage::signers().await;
    let id = stage.presign().await;
    let mine = payment(1);
    let honest = start(&id, &mine, &[]);
    let request = |change: fn(&mut v1::StartSign)| {
        let mut start = honest.clone();
        change(start.request.as_mut().unwrap());
        start
    };
    let lies = [
        ("wallet", request(|request| request.wallet = "wallet-2".to_owned())),
        ("policy_hash", request(|request| request.policy_hash = vec![7; 32])),
        ("payload", request(|request| request.payload = None)),
        ("idempotency_key", request(|request| request.idempotency_key = String::new())),
        ("request", v1::StartOnline { request: None, ..honest.clone() }),
        ("presignature", v1::StartOnline { presignature: id[1..].to_vec(), ..honest.clone() }),
        ("presignature", v1::StartOnline { presignature: vec![7; 32], ..honest.clone() }),
    ];
    for node in [AGENT, SERVICE] {
        for (field, lie) in &lies {
            assert_eq!(refused(&stage.online(node, lie.clone()).await), *field, "{node}");
        }
        for (payload, rule) in [
            (transfer(FRIEND, usdc(26), 1), "per_transaction"),
            (transfer(STRANGER, usdc(1), 2), "recipients"),
            (Payload::Message(b"sign me".to_vec().into()), "messages"),
        ] {
            let Outcome::Denied(denial) = stage.online(node, start(&id, &payload, &[])).await else {
                panic!("{node} does not deny it by {rule}");
            };
            assert!(denial.failures.iter().any(|failure| failure.rule.contains(rule)), "{denial:?}");
        }
    }
    sign(&mut stage, &id, &mine).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_presignature_survives_neither_nodes_restart() {
    let mut stage = Stage::signers().await;
    let mine = payment(1);
    let (first, second) = (stage.presign().await, stage.presign().await);
    stage.stop(Role::Agent).await;
    stage.start(Role::Agent).await;
    assert_eq!(refused(&stage.online(AGENT, start(&first, &mine, &[])).await), "presignature");
    // The service node has not heard of it yet; then it hears it from the agent node itself, in its next open.
    assert_eq!(
        refused(&stage.online(SERVICE, start(&first, &mine, &[])).await),
        "contribution",
        "still held"
    );
    let third = stage.presign().await;
    assert_eq!(refused(&stage.online(SERVICE, start(&second, &mine, &[])).await), "presignature");

    // The other way round, with half of it used.
    let sealed = contributed(stage.online(AGENT, start(&third, &mine, &[])).await);
    stage.stop(Role::Service).await;
    stage.start(Role::Service).await;
    assert_eq!(refused(&stage.online(SERVICE, start(&third, &mine, &sealed)).await), "presignature");
    let fourth = stage.presign().await;
    sign(&mut stage, &fourth, &mine).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_directories_put_back_sign_no_second_digest() {
    let (mine, other) = (payment(1), payment(2));
    let before = tokio::task::spawn_blocking(|| golden().world()).await.unwrap();
    for roles in [&[Role::Agent][..], &[Role::Service], &[Role::Agent, Role::Service]] {
        let mut stage = Stage::signers().await;
        let (used, unused) = (stage.presign().await, stage.presign().await);
        let sealed = contributed(stage.online(AGENT, start(&used, &mine, &[])).await);
        signed(stage.online(SERVICE, start(&used, &mine, &sealed)).await, &mine);
        for role in roles {
            stage.stop(*role).await;
            stage.world.restore(*role, &before);
            stage.start(*role).await;
        }
        for role in roles {
            let node = format!("{role}-1");
            for id in [&used, &unused] {
                let outcome = stage.online(&node, start(id, &other, &sealed)).await;
                assert_eq!(refused(&outcome), "presignature", "{roles:?}");
            }
        }
        stage.still_signs().await;
    }
}

/// Two processes with one node's keys and data. Only the one that made a presignature can use it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cloned_node_shares_no_presignature() {
    let mut stage = Stage::signers().await;
    let (mine, other) = (payment(1), payment(2));
    let id = stage.presign().await;
    let mut clone = Stage::new(&[Role::Agent]).await;
    let outcome = clone.online(AGENT, start(&id, &other, &[])).await;
    assert_eq!(refused(&outcome), "presignature");
    let sealed = contributed(stage.online(AGENT, start(&id, &mine, &[])).await);
    assert_eq!(refused(&clone.online(AGENT, start(&id, &other, &[])).await), "presignature");
    signed(stage.online(SERVICE, start(&id, &mine, &sealed)).await, &mine);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_two_signatures_share_an_r() {
    let mut stage = Stage::signers().await;
    let mut seen = BTreeSet::new();
    for _ in 0..2 {
        // The same payload again and again: only the nonce can differ.
        let id = stage.presign().await;
        let signature = sign(&mut stage, &id, &payment(1)).await;
        assert!(seen.insert(signature[..32].to_vec()));
        let ending = stage.sign(&payment(1)).await;
        assert!(seen.insert(ending.signed().unwrap().signature[..32].to_vec()));
    }
    assert_eq!(seen.len(), 4);
}

/// A coordinator hears of the presignatures made through it, also where it comes back later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_report_what_they_hold() {
    let mut stage = Stage::signers().await;
    let id = stage.presign().await;
    let said = |added: &[&[u8]], dropped: &[&[u8]]| {
        let ids = |ids: &[&[u8]]| ids.iter().map(|id| id.to_vec()).collect();
        v1::PoolChange { wallet: WALLET.to_owned(), added: ids(added), dropped: ids(dropped) }
    };
    let mut expected = vec![(AGENT.to_owned(), said(&[&id], &[])), (SERVICE.to_owned(), said(&[&id], &[]))];
    hear(&mut stage, 2).await;
    stage.relay.pools.sort_by(|(one, _), (other, _)| one.cmp(other));
    assert_eq!(stage.relay.pools, expected);
    contributed(stage.online(AGENT, start(&id, &payment(1), &[])).await);
    hear(&mut stage, 3).await;
    expected.push((AGENT.to_owned(), said(&[], &[&id])));
    assert_eq!(stage.relay.pools, expected);
}

/// Reads frames until the nodes have said so much of their pools.
async fn hear(stage: &mut Stage, words: usize) {
    for _ in 0..100 {
        if stage.relay.pools.len() >= words {
            return;
        }
        let _other = stage.relay.next_within(Duration::from_millis(100)).await;
    }
    panic!("{:?}", stage.relay.pools);
}

async fn pay(cluster: &Cluster, nonce: u64) -> v1::Signed {
    let answer = cluster.sign(WALLET, &payment(nonce), &format!("pay-{nonce}")).await.unwrap();
    match answer.outcome.unwrap() {
        sign_response::Outcome::Signed(signed) => signed,
        other => panic!("not signed: {other:?}"),
    }
}

/// Pays until a presignature was used for it, and returns how the payments were signed.
async fn pay_until_pooled(cluster: &Cluster, nonce: &mut u64) -> Vec<String> {
    let before = cluster.paths().await.len();
    for _ in 0..60 {
        *nonce += 1;
        let signed = pay(cluster, *nonce).await;
        let digest = quorate_intent::decode(&payment(*nonce)).unwrap().digest.digest();
        Signature::from_bytes(&signed.signature, digest, golden().public_key()).unwrap();
        let paths = cluster.paths().await.split_off(before);
        if paths.last().unwrap() == "presignature" {
            return paths;
        }
        // Presigning stands back behind everything else this machine does.
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    panic!("no presignature was ever used");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cluster_fills_its_pool_uses_it_and_does_without_it() {
    let world = tokio::task::spawn_blocking(|| golden().world()).await.unwrap();
    world.keep_presignatures(2);
    let mut cluster = Cluster::start(world).await;
    let mut nonce = 0;
    let paths = pay_until_pooled(&cluster, &mut nonce).await;
    assert_eq!(paths[0], "session", "the first payment found an empty pool");

    // A policy in force from now on decides, and not the one of when the presignature was made.
    let stricter = cluster.world.policy(&policy_yaml(2, "0.50"));
    cluster.apply_policy(&stricter).await.unwrap();
    let denied = cluster.sign(WALLET, &payment(1000), "too-much").await.unwrap();
    assert!(matches!(denied.outcome, Some(sign_response::Outcome::Denied(_))));
    cluster.apply_policy(&cluster.world.policy(&policy_yaml(3, "25.00"))).await.unwrap();
    pay_until_pooled(&cluster, &mut nonce).await;

    // Either node comes back with an empty pool, and the coordinator with an empty view.
    for role in [Role::Agent, Role::Service] {
        cluster.stop_node(role).await;
        cluster.start_node(role).await;
        cluster.attached(&[Role::Agent, Role::Service]).await;
        let paths = pay_until_pooled(&cluster, &mut nonce).await;
        assert_eq!(paths[0], "session");
    }
    cluster.restart_coordinator().await;
    cluster.attached(&[Role::Agent, Role::Service]).await;
    pay_until_pooled(&cluster, &mut nonce).await;

    let world = cluster.stop().await;
    let log = world.log(Role::Service);
    let eids: Vec<_> = log.iter().filter(|entry| entry.kind == "sign.contributed").collect();
    let distinct: BTreeSet<_> = eids.iter().map(|entry| entry.fields["eid"].to_string()).collect();
    assert_eq!(eids.len() as u64, nonce, "each payment is charged once");
    assert_eq!(distinct.len(), eids.len());
}

/// Presigning stands back, and still comes to its end while two clients pay by the whole protocol without a pause; and each
/// of their payments comes to its end while presignatures are made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signing_and_refilling_never_stop_each_other() {
    let world = tokio::task::spawn_blocking(|| golden().world()).await.unwrap();
    world.keep_presignatures(2);
    let cluster = Cluster::start(world).await;
    let payer = async |from: u64| {
        for nonce in from..from + 200 {
            pay(&cluster, nonce).await;
            if cluster.paths().await.iter().any(|path| path == "presignature") {
                return;
            }
        }
        panic!("no presignature was made in 200 payments");
    };
    tokio::join!(payer(1), payer(1001));
    cluster.stop().await;
}
