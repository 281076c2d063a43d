use std::slice::from_ref;
use std::time::Duration;

use quorate_intent::AssetId;
use quorate_ledger::State;
use quorate_proto::v1::session_failure::Fault;
use quorate_store::Aftermath;
use quorate_types::{B256, PublicKey, Role, Signature, U256};

use super::fake::Does;
use super::rig::{
    LARGE, PAYEE, Rig, SMALL, denial_of, node, payment, policy, policy_record, signature_of, wallet,
    wallet_key,
};
use crate::error::OpError;
use crate::link::{AGENTS_SHARE, SIGNING};
use crate::ops::get_signing::get_signing;
use crate::ops::settle::{Settled, settle};

fn spent(rig: &Rig) -> U256 {
    quorate_ledger::spent(rig.store.as_ref(), &wallet(), &AssetId::native(84532), 0).unwrap()
}

fn state(rig: &Rig) -> State {
    rig.entry("k").unwrap().state
}

#[tokio::test]
async fn signs_after_the_spend_is_on_disk_and_answers_the_same_for_ever() {
    let rig = Rig::new();
    let (agent, service) = rig.attach_signers(&[], &[]);
    let payload = payment(SMALL, PAYEE);
    let answer = rig.sign("k", payload.clone()).await.unwrap();
    let signed = signature_of(&answer);
    let digest = B256::from_slice(&signed.digest);
    let key = PublicKey::from(k256::PublicKey::from(wallet_key().verifying_key()));
    assert!(Signature::from_bytes(&signed.signature, digest, key).is_ok());
    assert_eq!(signed.signed_transaction.first(), Some(&2));
    assert_eq!(signed.policy_hash, policy_record(policy(1, "0.01")).hash.to_vec());
    for fake in [&agent, &service] {
        let states: Vec<_> = fake.seen.lock().unwrap().starts.iter().map(|(_, state)| *state).collect();
        assert_eq!(states, [Some(State::Releasing)], "marked before any node hears of it");
    }

    let mut again = rig.sign("k", payload.clone()).await.unwrap();
    assert!(again.repeated_answer && !answer.repeated_answer);
    again.repeated_answer = false;
    assert_eq!(again, answer);
    let restarted = rig.restarted();
    let mut later = restarted.sign("k", payload).await.unwrap();
    later.repeated_answer = false;
    assert_eq!(later, answer, "with no node attached");
    let got = get_signing(&restarted.core, wallet(), "k".parse().unwrap()).await.unwrap();
    assert_eq!(signature_of(&got.answer.unwrap()), signed);
    assert_eq!((agent.sessions(), spent(&rig)), (1, U256::from(SMALL)));
    assert_eq!(rig.audit()[1..], ["sign.allowed", "sign.signed"]);
    assert_eq!(answer.receipt.unwrap().sequence, 3);
}

#[tokio::test]
async fn more_than_a_node_takes_at_once_wait_for_a_place() {
    let rig = Rig::new();
    let (agent, _service) = rig.attach_signers(&[], &[]);
    let link = rig.core.nodes.link(&node(Role::Agent)).unwrap();
    let mut taken = Vec::new();
    for _ in 0..SIGNING / AGENTS_SHARE as usize {
        taken.push(link.signing_place(Role::Agent).await.unwrap());
    }
    let asked = rig.sign("k", payment(SMALL, PAYEE));
    tokio::pin!(asked);
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut asked).await.is_err());
    assert_eq!((agent.sessions(), state(&rig)), (0, State::Releasing));
    taken.pop();
    signature_of(&asked.await.unwrap());
    // Who waits in vain is told that it is an outage, and has its budget back.
    taken.push(link.signing_place(Role::Agent).await.unwrap());
    let busy = rig.sign("later", payment(SMALL, PAYEE)).await.unwrap_err();
    assert!(matches!(&busy, OpError::Unavailable { nodes, .. } if nodes == &[node(Role::Agent)]), "{busy}");
    assert_eq!((agent.sessions(), spent(&rig)), (1, U256::from(SMALL)));
}

