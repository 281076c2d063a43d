//! What is told to callers as it happens.

use std::time::Duration;

use futures::StreamExt;
use quorate_proto::v1;
use quorate_proto::v1::signing_event::State;
use quorate_transport::{PeerRole, SpiffeId};
use quorate_types::Role;
use tokio::time::timeout;

use super::fake::Does;
use super::rig::{LARGE, PAYEE, Rig, SMALL, denial_of, payment, signature_of, wallet};
use crate::access::Caller;
use crate::error::OpError;
use crate::feed::Reading;
use crate::ops::watch_events::watch_events;
use crate::ops::watch_signing::watch_signing;
use crate::signings::Name;

fn auditor() -> Caller {
    super::rig::caller(PeerRole::Auditor)
}

fn gateway() -> Caller {
    super::rig::caller(PeerRole::Gateway)
}

async fn next<T>(reading: &mut Reading<T>) -> Option<Result<T, OpError>> {
    timeout(Duration::from_secs(10), reading.next()).await.unwrap()
}

/// The numbers of the next `count` entries.
async fn sequences(reading: &mut Reading<v1::WatchEventsResponse>, count: usize) -> Vec<u64> {
    let mut seen = Vec::new();
    while seen.len() < count {
        let news = next(reading).await.unwrap().unwrap();
        for entry in &news.entries {
            let entry: serde_json::Value = serde_json::from_str(entry).unwrap();
            seen.push(entry["seq"].as_u64().unwrap());
        }
        assert_eq!(news.next, seen.last().unwrap() + 1);
    }
    seen
}

#[tokio::test]
async fn every_entry_is_told_once_and_in_order_from_where_the_reader_wants() {
    let rig = Rig::new();
    let mut all = watch_events(&rig.core, &auditor(), 1).await.unwrap();
    let mut new = watch_events(&rig.core, &auditor(), 0).await.unwrap();
    let asked = (0..40).map(|n| {
        let (core, payload) = (rig.core.clone(), payment(LARGE, PAYEE));
        let request = super::rig::request(&n.to_string(), payload);
        async move {
            let gateway = super::rig::caller(quorate_transport::PeerRole::Gateway);
            crate::ops::sign::sign(&core, gateway, request).await.unwrap()
        }
    });
    let asked = tokio::spawn(futures::future::join_all(asked.collect::<Vec<_>>()));
    assert_eq!(sequences(&mut all, 41).await, (1..=41).collect::<Vec<_>>());
    assert_eq!(sequences(&mut new, 40).await, (2..=41).collect::<Vec<_>>());
    asked.await.unwrap();
    let mut rest = watch_events(&rig.core, &auditor(), 30).await.unwrap();
    assert_eq!(sequences(&mut rest, 12).await, (30..=41).collect::<Vec<_>>());
    assert!(
        matches!(watch_events(&rig.core, &auditor(), 43).await, Err(OpError::Invalid { field, .. }) if field == "from")
    );
    let mut end = watch_events(&rig.core, &auditor(), 42).await.unwrap();
    rig.core.stopping.cancel();
    let Some(Err(OpError::Unavailable { reason, .. })) = next(&mut end).await else { panic!("no last word") };
    assert!(reason.ends_with("go on from 42"), "{reason}");
    assert!(next(&mut end).await.is_none());
}

fn name(key: &str) -> Name {
    Name { wallet: wallet(), key: key.parse().unwrap() }
}

#[tokio::test]
async fn a_request_is_followed_to_its_signature() {
    let rig = Rig::new();
    let _signers = rig.attach_signers(&[], &[]);
    let mut reading = watch_signing(&rig.core, &gateway(), name("k")).await.unwrap();
    assert_eq!(next(&mut reading).await.unwrap().unwrap().state(), State::Unknown);
    let signed = rig.sign("k", payment(SMALL, PAYEE)).await.unwrap();
    let last = loop {
        let event = next(&mut reading).await.unwrap().unwrap();
        if event.state() != State::Running {
            break event;
        }
    };
    assert_eq!(last.state(), State::Done);
    assert_eq!(signature_of(&last.answer.unwrap()), signature_of(&signed));
    assert!(next(&mut reading).await.is_none(), "the answer is the end");
    // Whoever comes later hears the same.
    let mut late = watch_signing(&rig.core, &gateway(), name("k")).await.unwrap();
    let event = next(&mut late).await.unwrap().unwrap();
    assert_eq!(signature_of(&event.answer.unwrap()), signature_of(&signed));
    assert!(next(&mut late).await.is_none());
}

#[tokio::test]
async fn a_denial_and_a_failure_are_answers_too() {
    let rig = Rig::new();
    let mut denied = watch_signing(&rig.core, &gateway(), name("denied")).await.unwrap();
    let mut failed = watch_signing(&rig.core, &gateway(), name("failed")).await.unwrap();
    for reading in [&mut denied, &mut failed] {
        assert_eq!(next(reading).await.unwrap().unwrap().state(), State::Unknown);
    }
    let answer = rig.sign("denied", payment(LARGE, PAYEE)).await.unwrap();
    let event = next(&mut denied).await.unwrap().unwrap();
    assert_eq!(denial_of(&event.answer.unwrap()), denial_of(&answer));
    assert!(next(&mut denied).await.is_none());
    rig.attach(Role::Agent, &[Does::HoldsNone]);
    rig.sign("failed", payment(SMALL, PAYEE)).await.unwrap_err();
    let event = next(&mut failed).await.unwrap().unwrap();
    assert_eq!(event.state(), State::Failed);
    assert_eq!(event.failure.unwrap().nodes, ["service-1"]);
    assert!(next(&mut failed).await.is_none());
}

#[tokio::test]
async fn one_caller_leaves_places_to_the_others() {
    let rig = Rig::new();
    let another = |role| Caller(SpiffeId::new("demo".parse().unwrap(), role, "another").unwrap());
    let mut open = Vec::new();
    let reason = loop {
        match watch_events(&rig.core, &auditor(), 0).await {
            Ok(reading) => open.push(reading),
            Err(OpError::Unavailable { reason, .. }) => break reason,
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!((open.len(), reason.contains("/auditor/someone are open")), (8, true), "{reason}");
    assert!(watch_events(&rig.core, &another(PeerRole::Auditor), 0).await.is_ok());
    let mut open = Vec::new();
    while let Ok(reading) = watch_signing(&rig.core, &gateway(), name("k")).await {
        open.push(reading);
    }
    assert_eq!(open.len(), 128);
    assert!(watch_signing(&rig.core, &another(PeerRole::Gateway), name("k")).await.is_ok());
}
