//! Between byte messages and the library's typed ones.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;

use futures::channel::mpsc;
use futures::{Sink, SinkExt, Stream, StreamExt, future};
use quorate_types::PartyIndex;
use round_based::{Incoming, MessageDestination, MessageType, MpcParty, Outgoing, ProtocolMessage};
use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use crate::error::MpcError;
use crate::protocol::{ProtocolKind, RoundRule, round_rules};

/// Who a message goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recipient {
    /// One party, by keygen index.
    One(PartyIndex),
    /// Every other participant.
    All,
}

/// A message that arrived. The session layer has already proved who sent it.
pub struct Inbound {
    /// The sender's keygen index.
    pub from: PartyIndex,
    /// Whether it was sent to everyone.
    pub broadcast: bool,
    /// The round its envelope names.
    pub round: u8,
    /// The encoded message. Key generation carries raw sub-shares.
    pub body: Zeroizing<Vec<u8>>,
}

/// A message to send.
pub struct Outbound {
    /// Who it goes to.
    pub to: Recipient,
    /// Its round.
    pub round: u8,
    /// The encoded message.
    pub body: Zeroizing<Vec<u8>>,
}

/// The two ends a protocol talks through.
pub struct Wire {
    /// Messages from the other participants.
    pub incoming: mpsc::Receiver<Inbound>,
    /// Messages to them.
    pub outgoing: mpsc::Sender<Outbound>,
}

/// Hears of each stage a protocol enters, for progress bars.
pub trait Progress: Send + Sync {
    /// The protocol entered `stage`.
    fn stage(&mut self, stage: &'static str);
}

/// This party's place in one session.
pub struct Party<'a> {
    /// The session's execution id: never the same twice.
    pub eid: &'a [u8; 32],
    /// This party's keygen index.
    pub me: PartyIndex,
    /// Every participant's keygen index, ascending.
    pub participants: &'a [PartyIndex],
}

impl Party<'_> {
    /// Checks what the library does not: the list is ascending, of the right length, inside the group, and names me.
    ///
    /// Returns this party's position in the list.
    pub(crate) fn position(&self, kind: ProtocolKind) -> Result<u16, MpcError> {
        let refuse = |reason| Err(MpcError::Argument { field: "participants", reason });
        if self.participants.len() != usize::from(kind.parties()) {
            return refuse("wrong number of parties for this protocol");
        }
        if !self.participants.is_sorted_by(|a, b| a < b) {
            return refuse("must be strictly ascending");
        }
        if self.participants.iter().any(|index| *index >= quorate_types::PARTIES) {
            return refuse("no such party");
        }
        let position = self.participants.iter().position(|index| *index == self.me);
        match position.and_then(|position| u16::try_from(position).ok()) {
            Some(position) => Ok(position),
            None => refuse("does not name this party"),
        }
    }
}

/// A message no honest party sends, or the end of the wire. Found again in the library's error by [`crate::blame`].
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    #[error("{reason}")]
    Refused { from: PartyIndex, reason: String },
    #[error("the wire closed")]
    Closed,
    #[error("encoding a message failed")]
    Encode,
}

pub(crate) type Incomings<M> = Pin<Box<dyn Stream<Item = Result<Incoming<M>, WireError>> + Send>>;
pub(crate) type Outgoings<M> = Pin<Box<dyn Sink<Outgoing<M>, Error = WireError> + Send>>;

/// Connects the library to the wire. `check` sees each message and its sender's position before the library does, and
/// may refuse it.
pub(crate) fn connect<M>(
    wire: Wire,
    kind: ProtocolKind,
    participants: &[PartyIndex],
    check: impl FnMut(u16, &M) -> Result<(), &'static str> + Send + 'static,
) -> MpcParty<M, (Incomings<M>, Outgoings<M>)>
where
    M: ProtocolMessage + Serialize + DeserializeOwned + Send + 'static,
{
    MpcParty::connected(ends(wire, kind, participants, check))
}

