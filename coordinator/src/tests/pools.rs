//! Signing with what the nodes say they hold, and what becomes of the budget where they do not.

use std::time::Duration;

use quorate_intent::AssetId;
use quorate_ledger::State;
use quorate_proto::v1::session_failure::Fault;
use quorate_proto::v1::session_start::Protocol;
use quorate_types::{B256, Payload, Role, U256};
use tokio_util::sync::CancellationToken;

use super::fake::{Does, Fake};
use super::rig::{PAYEE, Rig, SMALL, denial_of, node, payment, signature_of, wallet};
use crate::error::OpError;
use crate::refill;

/// What a node was asked, in order: the presignature of an online signing, or the protocol.
fn asked(fake: &Fake) -> Vec<String> {
    let name = |protocol: &Option<Protocol>| match protocol {
        Some(Protocol::Online(online)) => format!("online {}", online.presignature[0]),
        Some(Protocol::Sign(_)) => "sign".to_owned(),
        Some(Protocol::Presign(_)) => "presign".to_owned(),
        other => panic!("{other:?}"),
    };
    fake.seen.lock().unwrap().starts.iter().map(|(start, _)| name(&start.protocol)).collect()
}

fn pooled(agent: &[Does], service: &[Does], ids: &[u8]) -> (Rig, Fake, Fake) {
    let rig = Rig::new();
    let (agent, service) = rig.attach_signers(agent, service);
    rig.reports(Role::Agent, ids, &[]);
    rig.reports(Role::Service, ids, &[]);
    (rig, agent, service)
}

fn budget(rig: &Rig) -> (State, U256) {
    let spent = quorate_ledger::spent(rig.store.as_ref(), &wallet(), &AssetId::native(84532), 0).unwrap();
    (rig.entry("k").unwrap().state, spent)
}

