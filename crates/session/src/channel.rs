//! Sealed messages between the participants of an agreed session.

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_types::{BootId, PartyIndex};
use zeroize::Zeroizing;

use crate::broadcast::{self, Broadcast};
use crate::envelope::{self, EnvelopeError, Header, MAX_STRAYS, SealError, Stray, TRAILER_BYTES};
use crate::line::{Line, Mark, Seen};
use crate::{Caps, Eid, LastWord, NodeKey, PeerLogs};

/// Who a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recipient {
    /// One party.
    One(PartyIndex),
    /// Every other participant, all told the same.
    All,
}

/// An envelope for the relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Where it is to go.
    pub to: PartyIndex,
    /// Ciphertext behind a header that names session, round, sender and recipient.
    pub bytes: Vec<u8>,
}

/// A message that its sender provably sent. No Debug: key generation sends raw sub-shares.
pub struct Message {
    /// The sender: the party whose key opened it.
    pub from: PartyIndex,
    /// The round it is of, at most the caps' last.
    pub round: u8,
    /// For a message to all, the sender's signed word on its content.
    pub broadcast: Option<Broadcast>,
    /// The content, at most as long as the round's cap.
    pub body: Zeroizing<Vec<u8>>,
}

/// What became of an envelope that does not end the session.
pub enum Opened {
    /// A new message.
    Message(Message),
    /// A copy of one already taken from this party. To be ignored.
    Duplicate(PartyIndex),
    /// Nobody's: to be ignored, perhaps counted in a metric.
    Dropped(Stray),
}

/// An agreed session, from this node's side. Dropping it wipes its keys; it cannot be stored or resumed.
pub struct Channel {
    pub(crate) eid: Eid,
    pub(crate) me: PartyIndex,
    key: Arc<NodeKey>,
    pub(crate) lines: BTreeMap<PartyIndex, Line>,
    pub(crate) caps: Caps,
    broadcasts: Seen,
    pub(crate) strays: u32,
}

impl Channel {
    pub(crate) fn new(
        eid: Eid,
        me: PartyIndex,
        key: Arc<NodeKey>,
        lines: BTreeMap<PartyIndex, Line>,
        caps: Caps,
    ) -> Self {
        Self { eid, me, key, lines, caps, broadcasts: Seen::default(), strays: 0 }
    }

    /// The session's execution id.
    pub const fn eid(&self) -> Eid {
        self.eid
    }

    /// This node's own index.
    pub const fn me(&self) -> PartyIndex {
        self.me
    }

    /// The other participants, ascending, each with the boot id it signed.
    pub fn peers(&self) -> impl Iterator<Item = (PartyIndex, BootId)> {
        self.lines.iter().map(|(index, line)| (*index, line.boot))
    }

    /// What the other participants signed of their logs, and of this node's.
    pub fn logs(&self) -> Vec<PeerLogs> {
        self.lines.values().map(|line| line.logs).collect()
    }

    /// Ends a presigning session. What is left of its keys is for one message `from` one party `to` another, this node
    /// being one of them. `None` for anybody else, and after any other protocol.
    pub fn into_last_word(mut self, from: PartyIndex, to: PartyIndex) -> Option<LastWord> {
        let (peer, sending) = match self.me {
            me if me == from => (to, true),
            me if me == to => (from, false),
            _ => return None,
        };
        let keys = self.lines.remove(&peer)?.last_word?;
        let cipher = if sending { keys.sending } else { keys.receiving };
        Some(LastWord::new(self.eid, (from, to), sending, cipher))
    }

    /// Seals `body` of `round`: one envelope per recipient. A message to all is signed once, and every recipient gets
    /// the same signature; there is at most one such message in a round.
    ///
    /// # Errors
    /// [`SealError`]: the session is over.
    pub fn seal(&mut self, round: u8, to: Recipient, body: &[u8]) -> Result<Vec<Sealed>, SealError> {
        let cap = self.caps.of(round).ok_or(SealError::UnknownRound(round))?;
        if body.len() > cap {
            return Err(SealError::Oversize { round, len: body.len(), cap });
        }
        match to {
            Recipient::One(to) => Ok(vec![self.seal_one(round, to, body, None)?]),
            Recipient::All => {
                if self.broadcasts.mark(round.into()) != Mark::New {
                    return Err(SealError::BroadcastTwice(round));
                }
                let signature = self.sign(round, body);
                let peers: Vec<_> = self.lines.keys().copied().collect();
                peers.into_iter().map(|to| self.seal_one(round, to, body, Some(&signature))).collect()
            }
        }
    }

