//! The blind relay: which sessions run, who sits in each, and whose frame goes where. Payloads are opaque here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quorate_proto::v1;
use quorate_proto::v1::relay_frame::Frame;
use quorate_proto::v1::session_outcome::Outcome;
use quorate_session::MAX_OPEN_BYTES;
use quorate_types::{NodeId, PartyIndex, SessionRef};
use rand_core::{OsRng, RngCore};
use tokio::sync::{mpsc, watch};

use crate::error::OpError;
use crate::link::{Link, Refused};

/// Sessions that may run at once.
const MAX_SESSIONS: usize = 512;
/// Largest envelope passed on. Honest ones of aux info are about 265 KB, and a node ends its stream on a frame above 1 MiB:
/// a peer must not be able to make it do that.
const MAX_ENVELOPE_BYTES: usize = 512 << 10;
/// Most one node may have passed on in one session: about four times what aux info takes. Without it a node could fill
/// the queue of another, which that node's other sessions share.
const MAX_RELAYED_BYTES: usize = 8 << 20;
/// Most messages one node may have passed on in one session. An honest one sends ten; the queue of the node they are for
/// holds 512 frames, and a node that it overflows for would be the one named as slow.
const MAX_RELAYED: usize = 128;
/// Longest stage name passed on.
const MAX_STAGE: usize = 64;

/// A participant: its party index, and the stream it was asked on. Frames of any other stream are not its own.
#[derive(Clone)]
pub(crate) struct Seat {
    pub(crate) index: PartyIndex,
    pub(crate) link: Link,
}

/// What became of a participant so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heard {
    pub(crate) open: Option<Vec<u8>>,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) lost: Option<Lost>,
    /// Bytes passed on for it.
    pub(crate) relayed: usize,
    /// Messages passed on for it.
    pub(crate) messages: usize,
    /// Whether it was told to stop before it had said how the session ended.
    pub(crate) stopped: bool,
}

/// Why a participant can no longer be heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lost {
    /// Its stream ended.
    Detached,
    /// It does not read as fast as the others write.
    Slow,
    /// It sent what no node sends.
    Broke(&'static str),
}

/// A node's word on how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stage {
    pub(crate) node: NodeId,
    pub(crate) stage: String,
}

/// One running session.
pub(crate) struct Session {
    pub(crate) id: SessionRef,
    pub(crate) seats: Vec<Seat>,
    pub(crate) heard: watch::Sender<Vec<Heard>>,
    stages: Option<mpsc::Sender<Stage>>,
}

impl Session {
    fn seat_of(&self, link: &Link) -> Option<usize> {
        self.seats.iter().position(|seat| seat.link.is(link))
    }

    pub(crate) fn note(&self, seat: usize, note: impl FnOnce(&mut Heard)) {
        self.heard.send_modify(|all| {
            if let Some(heard) = all.get_mut(seat) {
                note(heard);
            }
        });
    }

    fn lose(&self, seat: usize, why: Lost) {
        // The first reason stays.
        self.note(seat, |heard| {
            heard.lost.get_or_insert(why);
        });
    }

    /// Counts what a seat has had passed on, and says whether that is still within bounds.
    fn meter(&self, seat: usize, bytes: usize) -> bool {
        let mut within = false;
        self.heard.send_if_modified(|all| {
            if let Some(heard) = all.get_mut(seat) {
                heard.relayed = heard.relayed.saturating_add(bytes);
                heard.messages = heard.messages.saturating_add(1);
                within = heard.relayed <= MAX_RELAYED_BYTES && heard.messages <= MAX_RELAYED;
            }
            // Nobody waits for this.
            false
        });
        within
    }

    /// Writes to one seat. A seat that cannot be written to is lost, and with it the session: memory is not.
    pub(crate) fn tell(&self, seat: usize, frame: Frame) {
        let Some(Seat { link, .. }) = self.seats.get(seat) else { return };
        match link.offer(frame) {
            Ok(()) => {}
            Err(Refused::Slow) => self.lose(seat, Lost::Slow),
            Err(Refused::Gone) => self.lose(seat, Lost::Detached),
        }
    }

    /// The label frames of this session carry.
    pub(crate) fn label(&self) -> Vec<u8> {
        self.id.as_bytes().to_vec()
    }
}

/// The running sessions by label.
#[derive(Default)]
pub(crate) struct Relay(Mutex<HashMap<SessionRef, Arc<Session>>>);

