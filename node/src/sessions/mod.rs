//! Sessions on one attached stream: each runs as its own task, talks only through its [`link::Link`], and ends with one
//! outcome. The coordinator's word is a label for routing; what a session is about, each node derives for itself.

mod commit;
mod error;
mod joined;
mod link;

use std::collections::HashMap;
use std::sync::Arc;

use quorate_proto::v1::{self, session_start::Protocol};
use quorate_types::SessionRef;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

pub(crate) use commit::commit;
pub(crate) use error::SessionError;
pub(crate) use joined::Joined;
pub(crate) use link::{Event, Link, PARTIAL_ROUND};

use crate::node::Node;
use crate::ops;

/// Most sessions at once on one stream. More are refused as a failure of the network: try again.
const MAX_SESSIONS: usize = 64;

/// Events a session may have waiting: an honest relay delivers at most a few per round and peer.
const EVENTS: usize = 64;

/// Largest envelope taken from the relay, in bytes: the largest honest one, of aux generation, is smaller.
const MAX_ENVELOPE_BYTES: usize = 300_000;

/// The sessions of one attached stream. Dropping it stops them all: none outlives its stream.
pub(crate) struct Sessions {
    coordinator: String,
    running: HashMap<SessionRef, Running>,
}

struct Running {
    events: mpsc::Sender<Event>,
    given_up: CancellationToken,
    task: AbortOnDropHandle<()>,
}

impl Sessions {
    /// No sessions yet of this coordinator's stream.
    pub(crate) fn new(coordinator: &str) -> Self {
        Self { coordinator: coordinator.to_owned(), running: HashMap::new() }
    }

    /// Joins a session, if this node's guard lets it. Never blocks.
    pub(crate) fn start(
        &mut self,
        node: Arc<Node>,
        start: v1::SessionStart,
        out: mpsc::Sender<v1::NodeFrame>,
    ) {
        self.running.retain(|_, running| !running.task.is_finished());
        let Ok(session) = SessionRef::try_from(start.session.as_slice()) else {
            tracing::warn!("session start with a malformed label ignored");
            return;
        };
        if self.running.len() >= MAX_SESSIONS || self.running.contains_key(&session) {
            let error = SessionError::Network("too many sessions at once, or one of this label".to_owned());
            let outcome = error.outcome(node.me.as_str(), false, |_| None);
            // A full queue means the coordinator does not read; its own deadline tells it.
            let _ = out.try_send(link::outcome_frame(session, outcome));
            return;
        }
        let (events, receiver) = mpsc::channel(EVENTS);
        let link = Link::new((session, &self.coordinator), start.deadline_ms, receiver, out);
        let given_up = CancellationToken::new();
        let task = AbortOnDropHandle::new(tokio::spawn(run(node, start.protocol, link, given_up.clone())));
        self.running.insert(session, Running { events, given_up, task });
    }

    /// Passes the participants' signed opens to their session.
    pub(crate) fn opens(&mut self, opens: v1::SessionOpens) {
        let bytes = opens.signed_opens.iter().map(Vec::len).max().unwrap_or(0);
        if opens.signed_opens.len() <= usize::from(quorate_types::PARTIES)
            && bytes <= quorate_session::MAX_OPEN_BYTES
        {
            self.deliver(&opens.session, Event::Opens(opens.signed_opens));
        }
    }

    /// Passes a sealed envelope to its session.
    pub(crate) fn envelope(&mut self, envelope: v1::SessionEnvelope) {
        if envelope.sealed.len() <= MAX_ENVELOPE_BYTES {
            self.deliver(&envelope.session, Event::Envelope(envelope.sealed));
        }
    }

    /// Ends a session at the coordinator's word: it could as well stop relaying. The session still says whether anything
    /// had left this node, since only then can what was reserved for it be given back.
    pub(crate) fn abort(&mut self, abort: &v1::SessionAbort) {
        if let Ok(session) = SessionRef::try_from(abort.session.as_slice())
            && let Some(running) = self.running.get(&session)
        {
            running.given_up.cancel();
        }
    }

    fn deliver(&mut self, session: &[u8], event: Event) {
        let Ok(session) = SessionRef::try_from(session) else { return };
        let Some(running) = self.running.get(&session) else { return };
        // A full queue is a relay that floods: the event is lost, and the session's own deadline ends it.
        let _ = running.events.try_send(event);
    }
}

/// Runs one session to its outcome, or until it is given up, and reports it.
async fn run(node: Arc<Node>, protocol: Option<Protocol>, mut link: Link, given_up: CancellationToken) {
    let started = std::time::Instant::now();
    let name = match &protocol {
        Some(Protocol::Aux(_)) => "aux",
        Some(Protocol::Keygen(_)) => "keygen",
        Some(Protocol::Sign(_)) => "sign",
        Some(Protocol::Presign(_)) => "presign",
        Some(Protocol::Online(_)) => "online",
        None => "unknown",
    };
    let attempt = ops::denied::attempt(protocol.as_ref());
    let result = tokio::select! {
        // A session that is over is over, whatever the coordinator says at that moment.
        biased;
        result = take_part(&node, protocol, &mut link) => result,
        () = given_up.cancelled() => {
            Err(SessionError::Network("given up at the coordinator's word".to_owned()))
        }
    };
    let result = match (result, attempt) {
        (Err(error), Some(start)) => Err(ops::denied::written(&node, start, error).await),
        (result, _) => result,
    };
    let ms = started.elapsed().as_millis();
    let outcome = match result {
        Ok(outcome) => {
            tracing::info!(session = %link.session(), protocol = name, ms, "session done");
            metrics::counter!("quorate_node_sessions", "protocol" => name, "outcome" => "done").increment(1);
            outcome
        }
        Err(error) => {
            tracing::warn!(session = %link.session(), protocol = name, ms, %error, "session ended");
            metrics::counter!("quorate_node_sessions", "protocol" => name, "outcome" => "ended").increment(1);
            if let SessionError::Fatal(reason) = &error {
                node.stop(reason);
            }
            error.outcome(node.me.as_str(), link.released(), |party| link.node_of(party))
        }
    };
    link.report(outcome).await;
}

async fn take_part(
    node: &Arc<Node>,
    protocol: Option<Protocol>,
    link: &mut Link,
) -> Result<v1::session_outcome::Outcome, SessionError> {
    match protocol {
        Some(Protocol::Aux(start)) => Box::pin(ops::aux_info::run(node, start, link)).await,
        Some(Protocol::Keygen(start)) => Box::pin(ops::keygen::run(node, start, link)).await,
        Some(Protocol::Sign(start)) => Box::pin(ops::sign::run(node, start, link)).await,
        Some(Protocol::Presign(start)) => Box::pin(ops::presign::run(node, start, link)).await,
        Some(Protocol::Online(start)) => Box::pin(ops::sign_online::run(node, start, link)).await,
        None => Err(SessionError::caller("protocol", "missing")),
    }
}
