//! A session's line to the coordinator, up to the point where the nodes agree on what it is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quorate_mpc::{ProtocolKind, round_rules};
use quorate_proto::v1::{self, node_frame::Frame, session_outcome::Outcome};
use quorate_session::{Caps, Deadlines, Opening, Participant, Protocol, Terms, Watch};
use quorate_store::Txn;
use quorate_types::{B256, NodeId, PartyIndex, SessionRef};
use rand_core::OsRng;
use tokio::sync::mpsc;

use super::{Joined, SessionError, commit};
use crate::node::Node;
use crate::watermarks;

/// The round of the message that follows presigning: the agent node's partial signature and signed intent. It comes
/// after every round of the library's.
pub(crate) const PARTIAL_ROUND: u8 = 6;

/// Largest body of that message, in bytes: a scalar, and a statement with its signature.
const PARTIAL_CAP: usize = 32 + quorate_session::MAX_STATEMENT_BYTES + 256;

/// Longest session of each kind, in milliseconds, whatever the coordinator asks for.
const fn longest_ms(protocol: Protocol) -> u64 {
    match protocol {
        Protocol::Aux => 15 * 60 * 1000,
        Protocol::Keygen | Protocol::Sign | Protocol::Presign => 60 * 1000,
    }
}

/// What the relay delivers.
pub(crate) enum Event {
    /// One signed open per participant.
    Opens(Vec<Vec<u8>>),
    /// A sealed envelope.
    Envelope(Vec<u8>),
}

/// A session before agreement.
pub(crate) struct Link {
    session: SessionRef,
    coordinator: String,
    deadline_ms: u64,
    started: Instant,
    pub(super) events: mpsc::Receiver<Event>,
    out: mpsc::Sender<v1::NodeFrame>,
    nodes: BTreeMap<PartyIndex, NodeId>,
    released: bool,
}

impl Link {
    pub(super) fn new(
        (session, coordinator): (SessionRef, &str),
        deadline_ms: u32,
        events: mpsc::Receiver<Event>,
        out: mpsc::Sender<v1::NodeFrame>,
    ) -> Self {
        let (started, nodes) = (Instant::now(), BTreeMap::new());
        let (coordinator, deadline_ms) = (coordinator.to_owned(), deadline_ms.into());
        Self { session, coordinator, deadline_ms, started, events, out, nodes, released: false }
    }

    /// A line to nobody, for tests of what needs no peer.
    #[cfg(test)]
    pub(crate) fn to_nobody() -> Self {
        Self::held().0
    }

    /// A line whose other end the test holds.
    #[cfg(test)]
    pub(crate) fn held() -> (Self, (mpsc::Sender<Event>, mpsc::Receiver<v1::NodeFrame>)) {
        let ((to, events), (out, from)) = (mpsc::channel(super::EVENTS), mpsc::channel(super::EVENTS));
        let session = SessionRef::from_bytes([0; 16]);
        (Self::new((session, "coordinator-1"), u32::MAX, events, out), (to, from))
    }

    /// Whose stream it is on.
    pub(crate) fn coordinator(&self) -> &str {
        &self.coordinator
    }

    pub(super) const fn session(&self) -> SessionRef {
        self.session
    }

    pub(super) fn node_of(&self, party: PartyIndex) -> Option<String> {
        self.nodes.get(&party).map(ToString::to_string)
    }

    /// Whether this node's last contribution may have left.
    pub(crate) const fn released(&self) -> bool {
        self.released
    }

    /// To be called before the contribution is handed to the network, never after.
    pub(crate) const fn mark_released(&mut self) {
        self.released = true;
    }

    /// To be called where it turns out that the contribution was not made after all.
    pub(crate) const fn mark_kept(&mut self) {
        self.released = false;
    }

    /// For blame in a session without opens.
    pub(crate) fn name(&mut self, participants: &[Participant]) {
        self.nodes = participants.iter().map(|party| (party.index, party.node.clone())).collect();
    }

