//! Limits over time against the whole cluster, and against whoever holds the coordinator.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::time::{SystemTime, UNIX_EPOCH};

use quorate_manifest::{Namespace, SignedDocument};
use quorate_proto::v1;
use quorate_proto::v1::node_frame::Frame;
use quorate_proto::v1::session_outcome::Outcome;
use quorate_proto::v1::session_start::Protocol;
use quorate_proto::v1::sign_response;
use quorate_tests::{
    Cluster, Ending, FRIEND, STRANGER, Script, Stage, WALLET, authorization, golden, play_together, shown,
    transfer, usdc, with_limits,
};
use quorate_types::{Payload, Role};

const TEN_A_DAY: &str = "  cumulative:\n    - {asset: USDC, chain: base-sepolia, max: \"10\", window: {calendar: \
                         month, timezone: Europe/Berlin}}\n    - {asset: USDC, chain: base-sepolia, max: \"10\", \
                         window: {rolling_s: 86400}}\n";

fn payment(nonce: u64) -> Payload {
    transfer(FRIEND, usdc(1), nonce)
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Puts a policy in force on both nodes, as whoever holds the coordinator passes it on.
async fn pass_on(stage: &mut Stage, policy: &SignedDocument) {
    let document = v1::SignedDocument { body: policy.body.clone(), signatures: policy.signatures.clone() };
    for node in ["agent-1", "service-1"] {
        stage.relay.send(node, v1::relay_frame::Frame::Policy(document.clone())).await;
        loop {
            if let (from, Frame::Document(ack)) = stage.relay.next().await
                && from == node
            {
                assert_eq!(ack.refused, "");
                break;
            }
        }
    }
}

fn ask(policy: &SignedDocument, payload: &Payload) -> Script<'static> {
    ask_of(WALLET, policy, payload)
}

fn ask_of(wallet: &str, policy: &SignedDocument, payload: &Payload) -> Script<'static> {
    let policy_hash = policy.hash(Namespace::Policy).to_vec();
    let start = v1::StartSign { wallet: wallet.to_owned(), policy_hash, ..shown(payload) };
    let starts = ["agent-1", "service-1"].map(|node| (node, Protocol::Sign(start.clone())));
    // A node that was left alone by the other's denial waits for as long.
    Script::new(starts).within(20_000)
}

fn signed(endings: &[Ending]) -> usize {
    endings.iter().filter(|ending| ending.signed().is_some()).count()
}

/// Every denial is the service node's, by its limits, with the numbers.
fn denied_by_limits(endings: &[Ending]) -> usize {
    let denials = endings.iter().filter_map(|ending| match ending.outcomes.get("service-1") {
        Some(Outcome::Denied(denial)) => Some(denial),
        _ => None,
    });
    let full = |denial: &v1::Denial| {
        assert_eq!(denial.decided_by, "service-1");
        let rules: Vec<_> = denial.failures.iter().map(|failure| failure.rule.as_str()).collect();
        assert_eq!(rules, ["cumulative", "cumulative"]);
        for failure in &denial.failures {
            assert_eq!(
                (failure.used.as_str(), failure.requested.as_str()),
                ("10 USDC", "1 USDC on base-sepolia")
            );
            assert!(failure.resets_at_ms.is_some_and(|at| at > now_s() * 1000), "{failure:?}");
        }
    };
    denials.map(full).count()
}

/// The coordinator skips its own gate and asks for forty dollars: four at once, as many sessions as two cores finish in
/// time, up to the cap and past it, and then the rest together. The nodes' word is all there is: ten are signed at most,
/// however they fall, and what a session charged stays charged across a restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forty_past_the_gate_spend_no_more_than_the_cap() {
    let mut stage = Stage::signers().await;
    let policy = stage.world.policy(&with_limits(2, TEN_A_DAY));
    pass_on(&mut stage, &policy).await;

    let mut endings = Vec::new();
    for crowd in [0..4, 4..8, 8..12, 12..40] {
        let scripts = crowd.map(|nonce| ask(&policy, &payment(nonce))).collect();
        endings.extend(play_together(scripts, &mut stage.relay).await);
    }
    let passed = signed(&endings);
    assert!((1..=10).contains(&passed), "{passed} of 40 were signed under a cap of 10");

    // What did not make it in time may be asked for again, until the node says no.
    let mut nonce = 100;
    while denied_by_limits(&endings) == 0 {
        endings.push(ask(&policy, &payment(nonce)).play(&mut stage.relay).await);
        nonce += 1;
        assert!(nonce < 120, "no denial in twenty requests");
    }
    assert!(signed(&endings) <= 10, "{} were signed under a cap of 10", signed(&endings));

    stage.stop(Role::Service).await;
    stage.start(Role::Service).await;
    let after: Vec<_> = (200..203).map(|nonce| ask(&policy, &payment(nonce))).collect();
    let after = play_together(after, &mut stage.relay).await;
    assert_eq!((signed(&after), denied_by_limits(&after)), (0, 3), "a restart forgot what was spent");
    assert!(after.iter().all(|ending| ending.posts.is_empty()), "something was computed for a denial");

    // What was signed may be signed again: it spends nothing a second time.
    let first = endings.iter().position(|ending| ending.signed().is_some()).unwrap();
    let again = if first < 40 { payment(first as u64) } else { payment(100 + first as u64 - 40) };
    assert_eq!(signed(&[ask(&policy, &again).play(&mut stage.relay).await]), 1);
}

