//! The promise, from the side of whoever holds the coordinator: it can stop a payment, and nothing else.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use quorate_proto::v1;
use quorate_proto::v1::node_frame::Frame;
use quorate_proto::v1::relay_frame;
use quorate_proto::v1::session_failure::Fault;
use quorate_proto::v1::session_outcome::Outcome;
use quorate_proto::v1::session_start::Protocol;
use quorate_tests::{
    FRIEND, STRANGER, Script, Stage, assert_signed, both, golden, show, shown, transfer, usdc,
};
use quorate_types::{Payload, Role};

fn payment(nonce: u64) -> Payload {
    transfer(FRIEND, usdc(1), nonce)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_honest_session_signs_and_the_agent_vouches_for_it() {
    let mut stage = Stage::signers().await;
    let payload = payment(1);
    let ending = stage.sign(&payload).await;
    assert_signed(&ending, &payload);
    let signed = ending.signed().unwrap();
    let intent = signed.intent.as_ref().unwrap();
    assert_eq!(intent.node, "agent-1");
    assert_eq!(signed.eid.len(), 32);
    assert!(matches!(ending.outcomes["agent-1"], Outcome::Released(true)));
    // The same payload again is another session with another execution id.
    let again = stage.sign(&payload).await;
    assert_ne!(again.signed().unwrap().eid, signed.eid);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_shown_different_payloads_sign_neither() {
    let mut stage = Stage::signers().await;
    let (mine, other) = (payment(1), payment(2));
    let ending = stage.play(Script::new([("agent-1", show(&mine)), ("service-1", show(&other))])).await;
    assert!(ending.signed().is_none());
    for node in ["agent-1", "service-1"] {
        let failure = ending.failure(node);
        assert_eq!((failure.fault(), failure.field.as_str()), (Fault::Caller, "subject"), "{node}");
        assert!(!failure.released);
    }
    stage.still_signs().await;
}

/// The agent node states the key it was shown. It must not be held against it where the service node was shown another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_shown_different_idempotency_keys_blame_neither() {
    let mut stage = Stage::signers().await;
    let mine = shown(&payment(1));
    let other = v1::StartSign { idempotency_key: "key-2".to_owned(), ..mine.clone() };
    let starts = [("agent-1", Protocol::Sign(mine)), ("service-1", Protocol::Sign(other))];
    let ending = stage.play(Script::new(starts)).await;
    for node in ["agent-1", "service-1"] {
        let failure = ending.failure(node);
        assert_eq!(
            (failure.fault(), failure.field.as_str()),
            (Fault::Caller, "subject"),
            "{node}: {failure:?}"
        );
        assert!(!failure.released);
    }
    assert!(ending.posts.is_empty());
    stage.still_signs().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_lie_in_a_start_is_named() {
    let mut stage = Stage::signers().await;
    let honest = shown(&payment(1));
    let lies: [(&str, v1::StartSign); 6] = [
        ("wallet", v1::StartSign { wallet: "wallet-2".to_owned(), ..honest.clone() }),
        ("wallet", v1::StartSign { wallet: "../wallet".to_owned(), ..honest.clone() }),
        ("policy_hash", v1::StartSign { policy_hash: vec![7; 32], ..honest.clone() }),
        ("policy_hash", v1::StartSign { policy_hash: vec![], ..honest.clone() }),
        ("payload", v1::StartSign { payload: None, ..honest.clone() }),
        ("idempotency_key", v1::StartSign { idempotency_key: "\n".to_owned(), ..honest.clone() }),
    ];
    for (field, lie) in lies {
        let ending = stage
            .play(Script::new([("agent-1", Protocol::Sign(lie.clone())), ("service-1", Protocol::Sign(lie))]))
            .await;
        for node in ["agent-1", "service-1"] {
            assert_eq!(ending.failure(node).field, field, "{node}: {:?}", ending.failure(node));
        }
        assert!(ending.posts.is_empty(), "something was computed for a lie about {field}");
    }
    stage.still_signs().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_node_says_no_by_its_own_policy() {
    let mut stage = Stage::signers().await;
    let cases = [
        (transfer(FRIEND, usdc(26), 1), "per_transaction"),
        (transfer(STRANGER, usdc(1), 2), "recipients"),
        (Payload::Message(b"sign me".to_vec().into()), "messages"),
    ];
    for (payload, rule) in cases {
        let ending = stage.sign(&payload).await;
        assert!(ending.signed().is_none() && ending.posts.is_empty());
        for node in ["agent-1", "service-1"] {
            let denial = ending.denial(node);
            assert_eq!(denial.decided_by, node);
            let rules: Vec<_> = denial.failures.iter().map(|failure| failure.rule.as_str()).collect();
            assert!(rules.iter().any(|failed| failed.contains(rule)), "{rule} is not among {rules:?}");
        }
    }
    stage.still_signs().await;
}

/// The agent node alone, or the service node alone, with the other's place taken by silence.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_node_alone_makes_nothing() {
    let mut stage = Stage::signers().await;
    for node in ["agent-1", "service-1"] {
        let ending = stage.play(Script::new([(node, show(&payment(1)))]).within(1_500)).await;
        let failure = ending.failure(node);
        assert_eq!(failure.fault(), Fault::Network, "{failure:?}");
        assert!(!failure.released && ending.posts.is_empty());
    }
    stage.still_signs().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cold_node_never_signs() {
    let mut stage = Stage::new(&[Role::Agent, Role::Service, Role::Cold]).await;
    for other in ["agent-1", "service-1"] {
        let script = Script::new([(other, show(&payment(1))), ("cold-1", show(&payment(1)))]).within(2_000);
        let ending = stage.play(script).await;
        assert!(ending.signed().is_none() && ending.posts.is_empty());
        assert_eq!(ending.failure("cold-1").field, "role");
        assert!(!ending.failure(other).released);
    }
    stage.still_signs().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_active_wallet_is_never_made_again() {
    let mut stage = Stage::new(&[Role::Agent, Role::Service, Role::Cold]).await;
    let keygen = v1::StartKeygen {
        wallet: "wallet-1".to_owned(),
        agent: golden().wallet.agent.clone(),
        group: "g1".to_owned(),
        agent_key: Vec::new(),
        loosening_delay_s: None,
        raw_digest: false,
    };
    let starts = ["agent-1", "service-1"].map(|node| (node, Protocol::Keygen(keygen.clone())));
    let ending = stage.play(Script::new(starts)).await;
    for node in ["agent-1", "service-1"] {
        assert_eq!(ending.failure(node).field, "wallet");
    }
    let aux = v1::StartAux { group: "g1".to_owned() };
    let starts = ["agent-1", "service-1", "cold-1"].map(|node| (node, Protocol::Aux(aux.clone())));
    let ending = stage.play(Script::new(starts)).await;
    for node in ["agent-1", "service-1", "cold-1"] {
        assert_eq!(ending.failure(node).field, "group", "auxiliary info of a group in use was replaced");
    }
    stage.still_signs().await;
}

/// A wallet whose three attestations were never shown to the nodes does not sign, whoever asks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wallet_signs_only_after_all_three_attested() {
    let mut stage = Stage::new(&[Role::Agent, Role::Service, Role::Cold]).await;
    let keygen = v1::StartKeygen {
        wallet: "fresh".to_owned(),
        agent: "bot".to_owned(),
        group: "g1".to_owned(),
        agent_key: Vec::new(),
        loosening_delay_s: None,
        raw_digest: false,
    };
    let starts = ["agent-1", "service-1", "cold-1"].map(|node| (node, Protocol::Keygen(keygen.clone())));
    let ending = stage.play(Script::new(starts)).await;
    let keys = ending.outcomes.values().filter(|outcome| matches!(outcome, Outcome::Key(_))).count();
    assert_eq!(keys, 3, "{:?}", ending.outcomes);
    let start = v1::StartSign { wallet: "fresh".to_owned(), ..shown(&payment(1)) };
    let starts = ["agent-1", "service-1"].map(|node| (node, Protocol::Sign(start.clone())));
    let ending = stage.play(Script::new(starts)).await;
    for node in ["agent-1", "service-1"] {
        assert_eq!(ending.failure(node).field, "wallet");
    }
}

/// A node that is told to stop says whether anything had left it: without its word the budget could not be given back,
/// and an honest coordinator would wait for it in vain.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_given_up_is_accounted_for() {
    let mut stage = Stage::signers().await;
    let session = vec![9; 16];
    for node in ["agent-1", "service-1"] {
        let protocol = Some(show(&payment(1)));
        let start = v1::SessionStart { session: session.clone(), deadline_ms: 60_000, protocol };
        stage.relay.send(node, relay_frame::Frame::Start(start)).await;
    }
    let mut opens = Vec::new();
    while opens.len() < 2 {
        let (_, frame) = stage.relay.next().await;
        if let Frame::Open(open) = frame {
            opens.push(open.signed_open);
        }
    }
    for node in ["agent-1", "service-1"] {
        let opens = v1::SessionOpens { session: session.clone(), signed_opens: opens.clone() };
        stage.relay.send(node, relay_frame::Frame::Opens(opens)).await;
    }
    // In the middle of the protocol: both have computed, and neither hears of the other.
    assert!(matches!(stage.relay.next().await, (_, Frame::Envelope(_))));
    for node in ["agent-1", "service-1"] {
        let abort = v1::SessionAbort { session: session.clone(), reason: "on a whim".to_owned() };
        stage.relay.send(node, relay_frame::Frame::Abort(abort)).await;
    }
    let mut silent = vec!["agent-1".to_owned(), "service-1".to_owned()];
    while !silent.is_empty() {
        let next = stage.relay.next_within(std::time::Duration::from_secs(5)).await;
        let (node, frame) = next.unwrap_or_else(|| panic!("no word from {silent:?}"));
        let Frame::Outcome(outcome) = frame else { continue };
        let Some(Outcome::Failed(failure)) = outcome.outcome else { panic!("{outcome:?}") };
        assert_eq!((failure.fault(), failure.released), (Fault::Network, false), "{node}: {failure:?}");
        silent.retain(|other| *other != node);
    }
    stage.still_signs().await;
}

/// Opens of another session, one's own altered, a peer's twice: no node computes anything under them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opens_cannot_be_swapped_or_replayed() {
    let mut stage = Stage::signers().await;
    let payload = payment(1);
    let mut recorded = Vec::new();
    let first = both(&payload).opens(|_, opens| {
        recorded.clone_from(&opens);
        opens
    });
    let ending = stage.play(first).await;
    assert_signed(&ending, &payload);
    type Bend<'a> = Box<dyn Fn(Vec<Vec<u8>>) -> Vec<Vec<u8>> + 'a>;
    let flip = |mut opens: Vec<Vec<u8>>, at: usize| {
        for open in &mut opens {
            let at = at % open.len();
            open[at] ^= 1;
        }
        opens
    };
    let bends: Vec<Bend<'_>> = vec![
        Box::new(|_| recorded.clone()),
        Box::new(|opens| vec![opens[0].clone(), opens[0].clone()]),
        Box::new(|opens| vec![opens[0].clone(), recorded[1].clone()]),
        Box::new(|opens| vec![recorded[0].clone(), opens[1].clone()]),
        Box::new(|_| vec![]),
        Box::new(|opens| opens.into_iter().map(|open| open[..open.len() - 1].to_vec()).collect()),
        Box::new(move |opens| flip(opens, 0)),
        Box::new(move |opens| flip(opens, 70)),
        Box::new(move |opens| flip(opens, 120)),
        Box::new(move |opens| flip(opens, 170)),
    ];
    for (number, bend) in bends.iter().enumerate() {
        let ending = stage.play(both(&payload).opens(|_, opens| bend(opens)).within(2_000)).await;
        assert!(ending.signed().is_none(), "bend {number} signed");
        for outcome in ending.outcomes.values() {
            let Outcome::Failed(failure) = outcome else { panic!("bend {number}: {outcome:?}") };
            assert!(!failure.released && failure.fault() != Fault::Bug, "bend {number}: {failure:?}");
            assert_eq!(failure.blamed, "", "bend {number}: an honest node was blamed");
        }
    }
    stage.still_signs().await;
}