#[tokio::test]
async fn two_at_once_are_one_signing() {
    let rig = Rig::new();
    let (agent, _service) = rig.attach_signers(&[], &[]);
    let payload = payment(SMALL, PAYEE);
    let (one, two) = tokio::join!(rig.sign("k", payload.clone()), rig.sign("k", payload));
    assert_eq!(signature_of(&one.unwrap()), signature_of(&two.unwrap()));
    assert_eq!((agent.sessions(), spent(&rig)), (1, U256::from(SMALL)));
}

#[tokio::test]
async fn a_missing_node_is_named_and_costs_nothing() {
    let rig = Rig::new();
    let agent = rig.attach(Role::Agent, &[]);
    let error = rig.sign("k", payment(SMALL, PAYEE)).await.unwrap_err();
    assert!(matches!(error, OpError::Unavailable { nodes, .. } if nodes == [node(Role::Service)]));
    assert_eq!((agent.sessions(), rig.entry("k"), spent(&rig)), (0, None, U256::ZERO));
    assert_eq!(rig.audit()[1..], ["sign.not_started"]);
    rig.attach(Role::Service, &[]);
    signature_of(&rig.sign("k", payment(SMALL, PAYEE)).await.unwrap());
}

#[tokio::test]
async fn a_nodes_denial_is_an_answer_and_gives_the_budget_back() {
    let rig = Rig::new();
    let (_agent, _service) = rig.attach_signers(&[Does::Hangs], &[Does::Denies]);
    let answer = rig.sign("k", payment(SMALL, PAYEE)).await.unwrap();
    assert_eq!(denial_of(&answer).decided_by, "service-1", "not whom the node names");
    assert_eq!(state(&rig), State::Releasing, "the agent node said nothing: it may have released");

    let rig = Rig::new();
    let (_agent, _service) = rig.attach_signers(&[Does::Fails(Fault::Network, false)], &[Does::Denies]);
    denial_of(&rig.sign("k", payment(SMALL, PAYEE)).await.unwrap());
    assert_eq!((state(&rig), spent(&rig)), (State::Void, U256::ZERO));
    signature_of(&rig.sign("k", payment(SMALL, PAYEE)).await.unwrap());
}

#[tokio::test]
async fn what_may_have_left_stays_spent_and_can_be_asked_for_again() {
    let rig = Rig::new();
    let (agent, _service) = rig.attach_signers(&[], &[Does::Fails(Fault::Network, true)]);
    let error = rig.sign("k", payment(SMALL, PAYEE)).await.unwrap_err();
    assert!(matches!(error, OpError::Unavailable { .. }));
    assert_eq!((state(&rig), spent(&rig)), (State::Releasing, U256::from(SMALL)));
    let conflict = rig.sign("k", payment(SMALL + 1, PAYEE)).await;
    assert!(matches!(conflict, Err(OpError::Conflict { .. })));

    signature_of(&rig.sign("k", payment(SMALL, PAYEE)).await.unwrap());
    assert_eq!((state(&rig), spent(&rig)), (State::Done, U256::from(SMALL)), "charged once");
    assert_eq!(agent.sessions(), 2);
}

#[tokio::test]
async fn a_second_try_that_proves_nothing_left_does_not_free_the_first() {
    let rig = Rig::new();
    let nothing = Does::Fails(Fault::Peer, false);
    let (_agent, _service) =
        rig.attach_signers(&[Does::Well, nothing.clone()], &[Does::Fails(Fault::Network, true), nothing]);
    for _ in 0..2 {
        assert!(rig.sign("k", payment(SMALL, PAYEE)).await.is_err());
        assert_eq!((state(&rig), spent(&rig)), (State::Releasing, U256::from(SMALL)));
    }
}

#[tokio::test]
async fn a_held_spend_is_judged_anew() {
    let rig = Rig::new();
    let (agent, _service) = rig.attach_signers(&[], &[Does::Fails(Fault::Network, true)]);
    assert!(rig.sign("k", payment(SMALL, PAYEE)).await.is_err());
    let _synced = quorate_store::update(rig.store.as_ref(), |txn| {
        crate::records::put(txn, &policy_record(policy(2, "0.0001")))
    })
    .unwrap();
    denial_of(&rig.sign("k", payment(SMALL, PAYEE)).await.unwrap());
    assert_eq!((agent.sessions(), state(&rig)), (1, State::Releasing));
}