fn denial(answer: v1::SignResponse) -> v1::Denial {
    match answer.outcome {
        Some(sign_response::Outcome::Denied(denial)) => denial,
        other => panic!("not denied: {other:?}"),
    }
}

fn is_signed(answer: &v1::SignResponse) -> bool {
    matches!(answer.outcome, Some(sign_response::Outcome::Signed(_)))
}

/// An honest coordinator: of requests at once as many pass as fit, transfers and authorizations out of one budget, and the
/// others are told what is used and when it resets, also after a restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gate_lets_through_what_fits_and_says_when_more_will() {
    let world = tokio::task::spawn_blocking(|| golden().world()).await.unwrap();
    let mut cluster = Cluster::start(world).await;
    let limits = "  cumulative:\n    - {asset: USDC, chain: base-sepolia, max: \"3\", window: {rolling_s: 3600}}\n  \
                  velocity:\n    - {max: 100, window: {rolling_s: 3600}}\n    - {max: 4, per: recipient, window: \
                  {rolling_s: 3600}}\n";
    cluster.apply_policy(&cluster.world.policy(&with_limits(2, limits))).await.unwrap();
    let me = golden().public_key().address();
    let asked = [
        payment(1),
        payment(2),
        authorization(me, FRIEND, usdc(1), now_s()),
        transfer(FRIEND, usdc(2), 3),
        payment(4),
    ];
    let keys = ["1", "2", "3", "4", "5"];
    let (a, b, c, d, e) = tokio::join!(
        cluster.sign(WALLET, &asked[0], keys[0]),
        cluster.sign(WALLET, &asked[1], keys[1]),
        cluster.sign(WALLET, &asked[2], keys[2]),
        cluster.sign(WALLET, &asked[3], keys[3]),
        cluster.sign(WALLET, &asked[4], keys[4]),
    );
    let answers = [a, b, c, d, e].map(Result::unwrap);
    let dollars = [1, 1, 1, 2, 1];
    let spent: u64 =
        answers.iter().zip(dollars).filter(|(answer, _)| is_signed(answer)).map(|(_, d)| d).sum();
    assert_eq!(spent, 3, "all of the budget and no more");

    cluster.restart_coordinator().await;
    cluster.attached(&[Role::Agent, Role::Service]).await;
    let denial = denial(cluster.sign(WALLET, &payment(9), "more").await.unwrap());
    assert_eq!(denial.decided_by, "coordinator");
    let failure = &denial.failures[0];
    assert_eq!(
        (failure.rule.as_str(), failure.limit.as_str(), failure.used.as_str()),
        ("cumulative", "3 USDC in any 3600 s", "3 USDC")
    );
    let resets_s = failure.resets_at_ms.unwrap() / 1000;
    assert!((now_s() + 3000..=now_s() + 3601).contains(&resets_s), "{failure:?}");
    cluster.stop().await;
}

/// An agent caught in a retry loop of tiny payments is stopped by their number, whatever they cost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loop_of_small_payments_is_stopped_by_its_number() {
    let world = tokio::task::spawn_blocking(|| golden().world()).await.unwrap();
    let cluster = Cluster::start(world).await;
    let limits = "  velocity:\n    - {max: 3, window: {rolling_s: 3600}}\n";
    cluster.apply_policy(&cluster.world.policy(&with_limits(2, limits))).await.unwrap();
    let small = |nonce| transfer(FRIEND, usdc(1) / quorate_types::U256::from(20), nonce);
    for nonce in 0..3 {
        assert!(is_signed(&cluster.sign(WALLET, &small(nonce), &format!("loop-{nonce}")).await.unwrap()));
    }
    for nonce in 3..13 {
        let denial = denial(cluster.sign(WALLET, &small(nonce), &format!("loop-{nonce}")).await.unwrap());
        assert_eq!(denial.failures[0].rule, "velocity");
        assert_eq!(denial.failures[0].used, "3 signatures");
    }
    // An answer that was given is given again: it is no further signature.
    assert!(is_signed(&cluster.sign(WALLET, &small(0), "loop-0").await.unwrap()));
    cluster.stop().await;
}