/// How the signature in the log was made.
fn path(rig: &Rig) -> String {
    let entries = quorate_audit::entries(rig.store.as_ref(), 1, usize::MAX).unwrap();
    let signed = entries.iter().find(|entry| entry.kind == "sign.signed").unwrap();
    signed.fields["path"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_both_nodes_hold_is_used_once_the_oldest_first() {
    let (rig, agent, service) = pooled(&[], &[], &[1, 2]);
    signature_of(&rig.sign("k", payment(SMALL, PAYEE)).await.unwrap());
    assert_eq!(path(&rig), "presignature");
    assert_eq!(budget(&rig), (State::Done, U256::from(SMALL)));
    for fake in [&agent, &service] {
        let states: Vec<_> = fake.seen.lock().unwrap().starts.iter().map(|(_, state)| *state).collect();
        assert_eq!(states, [Some(State::Releasing)], "marked before any node hears of it");
    }
    for key in ["l", "m"] {
        signature_of(&rig.sign(key, payment(SMALL, PAYEE)).await.unwrap());
    }
    assert_eq!(asked(&agent), ["online 1", "online 2", "sign"]);
    assert_eq!(asked(&service), ["online 1", "online 2", "sign"]);
}

#[tokio::test]
async fn two_requests_at_once_are_never_given_one_presignature() {
    let (rig, agent, _service) = pooled(&[], &[], &[1, 2, 3]);
    let pay = |key| rig.sign(key, payment(SMALL, PAYEE));
    let (one, two, three) = tokio::join!(pay("k"), pay("l"), pay("m"));
    for answer in [one, two, three] {
        signature_of(&answer.unwrap());
    }
    let mut asked = asked(&agent);
    asked.sort();
    assert_eq!(asked, ["online 1", "online 2", "online 3"]);
}

/// Whatever the nodes say they hold, and with no demand that would have more made.
#[tokio::test]
async fn a_raw_digest_takes_a_session_of_its_own() {
    let rig = Rig::for_raw_digests();
    let (agent, service) = rig.attach_signers(&[], &[]);
    for role in [Role::Agent, Role::Service] {
        rig.reports(role, &[1, 2], &[]);
    }
    for (key, byte) in [("k", 1), ("l", 2)] {
        let digest = B256::repeat_byte(byte);
        let signed = signature_of(&rig.sign(key, Payload::RawDigest(digest)).await.unwrap());
        assert_eq!(
            (signed.digest.as_slice(), signed.signed_transaction.as_slice()),
            (digest.as_slice(), &[][..])
        );
    }
    assert_eq!((asked(&agent), asked(&service)), (vec!["sign".to_owned(); 2], vec!["sign".to_owned(); 2]));
    assert_eq!(path(&rig), "session");
    assert!(rig.core.demand.targets(&rig.core.pools_config, tokio::time::Instant::now()).is_empty());
    let denial = denial_of(&rig.sign("m", payment(SMALL, PAYEE)).await.unwrap());
    assert!(denial.failures.iter().any(|failure| failure.rule == "raw_digest"), "{denial:?}");
}

#[tokio::test]
async fn what_only_one_node_holds_is_of_no_use() {
    let rig = Rig::new();
    let (agent, _service) = rig.attach_signers(&[], &[]);
    rig.reports(Role::Agent, &[1, 2, 3], &[]);
    rig.reports(Role::Service, &[2, 3], &[]);
    rig.reports(Role::Agent, &[], &[2]);
    signature_of(&rig.sign("k", payment(SMALL, PAYEE)).await.unwrap());
    signature_of(&rig.sign("l", payment(SMALL, PAYEE)).await.unwrap());
    assert_eq!(asked(&agent), ["online 3", "sign"]);
}

#[tokio::test]
async fn a_node_that_attaches_again_is_taken_at_its_new_word() {
    let (rig, _agent, _service) = pooled(&[], &[], &[1]);
    let agent = rig.attach(Role::Agent, &[]);
    signature_of(&rig.sign("k", payment(SMALL, PAYEE)).await.unwrap());
    assert_eq!(asked(&agent), ["sign"], "it said nothing on its new stream");

    let (rig, _agent, _service) = pooled(&[], &[], &[1]);
    signature_of(&rig.sign("k", payment(SMALL, PAYEE)).await.unwrap());
    let (agent, _service) = rig.attach_signers(&[], &[]);
    for role in [Role::Agent, Role::Service] {
        rig.reports(role, &[1, 2], &[]);
    }
    signature_of(&rig.sign("l", payment(SMALL, PAYEE)).await.unwrap());
    assert_eq!(asked(&agent), ["online 2"], "what was given out once is not given out again");
}

#[tokio::test]
async fn where_a_node_holds_none_after_all_another_is_taken_and_then_a_session_is_run() {
    let (rig, agent, service) = pooled(&[Does::HoldsNone], &[], &[1, 2]);
    signature_of(&rig.sign("k", payment(SMALL, PAYEE)).await.unwrap());
    assert_eq!(
        (asked(&agent), asked(&service)),
        (vec!["online 1".to_owned(), "online 2".to_owned()], vec!["online 2".to_owned()])
    );

    let (rig, agent, service) = pooled(&[], &[Does::HoldsNone, Does::HoldsNone], &[1, 2, 3]);
    signature_of(&rig.sign("k", payment(SMALL, PAYEE)).await.unwrap());
    assert_eq!(asked(&agent), ["online 1", "online 2", "sign"]);
    assert_eq!(asked(&service), ["online 1", "online 2", "sign"]);
    assert_eq!(budget(&rig), (State::Done, U256::from(SMALL)), "spent once");
    assert_eq!(path(&rig), "session");
}

#[tokio::test]
async fn a_bad_contribution_names_its_node_and_costs_nothing() {
    let (rig, _agent, service) = pooled(&[], &[Does::Fails(Fault::Peer, false)], &[1]);
    let error = rig.sign("k", payment(SMALL, PAYEE)).await.unwrap_err();
    assert!(matches!(error, OpError::PeerFault { nodes, .. } if nodes == [node(Role::Agent)]));
    assert_eq!(budget(&rig), (State::Void, U256::ZERO));
    assert_eq!(asked(&service), ["online 1"]);
    signature_of(&rig.sign("k", payment(SMALL, PAYEE)).await.unwrap());
}

#[tokio::test]
async fn a_pair_with_a_node_at_fault_again_and_again_is_left_alone_for_a_while() {
    let (good, bad) = (Does::Well, Does::Fails(Fault::Peer, false));
    let service = [bad.clone(), bad.clone(), good, bad.clone(), bad.clone(), bad.clone()];
    let (rig, _agent, service) = pooled(&[], &service, &[1, 2, 3, 4, 5, 6, 7]);
    let group = rig.core.group(&"g".parse().unwrap()).unwrap();
    let now = tokio::time::Instant::now();
    for (n, signs) in [false, false, true, false, false, false].into_iter().enumerate() {
        assert!(!rig.core.pools.is_quarantined(&group, now), "{n}");
        let answer = rig.sign(&format!("k{n}"), payment(SMALL, PAYEE)).await;
        assert_eq!(answer.is_ok(), signs, "{n}");
    }
    assert!(rig.core.pools.is_quarantined(&group, now));
    signature_of(&rig.sign("k", payment(SMALL, PAYEE)).await.unwrap());
    assert_eq!(asked(&service).last().unwrap(), "sign");
    let later = now + Duration::from_secs(601);
    assert!(!rig.core.pools.is_quarantined(&group, later));
    assert!(rig.core.pools.ended(&group, true, later), "one more is enough");
    assert!(rig.core.pools.is_quarantined(&group, later));
    assert!(!rig.core.pools.ended(&group, false, later));
    assert!(!rig.core.pools.is_quarantined(&group, later), "and one that signs ends it");
}

#[tokio::test]
async fn a_denial_by_either_node_gives_the_budget_back() {
    for (agent, service) in [(Does::Denies, Does::Well), (Does::Well, Does::Denies)] {
        let (rig, _agent, _service) = pooled(&[agent], &[service], &[1]);
        denial_of(&rig.sign("k", payment(SMALL, PAYEE)).await.unwrap());
        assert_eq!(budget(&rig), (State::Void, U256::ZERO));
    }
}

#[tokio::test]
async fn the_service_nodes_silence_or_its_word_that_it_released_leaves_the_spend_standing() {
    for does in [Does::Vanishes, Does::Fails(Fault::Network, true)] {
        let (rig, agent, _service) = pooled(&[], &[does], &[1, 2]);
        assert!(rig.sign("k", payment(SMALL, PAYEE)).await.is_err());
        assert_eq!(budget(&rig), (State::Releasing, U256::from(SMALL)));
        assert_eq!(asked(&agent), ["online 1"], "and nothing is tried again");
    }
}

#[tokio::test]
async fn where_the_agent_node_is_lost_the_service_node_was_never_asked() {
    let (rig, _agent, service) = pooled(&[Does::Vanishes], &[], &[1]);
    assert!(matches!(rig.sign("k", payment(SMALL, PAYEE)).await, Err(OpError::Unavailable { .. })));
    assert_eq!((service.sessions(), budget(&rig)), (0, (State::Void, U256::ZERO)));
}

#[tokio::test]
async fn a_failed_network_is_tried_again_in_a_session() {
    let (rig, agent, _service) = pooled(&[], &[Does::Fails(Fault::Network, false)], &[1]);
    signature_of(&rig.sign("k", payment(SMALL, PAYEE)).await.unwrap());
    assert_eq!(asked(&agent), ["online 1", "sign"]);
    assert_eq!(budget(&rig), (State::Done, U256::from(SMALL)));
}

#[tokio::test]
async fn no_signature_leaves_unverified() {
    let (rig, _agent, _service) = pooled(&[], &[Does::SignsAnother], &[1]);
    let error = rig.sign("k", payment(SMALL, PAYEE)).await.unwrap_err();
    assert!(matches!(error, OpError::PeerFault { nodes, .. } if nodes == [node(Role::Service)]));
    assert_eq!(budget(&rig), (State::Releasing, U256::from(SMALL)));
}

#[tokio::test]
async fn use_makes_demand_and_demand_is_met_and_no_more() {
    let rig = Rig::new();
    let (agent, service) = rig.attach_signers(&[], &[]);
    let stop = CancellationToken::new();
    let refilling = tokio::spawn(refill::run(rig.core.clone(), stop.clone()));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(agent.sessions(), 0, "nobody asked for anything yet");
    signature_of(&rig.sign("k", payment(SMALL, PAYEE)).await.unwrap());
    for id in 1..=u8::try_from(rig.core.pools_config.hot).unwrap() {
        let presigned =
            |fake: &Fake| asked(fake).iter().filter(|name| *name == "presign").count() >= id.into();
        while !(presigned(&agent) && presigned(&service)) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        rig.reports(Role::Agent, &[id], &[]);
        rig.reports(Role::Service, &[id], &[]);
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let group = rig.core.group(&"g".parse().unwrap()).unwrap();
    assert_eq!(rig.core.pools.ready(&wallet(), &group), rig.core.pools_config.hot);
    stop.cancel();
    refilling.await.unwrap();
}