#[tokio::test]
async fn a_network_failure_before_anything_left_is_tried_once_more() {
    let network = Does::Fails(Fault::Network, false);
    let rig = Rig::new();
    let (agent, _service) = rig.attach_signers(from_ref(&network), from_ref(&network));
    signature_of(&rig.sign("k", payment(SMALL, PAYEE)).await.unwrap());
    assert_eq!((agent.sessions(), spent(&rig)), (2, U256::from(SMALL)));

    let rig = Rig::new();
    let (agent, _service) =
        rig.attach_signers(&[network.clone(), network.clone()], &[network.clone(), network]);
    assert!(matches!(rig.sign("k", payment(SMALL, PAYEE)).await, Err(OpError::Unavailable { .. })));
    assert_eq!((agent.sessions(), state(&rig), spent(&rig)), (2, State::Void, U256::ZERO));
}

#[tokio::test]
async fn faults_are_told_apart() {
    type Expected = fn(&OpError) -> bool;
    let cases: [(Fault, Expected); 3] = [
        (Fault::Caller, |error| matches!(error, OpError::Invalid { .. })),
        (
            Fault::Peer,
            |error| matches!(error, OpError::PeerFault { nodes, .. } if *nodes == [node(Role::Agent)]),
        ),
        (Fault::Bug, |error| matches!(error, OpError::Internal(_))),
    ];
    for (fault, expected) in cases {
        let rig = Rig::new();
        let (agent, _service) =
            rig.attach_signers(&[Does::Fails(Fault::Network, false)], &[Does::Fails(fault, false)]);
        let error = rig.sign("k", payment(SMALL, PAYEE)).await.unwrap_err();
        assert!(expected(&error), "{fault:?}: {error:?}");
        assert_eq!(
            (agent.sessions(), state(&rig)),
            (1, State::Void),
            "{fault:?}: only the network is retried"
        );
    }
}

#[tokio::test]
async fn a_node_that_vanishes_is_named_and_the_next_request_succeeds() {
    for (role, agent, service) in
        [(Role::Agent, Does::Vanishes, Does::Hangs), (Role::Service, Does::Well, Does::Vanishes)]
    {
        let rig = Rig::new();
        let (_agent, _service) = rig.attach_signers(&[agent], &[service]);
        let error = rig.sign("k", payment(SMALL, PAYEE)).await.unwrap_err();
        assert!(matches!(error, OpError::Unavailable { nodes, .. } if nodes == [node(role)]), "{role}");
        assert_eq!(state(&rig), State::Releasing);
        rig.attach_signers(&[], &[]);
        signature_of(&rig.sign("l", payment(SMALL, PAYEE)).await.unwrap());
        signature_of(&rig.sign("k", payment(SMALL, PAYEE)).await.unwrap());
    }
}

#[tokio::test]
async fn the_deadline_names_whom_it_waited_for() {
    for (does, spend) in [(Does::Hangs, State::Releasing), (Does::Sleeps, State::Void)] {
        let mut deadlines = super::rig::DEADLINES;
        deadlines.sign_ms = 200;
        let rig = Rig::with(deadlines);
        let (_agent, _service) = rig.attach_signers(&[], &[does]);
        let began = std::time::Instant::now();
        let error = rig.sign("k", payment(SMALL, PAYEE)).await.unwrap_err();
        assert!(matches!(error, OpError::Timeout { nodes, .. } if nodes == [node(Role::Service)]));
        assert!(began.elapsed() < Duration::from_secs(5));
        assert_eq!(state(&rig), spend, "without opens nothing can have left");
    }
}

#[tokio::test]
async fn no_wrong_signature_leaves() {
    let rig = Rig::new();
    let (_agent, _service) = rig.attach_signers(&[], &[Does::SignsAnother]);
    let error = rig.sign("k", payment(SMALL, PAYEE)).await.unwrap_err();
    assert!(matches!(error, OpError::PeerFault { nodes, .. } if nodes == [node(Role::Service)]));
    assert_eq!(state(&rig), State::Releasing);
}

