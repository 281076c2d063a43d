use futures::StreamExt;
use quorate_proto::v1;
use quorate_proto::v1::relay_frame::Frame;
use quorate_proto::v1::session_outcome::Outcome;
use quorate_types::{NodeId, Role};
use tokio::sync::mpsc;

use super::rig::node;
use crate::link::Link;
use crate::relay::{Convened, Lost, Relay, Seat};

fn link(
    name: NodeId,
    stream: u64,
) -> (Link, impl StreamExt<Item = Result<v1::RelayFrame, tonic::Status>> + Unpin) {
    let (link, out) = Link::new(name, stream);
    (link, Box::pin(out))
}

fn envelope(session: &Convened<'_>, to: u32, bytes: usize) -> v1::SessionEnvelope {
    v1::SessionEnvelope { session: session.session.label(), to, sealed: vec![1; bytes] }
}

fn seat(role: Role, link: &Link) -> Seat {
    Seat { index: role.index(), link: link.clone() }
}

fn lost(session: &Convened<'_>) -> Vec<Option<Lost>> {
    session.session.heard.borrow().iter().map(|heard| heard.lost).collect()
}

#[tokio::test]
async fn envelopes_go_between_the_seats_of_their_session_and_nowhere_else() {
    let relay = Relay::default();
    let (agent, _agent_out) = link(node(Role::Agent), 1);
    let (service, mut service_out) = link(node(Role::Service), 2);
    let (cold, mut cold_out) = link(node(Role::Cold), 3);
    let session =
        relay.convene(vec![seat(Role::Agent, &agent), seat(Role::Service, &service)], None).unwrap();
    relay.envelope(&agent, envelope(&session, 1, 10));
    let Some(Ok(v1::RelayFrame { frame: Some(Frame::Envelope(passed)) })) = service_out.next().await else {
        panic!("not passed on")
    };
    assert_eq!(passed, envelope(&session, 1, 10));

    // A node outside, an earlier stream of a node inside, and an unknown session change nothing.
    relay.envelope(&cold, envelope(&session, 1, 10));
    let (stale, _out) = link(node(Role::Agent), 9);
    let outcome =
        v1::SessionOutcome { session: session.session.label(), outcome: Some(Outcome::Released(true)) };
    relay.outcome(&stale, outcome.clone());
    relay.outcome(&cold, outcome);
    relay.envelope(&agent, v1::SessionEnvelope { session: vec![0; 16], ..envelope(&session, 1, 10) });
    relay.envelope(&agent, v1::SessionEnvelope { session: vec![], ..envelope(&session, 1, 10) });
    assert!(
        session.session.heard.borrow().iter().all(|heard| heard.outcome.is_none() && heard.lost.is_none())
    );
    // To somebody who is not seated, cold here: the sender is at fault.
    relay.envelope(&agent, envelope(&session, 2, 10));
    assert_eq!(lost(&session), [Some(Lost::Broke("an envelope to nobody in the session")), None]);
    service.close();
    cold.close();
    assert!(service_out.next().await.is_none() && cold_out.next().await.is_none(), "nothing else was sent");
}

#[tokio::test]
async fn a_slow_node_loses_the_session_and_no_memory() {
    let relay = Relay::default();
    let (agent, _agent_out) = link(node(Role::Agent), 1);
    let (service, _unread) = link(node(Role::Service), 2);
    let seats = vec![seat(Role::Agent, &agent), seat(Role::Service, &service)];
    let sessions: Vec<_> = (0..5).map(|_| relay.convene(seats.clone(), None).unwrap()).collect();
    for session in &sessions {
        for _ in 0..120 {
            relay.envelope(&agent, envelope(session, 1, 100));
        }
    }
    assert!(sessions[..4].iter().all(|session| lost(session) == [None, None]));
    assert_eq!(lost(&sessions[4]), [None, Some(Lost::Slow)], "its queue holds 512 frames");
}

#[tokio::test]
async fn who_floods_is_at_fault_and_not_who_is_flooded() {
    let relay = Relay::default();
    let (agent, _agent_out) = link(node(Role::Agent), 1);
    let (service, _unread) = link(node(Role::Service), 2);
    let seats = vec![seat(Role::Agent, &agent), seat(Role::Service, &service)];
    let session = relay.convene(seats, None).unwrap();
    for _ in 0..600 {
        relay.envelope(&agent, envelope(&session, 1, 1));
    }
    assert_eq!(lost(&session), [Some(Lost::Broke("more messages than any session has")), None]);
}

#[tokio::test]
async fn a_node_cannot_flood_another() {
    let relay = Relay::default();
    let (agent, _agent_out) = link(node(Role::Agent), 1);
    let (service, mut service_out) = link(node(Role::Service), 2);
    let seats = vec![seat(Role::Agent, &agent), seat(Role::Service, &service)];
    let session = relay.convene(seats.clone(), None).unwrap();
    let mut passed = 0;
    while lost(&session) == [None, None] {
        relay.envelope(&agent, envelope(&session, 1, 512 << 10));
        passed += usize::from(lost(&session) == [None, None]);
        if lost(&session) == [None, None] {
            service_out.next().await.unwrap().unwrap();
        }
    }
    assert_eq!(passed, 16);
    let too_large = relay.convene(seats, None).unwrap();
    relay.envelope(&service, envelope(&too_large, 0, (512 << 10) + 1));
    assert_eq!(lost(&too_large), [None, Some(Lost::Broke("an envelope that is too large"))]);
}

#[tokio::test]
async fn first_words_stand_and_bad_ones_lose_the_session() {
    let relay = Relay::default();
    let (agent, _agent_out) = link(node(Role::Agent), 1);
    let (service, _service_out) = link(node(Role::Service), 2);
    let (stages, mut told) = mpsc::channel(1);
    let seats = vec![seat(Role::Agent, &agent), seat(Role::Service, &service)];
    let session = relay.convene(seats, Some(stages)).unwrap();
    let label = session.session.label();
    for byte in [1, 2] {
        relay.open(&agent, v1::SessionOpen { session: label.clone(), signed_open: vec![byte] });
    }
    assert_eq!(session.session.heard.borrow()[0].open, Some(vec![1]));
    relay.open(&service, v1::SessionOpen { session: label.clone(), signed_open: vec![0; 4096] });
    assert_eq!(lost(&session), [None, Some(Lost::Broke("an open of the wrong size"))]);
    for stage in ["primes\n", "dropped, nobody reads"] {
        relay.progress(&agent, v1::SessionProgress { session: label.clone(), stage: stage.to_owned() });
    }
    assert_eq!(told.recv().await.unwrap().stage, "primes");
    relay.detached(&agent);
    assert_eq!(lost(&session)[0], Some(Lost::Detached));
    drop(session);
    relay.outcome(&agent, v1::SessionOutcome { session: label, outcome: None });
}
