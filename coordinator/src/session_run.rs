//! One session from its start to what each node says of its end.

use std::time::Duration;

use quorate_proto::v1;
use quorate_proto::v1::relay_frame::Frame;
use quorate_proto::v1::session_outcome::Outcome;
use quorate_proto::v1::session_start::Protocol;
use quorate_types::{NodeId, PartyIndex};
use tokio::time::{Instant, timeout_at};

use crate::relay::{Convened, Heard, Lost, Session};

/// How much longer than the coordinator a node is given, so that it is the coordinator who names whom it waited for.
const NODES_LONGER: Duration = Duration::from_millis(500);
/// After an abort: how long the others have to say whether anything had left them.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What a session is to do.
pub(crate) struct Plan {
    pub(crate) protocol: Protocol,
    /// The node whose success is the session's. `None`: every node's is needed.
    pub(crate) decisive: Option<PartyIndex>,
    pub(crate) deadline: Instant,
}

/// A session that is over.
#[derive(Debug)]
pub(crate) struct Ended {
    /// By seat: who, and its last words.
    pub(crate) heard: Vec<(NodeId, Heard)>,
    /// Whether the nodes were given each other's opens, or through a pool the service node the agent node's contribution.
    /// Before that nothing can have been made that could become a signature.
    pub(crate) opened: bool,
    /// Whom the coordinator waited for when the deadline passed.
    pub(crate) waited_for: Vec<NodeId>,
}

/// Runs a session to its end.
pub(crate) async fn run(convened: Convened<'_>, plan: Plan) -> Ended {
    let Plan { protocol, decisive, deadline } = plan;
    let session = &convened.session;
    let mut ended = Ended { heard: Vec::new(), opened: false, waited_for: Vec::new() };

    start(session, protocol, deadline);
    let opened = until(session, deadline, |all| all.iter().any(failed) || all.iter().all(has_open)).await;
    ended.opened = opened && ready(&session.heard.borrow());
    if ended.opened {
        hand_out_opens(session);
    }

    let over = |all: &[Heard]| all.iter().any(failed) || succeeded(session, decisive, all);
    let in_time = opened && until(session, deadline, over).await;
    if !succeeded(session, decisive, &session.heard.borrow()) {
        if !in_time {
            ended.waited_for = silent(session, ended.opened);
        }
        abort(session, if in_time { "another node failed" } else { "the deadline passed" });
        let last = Instant::now() + LAST_WORDS;
        until(session, last, |all| all.iter().all(|heard| heard.outcome.is_some() || heard.lost.is_some()))
            .await;
    }
    let nodes = session.seats.iter().map(|seat| seat.link.node().clone());
    ended.heard = nodes.zip(session.heard.borrow().iter().cloned()).collect();
    ended
}

/// Asks one node something it answers by itself, without opens or envelopes.
pub(crate) async fn ask(convened: Convened<'_>, protocol: Protocol, deadline: Instant) -> Heard {
    let session = &convened.session;
    let ended = |all: &[Heard]| all.iter().all(|heard| heard.outcome.is_some() || heard.lost.is_some());
    start(session, protocol, deadline);
    if !until(session, deadline, ended).await {
        abort(session, "the deadline passed");
        until(session, Instant::now() + LAST_WORDS, ended).await;
    }
    let heard = session.heard.borrow().first().cloned();
    heard.unwrap_or_default()
}

async fn until(session: &Session, deadline: Instant, done: impl Fn(&[Heard]) -> bool) -> bool {
    let mut heard = session.heard.subscribe();
    let came = timeout_at(deadline, heard.wait_for(|all| done(all))).await;
    matches!(came, Ok(Ok(_)))
}

fn start(session: &Session, protocol: Protocol, deadline: Instant) {
    let left = deadline.saturating_duration_since(Instant::now()) + NODES_LONGER;
    let start = v1::SessionStart {
        session: session.label(),
        deadline_ms: u32::try_from(left.as_millis()).unwrap_or(u32::MAX),
        protocol: Some(protocol),
    };
    for seat in 0..session.seats.len() {
        session.tell(seat, Frame::Start(start.clone()));
    }
}