    /// Milliseconds since the session began here, on a clock that cannot be set.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn at(&self, ms: u64) -> tokio::time::Instant {
        (self.started + Duration::from_millis(ms)).into()
    }

    fn deadlines(&self, protocol: Protocol) -> Deadlines {
        let session_ms = self.deadline_ms.min(longest_ms(protocol));
        // Waiting for a peer's primes is one long round; elsewhere a silent peer is given up sooner.
        let round_ms = if protocol == Protocol::Aux { session_ms } else { session_ms / 3 * 2 };
        Deadlines { round_ms, session_ms }
    }

    /// Tells the operator's progress bar where this node is. Lost where the queue is full.
    pub(crate) fn progress(&self, stage: &str) {
        let progress = v1::SessionProgress { session: self.label(), stage: stage.to_owned() };
        let _ = self.out.try_send(v1::NodeFrame { frame: Some(Frame::Progress(progress)) });
    }

    /// A sender of progress for the maths threads.
    pub(crate) fn progress_sender(&self) -> impl Fn(&'static str) + Send + Sync + use<> {
        let (session, out) = (self.label(), self.out.clone());
        move |stage| {
            let progress = v1::SessionProgress { session: session.clone(), stage: stage.to_owned() };
            let _ = out.try_send(v1::NodeFrame { frame: Some(Frame::Progress(progress)) });
        }
    }

    fn label(&self) -> Vec<u8> {
        self.session.as_bytes().to_vec()
    }

    pub(super) async fn send(&self, frame: Frame) -> Result<(), SessionError> {
        let gone = |_| SessionError::Network("the stream to the coordinator ended".to_owned());
        self.out.send(v1::NodeFrame { frame: Some(frame) }).await.map_err(gone)
    }

    pub(super) async fn envelope(&self, to: PartyIndex, sealed: Vec<u8>) -> Result<(), SessionError> {
        let envelope = v1::SessionEnvelope { session: self.label(), to: to.into(), sealed };
        self.send(Frame::Envelope(envelope)).await
    }

    /// Reports the outcome, within a bound: the stream may be gone.
    pub(super) async fn report(&self, outcome: Outcome) {
        let frame = outcome_frame(self.session, outcome);
        let _ = tokio::time::timeout(Duration::from_secs(5), self.out.send(frame)).await;
    }

    /// Opens the session under this node's own `terms`, agrees with the others, and writes down, synced, that this
    /// execution id is used. Only then is anything computed.
    ///
    /// # Errors
    /// [`SessionError`], naming the field where the nodes differ.
    pub(crate) async fn agree(&mut self, node: &Arc<Node>, terms: Terms) -> Result<Joined<'_>, SessionError> {
        let (protocol, participants) = (terms.protocol, terms.participants.clone());
        self.name(&participants);
        let me = node.role.index();
        let peers = participants.iter().map(|party| party.index).filter(|index| *index != me);
        let watch = Watch::start(0, self.deadlines(protocol), peers);

        let standing = watermarks::stand(node, &terms).await?;
        let opening = Opening::new(terms, me, &standing, Arc::clone(&node.key), &mut OsRng)?;
        let open = v1::SessionOpen { session: self.label(), signed_open: opening.signed_open().to_vec() };
        self.send(Frame::Open(open)).await?;
        let (opens, early) = self.opens(&watch).await?;
        let manifest = node.documents.manifest();
        let key = |id: &NodeId| manifest.manifest().node(id).map(|entry| entry.key);
        let channel = opening.agree(&opens, key, caps(protocol))?;

        for (index, boot) in channel.peers() {
            // Signed by the peer itself: what was made with an earlier run of it is of no more use.
            if let Some(peer) = self.nodes.get(&index) {
                node.pool.peer_booted(peer, boot);
            }
        }

        let eid = B256::from(*channel.eid().as_bytes());
        let mut logs = Vec::new();
        for said in channel.logs() {
            let peer = self.nodes.get(&said.party);
            let peer = peer.ok_or_else(|| SessionError::Bug("a peer without a name".to_owned()))?;
            logs.push((peer.clone(), said));
        }
        let (now, said) = (node.clock.now(), logs.clone());
        let write = move |node: &Node, txn: &mut dyn Txn| {
            for (peer, logs) in &said {
                watermarks::compare(node, &*txn, (peer, logs))?;
            }
            Ok(node.vault.mark_session(txn, &eid, now)?)
        };
        let _synced = commit(node, write).await?;
        let logs = logs.into_iter().map(|(peer, logs)| (peer, logs.own)).collect();
        Ok(Joined::new((self, node), channel, watch, (participants, logs), early))
    }

    /// Waits for the opens. Envelopes of a faster peer may come first, and are kept.
    async fn opens(&mut self, watch: &Watch) -> Result<(Vec<Vec<u8>>, Vec<Vec<u8>>), SessionError> {
        let mut early = Vec::new();
        let deadline = self.at(watch.deadline());
        loop {
            match tokio::time::timeout_at(deadline, self.events.recv()).await {
                Ok(Some(Event::Opens(opens))) => return Ok((opens, early)),
                Ok(Some(Event::Envelope(sealed))) if early.len() < super::EVENTS => early.push(sealed),
                Ok(Some(Event::Envelope(_))) => {}
                Ok(None) => return Err(SessionError::Network("the session was given up".to_owned())),
                Err(_) => return Err(SessionError::Network("timed out waiting for the opens".to_owned())),
            }
        }
    }
}

pub(super) fn outcome_frame(session: SessionRef, outcome: Outcome) -> v1::NodeFrame {
    let outcome = v1::SessionOutcome { session: session.as_bytes().to_vec(), outcome: Some(outcome) };
    v1::NodeFrame { frame: Some(Frame::Outcome(outcome)) }
}

fn caps(protocol: Protocol) -> Caps {
    let kind = match protocol {
        Protocol::Aux => ProtocolKind::Aux,
        Protocol::Keygen => ProtocolKind::Keygen,
        Protocol::Sign | Protocol::Presign => ProtocolKind::Sign,
    };
    let partial = (protocol == Protocol::Sign).then_some(PARTIAL_CAP);
    round_rules(kind).iter().map(|rule| rule.cap).chain(partial).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_partial_round_follows_the_librarys_last() {
        assert_eq!(usize::from(PARTIAL_ROUND), round_rules(ProtocolKind::Sign).len());
    }

    #[test]
    fn the_relay_accepts_every_honest_envelope() {
        let largest = [Protocol::Aux, Protocol::Keygen, Protocol::Sign].map(|p| caps(p).largest_envelope());
        assert!(largest.into_iter().all(|bytes| bytes <= super::super::MAX_ENVELOPE_BYTES));
    }

    #[test]
    fn a_coordinator_cannot_ask_for_an_endless_session() {
        let link = Link::to_nobody();
        assert_eq!(link.deadlines(Protocol::Sign).session_ms, 60_000);
        assert!(link.deadlines(Protocol::Sign).round_ms < 60_000);
        assert_eq!(link.deadlines(Protocol::Aux).round_ms, 15 * 60 * 1000);
    }
}
