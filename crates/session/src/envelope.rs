//! The envelope's header, and what can be wrong with an envelope.

use quorate_types::PartyIndex;

use crate::{Eid, Fault};

/// Messages one party may send another in a session. The longest protocol needs a few per round.
pub const MAX_MESSAGES: u16 = 256;

/// Envelopes that prove nothing about anyone, after which a session is given up. An honest relay delivers none.
pub const MAX_STRAYS: u32 = 64;

pub(crate) const HEADER_BYTES: usize = 32 + 1 + 2 + 2 + 1 + 2;
pub(crate) const TAG_BYTES: usize = 16;
/// What follows the body of a broadcast, sealed with it: the sender's signature.
pub(crate) const TRAILER_BYTES: usize = 64;

/// Bytes an envelope has beyond its body.
pub(crate) const fn overhead(broadcast: bool) -> usize {
    HEADER_BYTES + TAG_BYTES + if broadcast { TRAILER_BYTES } else { 0 }
}

/// Travels in the clear before the ciphertext, which authenticates all of it.
pub(crate) struct Header {
    pub(crate) eid: Eid,
    pub(crate) round: u8,
    pub(crate) from: PartyIndex,
    pub(crate) to: PartyIndex,
    pub(crate) broadcast: bool,
    /// Counts the messages of this direction; also the nonce.
    pub(crate) number: u16,
}

impl Header {
    pub(crate) fn encode(&self) -> Vec<u8> {
        [
            self.eid.as_bytes().as_slice(),
            &[self.round],
            &self.from.to_be_bytes(),
            &self.to.to_be_bytes(),
            &[u8::from(self.broadcast)],
            &self.number.to_be_bytes(),
        ]
        .concat()
    }

    /// The header, its bytes, and the ciphertext behind it.
    pub(crate) fn split(bytes: &[u8], ours: Eid) -> Result<(Self, &[u8], &[u8]), Stray> {
        let (head, sealed) = bytes.split_at_checked(HEADER_BYTES).ok_or(Stray::Malformed)?;
        let rest = head.strip_prefix(ours.as_bytes()).ok_or(Stray::OtherSession)?;
        let &[round, from_high, from_low, to_high, to_low, flag, number_high, number_low] = rest else {
            return Err(Stray::Malformed);
        };
        let broadcast = match flag {
            0 => false,
            1 => true,
            _ => return Err(Stray::Malformed),
        };
        let header = Self {
            eid: ours,
            round,
            from: PartyIndex::from_be_bytes([from_high, from_low]),
            to: PartyIndex::from_be_bytes([to_high, to_low]),
            broadcast,
            number: u16::from_be_bytes([number_high, number_low]),
        };
        Ok((header, head, sealed))
    }
}

/// Why an envelope was dropped. The relay, or anyone who can write to it, could have made it: the party it claims to be
/// from is not to blame, and what that party did send may still arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stray {
    /// Truncated, or not an envelope.
    Malformed,
    /// Another session's execution id: replayed, or from a peer that agreed on other opens.
    OtherSession,
    /// Addressed to another party.
    OtherRecipient,
    /// Claims a sender that takes no part, or this node itself.
    UnknownSender,
    /// A round the protocol does not have.
    UnknownRound,
    /// Larger than the round's cap. Refused before any work is spent on it.
    Oversize,
    /// Does not open under the claimed sender's key.
    NotAuthentic,
}

/// Why a session ended on an envelope.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EnvelopeError {
    /// A party's broadcast is not signed by its identity key, so it could show each peer another.
    #[error("broadcast: party {0} sealed it without its signature")]
    Unsigned(PartyIndex),
    /// A party broadcast twice in one round.
    #[error("broadcast: party {0} sent two in one round")]
    BroadcastTwice(PartyIndex),
    /// A party sent more than [`MAX_MESSAGES`].
    #[error("envelope: party {0} sent more than {MAX_MESSAGES} messages")]
    TooMany(PartyIndex),
    /// [`MAX_STRAYS`] envelopes were dropped.
    #[error("relay: {MAX_STRAYS} envelopes were of no known sender")]
    Flooded,
}

impl EnvelopeError {
    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Unsigned(party) | Self::BroadcastTwice(party) | Self::TooMany(party) => Fault::Peer(*party),
            Self::Flooded => Fault::Network,
        }
    }
}

/// Why a message could not be sealed. The session is over: a protocol that comes here does not keep its own rules.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SealError {
    /// The recipient is this node, or takes no part.
    #[error("recipient: party {0} is not a peer in this session")]
    NotAPeer(PartyIndex),
    /// A round without a cap.
    #[error("round: {0} does not exist")]
    UnknownRound(u8),
    /// Larger than the round's cap.
    #[error("body: {len} bytes, round {round} allows {cap}")]
    Oversize {
        /// the round
        round: u8,
        /// the body's length in bytes
        len: usize,
        /// the round's cap in bytes
        cap: usize,
    },
    /// [`MAX_MESSAGES`] have been sent: another would use a nonce twice.
    #[error("envelope: {MAX_MESSAGES} messages sent, no nonce left")]
    Exhausted,
    /// A second broadcast in one round: the signatures would convict this node of telling its peers different things.
    #[error("broadcast: round {0} has had one")]
    BroadcastTwice(u8),
    /// The cipher refused.
    #[error("envelope: sealing failed")]
    Cipher,
}

impl SealError {
    /// Always this program's.
    pub const fn fault(&self) -> Fault {
        Fault::Bug
    }
}