    fn seal_one(
        &mut self,
        round: u8,
        to: PartyIndex,
        body: &[u8],
        signature: Option<&[u8; 64]>,
    ) -> Result<Sealed, SealError> {
        let line = self.lines.get_mut(&to).ok_or(SealError::NotAPeer(to))?;
        let number = line.take_number()?;
        let broadcast = signature.is_some();
        let trailer: &[u8] = signature.map_or(&[], |signature| signature);
        let header = Header { eid: self.eid, round, from: self.me, to, broadcast, number };
        let bytes = line.seal(&header, body, trailer)?;
        Ok(Sealed { to, bytes })
    }

    pub(crate) fn sign(&self, round: u8, body: &[u8]) -> [u8; 64] {
        let body_hash = broadcast::body_hash(body);
        let unsigned = Broadcast { eid: self.eid, round, from: self.me, body_hash, signature: [0; 64] };
        unsigned.signed(&self.key).signature
    }

    /// Opens an envelope from the relay. The sender is the party whose key opens it; the header's word on it only says
    /// which key to try.
    ///
    /// # Errors
    /// [`EnvelopeError`]: the session is over. Everything else is `Ok`, and the session goes on.
    pub fn open(&mut self, bytes: &[u8]) -> Result<Opened, EnvelopeError> {
        if self.strays >= MAX_STRAYS {
            return Err(EnvelopeError::Flooded);
        }
        match self.authenticate(bytes) {
            Ok((header, text)) => self.accept(&header, text),
            Err(stray) => {
                self.strays = self.strays.saturating_add(1);
                if self.strays >= MAX_STRAYS {
                    return Err(EnvelopeError::Flooded);
                }
                Ok(Opened::Dropped(stray))
            }
        }
    }

    /// Up to here nothing can be held against anyone.
    fn authenticate(&self, bytes: &[u8]) -> Result<(Header, Zeroizing<Vec<u8>>), Stray> {
        let (header, head, sealed) = Header::split(bytes, self.eid)?;
        if header.to != self.me {
            return Err(Stray::OtherRecipient);
        }
        let line = self.lines.get(&header.from).ok_or(Stray::UnknownSender)?;
        let cap = self.caps.of(header.round).ok_or(Stray::UnknownRound)?;
        if bytes.len() > cap.saturating_add(envelope::overhead(header.broadcast)) {
            return Err(Stray::Oversize);
        }
        let text = line.unseal(header.number, head, sealed).ok_or(Stray::NotAuthentic)?;
        Ok((header, text))
    }

    /// From here on the peer itself sealed what is wrong.
    fn accept(&mut self, header: &Header, text: Zeroizing<Vec<u8>>) -> Result<Opened, EnvelopeError> {
        let &Header { from, round, .. } = header;
        // Authenticated, so the line exists; a stray all the same rather than a panic.
        let Some(line) = self.lines.get_mut(&from) else {
            return Ok(Opened::Dropped(Stray::UnknownSender));
        };
        match line.messages.mark(header.number) {
            Mark::New => {}
            Mark::Again => return Ok(Opened::Duplicate(from)),
            Mark::Beyond => return Err(EnvelopeError::TooMany(from)),
        }
        if !header.broadcast {
            return Ok(Opened::Message(Message { from, round, broadcast: None, body: text }));
        }
        let (broadcast, body) = take_broadcast(header, text).ok_or(EnvelopeError::Unsigned(from))?;
        if broadcast.verify(&line.key).is_err() {
            return Err(EnvelopeError::Unsigned(from));
        }
        match line.broadcasts.mark(round.into()) {
            Mark::New => Ok(Opened::Message(Message { from, round, broadcast: Some(broadcast), body })),
            Mark::Again | Mark::Beyond => Err(EnvelopeError::BroadcastTwice(from)),
        }
    }
}

/// Splits the trailer off a broadcast's plaintext; the body stays where it is.
fn take_broadcast(header: &Header, mut text: Zeroizing<Vec<u8>>) -> Option<(Broadcast, Zeroizing<Vec<u8>>)> {
    let body_bytes = text.len().checked_sub(TRAILER_BYTES)?;
    let (body, signature) = text.split_at_checked(body_bytes)?;
    let broadcast = Broadcast {
        eid: header.eid,
        round: header.round,
        from: header.from,
        body_hash: broadcast::body_hash(body),
        signature: signature.try_into().ok()?,
    };
    text.truncate(body_bytes);
    Some((broadcast, text))
}