/// The same, not connected yet.
pub(crate) fn ends<M>(
    wire: Wire,
    kind: ProtocolKind,
    participants: &[PartyIndex],
    mut check: impl FnMut(u16, &M) -> Result<(), &'static str> + Send + 'static,
) -> (Incomings<M>, Outgoings<M>)
where
    M: ProtocolMessage + Serialize + DeserializeOwned + Send + 'static,
{
    let rules = round_rules(kind);
    let senders = participants.to_vec();
    let recipients = participants.to_vec();
    let mut seen = BTreeSet::new();
    let mut next_id = 0;
    let incoming = wire.incoming.map(move |inbound| {
        next_id += 1;
        let (sender, msg) = receive(&inbound, rules, &senders, &mut seen)?;
        check(sender, &msg)
            .map_err(|reason| WireError::Refused { from: inbound.from, reason: reason.to_owned() })?;
        let msg_type = if inbound.broadcast { MessageType::Broadcast } else { MessageType::P2P };
        Ok(Incoming { id: next_id, sender, msg_type, msg })
    });
    let outgoing = wire
        .outgoing
        .sink_map_err(|_| WireError::Closed)
        .with(move |outgoing: Outgoing<M>| future::ready(send(&outgoing, &recipients)));
    (Box::pin(incoming), Box::pin(outgoing))
}

fn receive<M: ProtocolMessage + Serialize + DeserializeOwned>(
    inbound: &Inbound,
    rules: &[RoundRule],
    participants: &[PartyIndex],
    seen: &mut BTreeSet<(PartyIndex, u8)>,
) -> Result<(u16, M), WireError> {
    let from = inbound.from;
    let refuse = |reason: String| Err(WireError::Refused { from, reason });
    let Some(rule) = rules.get(usize::from(inbound.round)) else {
        return refuse(format!("round {}: no such round", inbound.round));
    };
    let position = participants.iter().position(|index| *index == from);
    let Some(sender) = position.and_then(|position| u16::try_from(position).ok()) else {
        return refuse(format!("{}: the sender takes no part in this session", rule.name));
    };
    if inbound.broadcast != rule.broadcast {
        return refuse(format!("{}: sent to the wrong audience", rule.name));
    }
    if inbound.body.len() > rule.cap {
        let (len, cap) = (inbound.body.len(), rule.cap);
        return refuse(format!("{}: {len} bytes, at most {cap} allowed", rule.name));
    }
    if !seen.insert((from, inbound.round)) {
        return refuse(format!("{}: sent twice", rule.name));
    }
    match decode::<M>(&inbound.body) {
        Some((msg, 0)) if !is_canonical(&msg, &inbound.body) => {
            refuse(format!("{}: malformed, a number is not spelled as it should be", rule.name))
        }
        Some((msg, 0)) if msg.round() == u16::from(inbound.round) => Ok((sender, msg)),
        Some((_, 0)) => refuse(format!("{}: the message belongs to another round", rule.name)),
        Some(_) => refuse(format!("{}: trailing bytes", rule.name)),
        None => refuse(format!("{}: malformed", rule.name)),
    }
}

/// The message and how many bytes follow it. The library's integers carry their radix, and `rug` panics on one that is
/// not within 2 to 36: a peer must not be able to end this party's protocol as if by a defect of its own.
fn decode<M: DeserializeOwned>(body: &[u8]) -> Option<(M, usize)> {
    let decoded = catch_unwind(AssertUnwindSafe(|| postcard::take_from_bytes::<M>(body).ok()));
    decoded.ok().flatten().map(|(msg, rest)| (msg, rest.len()))
}

/// Whether the bytes are the message's one encoding: an integer could be spelled in another radix, with a sign, with
/// underscores or leading zeros.
fn is_canonical<M: Serialize>(msg: &M, body: &[u8]) -> bool {
    postcard::to_allocvec(msg).map(Zeroizing::new).is_ok_and(|again| again.as_slice() == body)
}

fn send<M: ProtocolMessage + Serialize>(
    outgoing: &Outgoing<M>,
    participants: &[PartyIndex],
) -> Result<Outbound, WireError> {
    let to = match outgoing.recipient {
        MessageDestination::AllParties => Recipient::All,
        MessageDestination::OneParty(position) => {
            Recipient::One(*participants.get(usize::from(position)).ok_or(WireError::Encode)?)
        }
    };
    let round = u8::try_from(outgoing.msg.round()).map_err(|_| WireError::Encode)?;
    let body = postcard::to_allocvec(&outgoing.msg).map_err(|_| WireError::Encode)?;
    Ok(Outbound { to, round, body: Zeroizing::new(body) })
}

/// Passes the library's stages on to a [`Progress`].
pub(crate) struct Stages<'a>(pub(crate) Option<&'a mut dyn Progress>);

impl cggmp24::progress::Tracer for Stages<'_> {
    fn trace_event(&mut self, event: cggmp24::progress::Event) {
        if let (Some(progress), cggmp24::progress::Event::Stage { name }) = (self.0.as_mut(), event) {
            progress.stage(name);
        }
    }
}