fn hand_out_opens(session: &Session) {
    let signed_opens = session.heard.borrow().iter().filter_map(|heard| heard.open.clone()).collect();
    let opens = v1::SessionOpens { session: session.label(), signed_opens };
    for seat in 0..session.seats.len() {
        session.tell(seat, Frame::Opens(opens.clone()));
    }
}

fn abort(session: &Session, reason: &str) {
    let open = |heard: &Heard| heard.outcome.is_none() && heard.lost.is_none();
    let waiting: Vec<_> = session.heard.borrow().iter().map(open).collect();
    for (seat, _) in waiting.into_iter().enumerate().filter(|(_, waiting)| *waiting) {
        session.note(seat, |heard| heard.stopped = true);
        let abort = v1::SessionAbort { session: session.label(), reason: reason.to_owned() };
        session.tell(seat, Frame::Abort(abort));
    }
}

fn silent(session: &Session, opened: bool) -> Vec<NodeId> {
    let all = session.heard.borrow();
    let silent = |heard: &Heard| heard.outcome.is_none() && (opened || heard.open.is_none());
    let seats = session.seats.iter().zip(all.iter());
    seats.filter(|(_, heard)| silent(heard)).map(|(seat, _)| seat.link.node().clone()).collect()
}

fn ready(all: &[Heard]) -> bool {
    all.iter().all(has_open) && !all.iter().any(failed)
}

fn has_open(heard: &Heard) -> bool {
    heard.open.is_some()
}

fn is_success(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::AuxHash(_)
        | Outcome::Key(_)
        | Outcome::Released(_)
        | Outcome::Signed(_)
        | Outcome::Pooled(_)
        | Outcome::Contributed(_) => true,
        Outcome::Denied(_) | Outcome::Failed(_) => false,
    }
}

fn failed(heard: &Heard) -> bool {
    match &heard.outcome {
        Some(outcome) => !is_success(outcome),
        None => heard.lost.is_some(),
    }
}

fn succeeded(session: &Session, decisive: Option<PartyIndex>, all: &[Heard]) -> bool {
    let success = |heard: &Heard| heard.outcome.as_ref().is_some_and(is_success);
    let mut seats = session.seats.iter().zip(all);
    match decisive {
        Some(index) => seats.any(|(seat, heard)| seat.index == index && success(heard)),
        None => seats.all(|(_, heard)| success(heard)),
    }
}

impl Ended {
    /// The nodes, where each of them says, or it is certain, that no contribution of its own has left. What an agent node
    /// contributes through a pool went no further than here, and its presignature is used up: it does not count.
    pub(crate) fn nothing_released(&self) -> Option<Vec<NodeId>> {
        let nothing = |heard: &Heard| match &heard.outcome {
            Some(Outcome::Denied(_)) => true,
            Some(Outcome::Failed(failure)) => !failure.released,
            Some(Outcome::Contributed(_)) => true,
            Some(_) => false,
            None => !self.opened,
        };
        let all = self.heard.iter().all(|(_, heard)| nothing(heard));
        all.then(|| self.heard.iter().map(|(node, _)| node.clone()).collect())
    }

    /// A node's outcome.
    pub(crate) fn outcome_of(&self, node: &NodeId) -> Option<&Outcome> {
        self.heard.iter().find(|(name, _)| name == node).and_then(|(_, heard)| heard.outcome.as_ref())
    }

    /// Whether a node was told to stop before it had said how it ended.
    pub(crate) fn was_stopped(&self, node: &NodeId) -> bool {
        self.heard.iter().any(|(name, heard)| name == node && heard.stopped)
    }

    /// The nodes that were lost before they said how it ended.
    pub(crate) fn lost(&self) -> impl Iterator<Item = (&NodeId, Lost)> {
        let silent = self.heard.iter().filter(|(_, heard)| heard.outcome.is_none());
        silent.filter_map(|(node, heard)| heard.lost.map(|lost| (node, lost)))
    }
}