const SECOND: &str = "second";
const ANOTHERS: &str = "anothers";

/// The same rules for another wallet.
fn policy_of(cluster: &Cluster, wallet: &str, version: u64, limits: &str) -> SignedDocument {
    let yaml = with_limits(version, limits);
    cluster.world.policy(&yaml.replace(&format!("wallet: {WALLET}\n"), &format!("wallet: {wallet}\n")))
}

fn rate(max: u64) -> String {
    format!("  velocity:\n    - {{max: {max}, per: agent, denied: true, window: {{rolling_s: 86400}}}}\n")
}

/// Two wallets of one agent ask at once, under one idempotency key and for one payload, where the agent may sign once: one
/// is signed. What one of them was denied counts for the other, and another agent has a rate of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agents_wallets_share_its_rate() {
    let world = tokio::task::spawn_blocking(|| golden().world()).await.unwrap();
    let cluster = Cluster::start(world).await;
    cluster.create_wallet_of(&format!("{WALLET}-agent"), SECOND).await.unwrap();
    cluster.create_wallet(ANOTHERS).await.unwrap();
    for wallet in [WALLET, SECOND, ANOTHERS] {
        cluster.apply_policy(&policy_of(&cluster, wallet, 2, &rate(1))).await.unwrap();
    }
    let pay = payment(1);
    let (one, two) = tokio::join!(cluster.sign(WALLET, &pay, "k"), cluster.sign(SECOND, &pay, "k"));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_ne!(is_signed(&one), is_signed(&two), "one of them, and no more");
    let (winner, loser, denied) = if is_signed(&one) { (WALLET, SECOND, two) } else { (SECOND, WALLET, one) };
    let failure = &denial(denied).failures[0];
    assert_eq!(
        (failure.rule.as_str(), failure.limit.as_str(), failure.used.as_str()),
        (
            "velocity",
            "1 signature or denied attempt in any 86400 s by all wallets of its agent",
            "1 signature or denied attempt"
        )
    );
    assert!(is_signed(&cluster.sign(winner, &pay, "k").await.unwrap()), "an answer is given again");
    assert!(is_signed(&cluster.sign(ANOTHERS, &pay, "k").await.unwrap()), "another agent's");

    // Of three, one is signed; the second is denied for its recipient; so one is left, for either of them.
    for wallet in [WALLET, SECOND] {
        cluster.apply_policy(&policy_of(&cluster, wallet, 3, &rate(3))).await.unwrap();
    }
    let denied = denial(cluster.sign(loser, &transfer(STRANGER, usdc(1), 7), "stray").await.unwrap());
    assert_eq!(denied.failures[0].rule, "recipients");
    assert!(is_signed(&cluster.sign(winner, &payment(8), "last").await.unwrap()));
    for wallet in [WALLET, SECOND] {
        let denied = denial(cluster.sign(wallet, &payment(9), "more").await.unwrap());
        assert_eq!(denied.failures[0].used, "3 signatures or denied attempts", "{wallet}");
    }
    past_the_gate(cluster).await;
}

/// The coordinator skips its own gate: the service node counts by itself, which signed twice for this agent. The third is the
/// last, whichever of its wallets is asked, and however many at once.
async fn past_the_gate(cluster: Cluster) {
    let policies = [WALLET, SECOND].map(|wallet| (wallet, policy_of(&cluster, wallet, 4, &rate(3))));
    let world = cluster.stop().await;
    let mut stage = Stage::of(world, &[Role::Agent, Role::Service]).await;
    for (_, policy) in &policies {
        pass_on(&mut stage, policy).await;
    }
    let mut endings = Vec::new();
    let over = |endings: &[Ending]| {
        let said = |ending: &Ending| matches!(ending.outcomes.get("service-1"), Some(Outcome::Denied(_)));
        endings.iter().filter(|ending| said(ending)).count()
    };
    let mut nonce = 20;
    // What did not make it in time is asked for again, until the node says no to both.
    while over(&endings) < 2 && nonce < 30 {
        let scripts =
            policies.iter().map(|(wallet, policy)| ask_of(wallet, policy, &payment(nonce))).collect();
        endings.extend(play_together(scripts, &mut stage.relay).await);
        nonce += 1;
    }
    assert_eq!((signed(&endings), over(&endings) >= 2), (1, true), "one was left");
}