/// Keeps a session in the relay; dropping it takes the session out.
pub(crate) struct Convened<'a> {
    relay: &'a Relay,
    pub(crate) session: Arc<Session>,
}

impl Drop for Convened<'_> {
    fn drop(&mut self) {
        let mut table = self.relay.table();
        table.remove(&self.session.id);
        gauge(table.len());
    }
}

fn gauge(running: usize) {
    metrics::gauge!("quorate_sessions_running").set(running as f64);
}

impl Relay {
    fn table(&self) -> MutexGuard<'_, HashMap<SessionRef, Arc<Session>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Seats a session under a fresh random label.
    pub(crate) fn convene(
        &self,
        seats: Vec<Seat>,
        stages: Option<mpsc::Sender<Stage>>,
    ) -> Result<Convened<'_>, OpError> {
        let mut label = [0; 16];
        OsRng.fill_bytes(&mut label);
        let (heard, _) = watch::channel(vec![Heard::default(); seats.len()]);
        let session = Arc::new(Session { id: SessionRef::from_bytes(label), seats, heard, stages });
        let mut table = self.table();
        if table.len() >= MAX_SESSIONS {
            let reason = format!("{MAX_SESSIONS} sessions are running");
            return Err(OpError::Unavailable { reason, nodes: Vec::new() });
        }
        table.insert(session.id, session.clone());
        gauge(table.len());
        Ok(Convened { relay: self, session })
    }

    /// The session a frame names and its sender's seat in it. Frames of ended sessions are common and harmless.
    fn seat(&self, from: &Link, label: &[u8]) -> Option<(Arc<Session>, usize)> {
        let session = SessionRef::try_from(label).ok().and_then(|id| self.table().get(&id).cloned());
        let found = session.and_then(|session| session.seat_of(from).map(|seat| (session, seat)));
        if found.is_none() {
            metrics::counter!("quorate_relay_strays_total").increment(1);
        }
        found
    }

    /// A node's signed open.
    pub(crate) fn open(&self, from: &Link, frame: v1::SessionOpen) {
        let Some((session, seat)) = self.seat(from, &frame.session) else { return };
        if frame.signed_open.is_empty() || frame.signed_open.len() > MAX_OPEN_BYTES {
            return session.lose(seat, Lost::Broke("an open of the wrong size"));
        }
        session.note(seat, |heard| {
            heard.open.get_or_insert(frame.signed_open);
        });
    }

    /// A sealed message, passed on to the seat it names.
    pub(crate) fn envelope(&self, from: &Link, frame: v1::SessionEnvelope) {
        let Some((session, seat)) = self.seat(from, &frame.session) else { return };
        if frame.sealed.len() > MAX_ENVELOPE_BYTES {
            return session.lose(seat, Lost::Broke("an envelope that is too large"));
        }
        if !session.meter(seat, frame.sealed.len()) {
            return session.lose(seat, Lost::Broke("more messages than any session has"));
        }
        let to = session.seats.iter().position(|other| u32::from(other.index) == frame.to);
        match to {
            Some(to) if to != seat => {
                metrics::counter!("quorate_relay_bytes_total").increment(frame.sealed.len() as u64);
                session.tell(to, Frame::Envelope(frame));
            }
            _ => session.lose(seat, Lost::Broke("an envelope to nobody in the session")),
        }
    }

    /// A node's word on its progress, for whoever watches; dropped where nobody keeps up.
    pub(crate) fn progress(&self, from: &Link, frame: v1::SessionProgress) {
        let Some((session, _)) = self.seat(from, &frame.session) else { return };
        if let Some(stages) = &session.stages {
            let stage = frame.stage.chars().filter(|c| !c.is_control()).take(MAX_STAGE).collect();
            let _nobody_watches = stages.try_send(Stage { node: from.node().clone(), stage });
        }
    }

    /// How a session ended for a node. Its first word stands.
    pub(crate) fn outcome(&self, from: &Link, frame: v1::SessionOutcome) {
        let Some((session, seat)) = self.seat(from, &frame.session) else { return };
        let Some(outcome) = frame.outcome else {
            return session.lose(seat, Lost::Broke("an outcome without content"));
        };
        session.note(seat, |heard| {
            heard.outcome.get_or_insert(outcome);
        });
    }

    /// A stream ended: its sessions will not hear of it again.
    pub(crate) fn detached(&self, link: &Link) {
        let sessions: Vec<_> = self.table().values().cloned().collect();
        for session in sessions {
            if let Some(seat) = session.seat_of(link) {
                session.lose(seat, Lost::Detached);
            }
        }
    }
}