#[tokio::test]
async fn the_agents_intent_must_name_exactly_this() {
    type Change = fn(&mut quorate_session::IntentStatement);
    let changes: [(&str, Change); 8] = [
        ("cluster", |stated| stated.cluster = "other".parse().unwrap()),
        ("wallet", |stated| stated.wallet = "other".parse().unwrap()),
        ("agent", |stated| stated.agent = "other".parse().unwrap()),
        ("payload hash", |stated| stated.payload_hash = B256::ZERO),
        ("digest", |stated| stated.digest = B256::ZERO),
        ("policy hash", |stated| stated.policy_hash = B256::ZERO),
        ("idempotency key", |stated| stated.idempotency_key = "other".to_owned()),
        ("execution id", |stated| stated.eid = [0; 32]),
    ];
    for (field, change) in changes {
        let rig = Rig::new();
        let (_agent, _service) = rig.attach_signers(&[], &[Does::Intent(change)]);
        let error = rig.sign("k", payment(SMALL, PAYEE)).await.unwrap_err();
        assert!(error.to_string().ends_with(&format!("another {field}")), "{field}: {error}");
        // A genuine statement of another request convicts whoever passes it off as this one's, not whoever made it.
        assert!(matches!(error, OpError::PeerFault { nodes, .. } if nodes == [node(Role::Service)]));
    }
}

#[tokio::test]
async fn a_sync_that_fails_before_release_keeps_the_nodes_in_the_dark() {
    let rig = Rig::new();
    let (agent, service) = rig.attach_signers(&[], &[]);
    rig.store.fail_commit_after(0, Aftermath::Lost);
    assert!(rig.sign("k", payment(SMALL, PAYEE)).await.unwrap_err().is_fatal());
    assert_eq!((agent.sessions(), service.sessions()), (0, 0));
    let rig = rig.restarted();
    assert_eq!(settle(&rig.core.db, 0).await.unwrap(), Settled::default());
    assert_eq!((rig.entry("k"), spent(&rig)), (None, U256::ZERO));
}

/// The disk had it, and only the answer was lost: nobody can tell that from nodes that were asked.
#[tokio::test]
async fn a_spend_that_is_on_disk_is_held_for_its_request() {
    let rig = Rig::new();
    let (agent, _service) = rig.attach_signers(&[], &[]);
    rig.store.fail_commit_after(0, Aftermath::Kept);
    assert!(rig.sign("k", payment(SMALL, PAYEE)).await.unwrap_err().is_fatal());
    assert_eq!(agent.sessions(), 0);
    let rig = rig.restarted();
    assert_eq!(settle(&rig.core.db, 0).await.unwrap(), Settled { voided: 0, left_spent: 1 });
    rig.attach_signers(&[], &[]);
    signature_of(&rig.sign("k", payment(SMALL, PAYEE)).await.unwrap());
    assert_eq!((state(&rig), spent(&rig)), (State::Done, U256::from(SMALL)), "counted once");
}

#[tokio::test]
async fn a_sync_that_fails_at_the_answer_gives_none_and_leaves_the_spend() {
    let rig = Rig::new();
    let (_agent, _service) = rig.attach_signers(&[], &[]);
    rig.store.fail_commit_after(1, Aftermath::Lost);
    assert!(rig.sign("k", payment(SMALL, PAYEE)).await.unwrap_err().is_fatal());
    let rig = rig.restarted();
    let settled = settle(&rig.core.db, 0).await.unwrap();
    assert_eq!(settled, Settled { voided: 0, left_spent: 1 });
    assert_eq!((state(&rig), spent(&rig)), (State::Releasing, U256::from(SMALL)));
    rig.attach_signers(&[], &[]);
    signature_of(&rig.sign("k", payment(SMALL, PAYEE)).await.unwrap());
    assert_eq!(spent(&rig), U256::from(SMALL));
}

#[tokio::test]
async fn a_caller_who_hangs_up_does_not_stop_it() {
    let rig = Rig::new();
    let (_agent, _service) = rig.attach_signers(&[], &[]);
    let mut call = Box::pin(rig.sign("k", payment(SMALL, PAYEE)));
    assert!(futures::poll!(&mut call).is_pending());
    drop(call);
    rig.core.tasks.close();
    rig.core.tasks.wait().await;
    assert_eq!(state(&rig), State::Done);
}

#[tokio::test]
async fn a_denial_asks_no_node() {
    let rig = Rig::new();
    let (agent, service) = rig.attach_signers(&[], &[]);
    denial_of(&rig.sign("k", payment(LARGE, PAYEE)).await.unwrap());
    assert_eq!((agent.sessions(), service.sessions(), rig.entry("k")), (0, 0, None));
}
