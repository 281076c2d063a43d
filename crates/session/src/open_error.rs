//! Why opens do not make a session, and whose fault that is.

use quorate_types::PartyIndex;

use crate::Fault;

/// Why the opens do not make a session. Nothing has been computed with anyone's share yet.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum OpenError {
    /// Not one open per participant.
    #[error("opens: expected {expected}, got {got}")]
    Count {
        /// participants
        expected: usize,
        /// opens given
        got: usize,
    },
    /// Larger than [`MAX_OPEN_BYTES`](crate::MAX_OPEN_BYTES), or too short to be one.
    #[error("open: {0} bytes is not the size of one")]
    Size(usize),
    /// An open of a party that takes no part.
    #[error("open: party {0} is not a participant")]
    Stranger(PartyIndex),
    /// Two opens of one party.
    #[error("open: party {0} appears twice")]
    Repeated(PartyIndex),
    /// Ours came back other than we made it.
    #[error("open: this node's own was altered")]
    OwnAltered,
    /// The manifest has no key for a participant.
    #[error("participants: party {0} has no key in the manifest")]
    NoKey(PartyIndex),
    /// The manifest has another key for this node: nobody would accept its open.
    #[error("participants: the manifest names another key for this node")]
    OtherKey,
    /// Not signed by the participant it claims to be of. Anybody can make one of these.
    #[error("open: not signed by party {0}")]
    Signature(PartyIndex),
    /// A participant signed other terms. That is no proof against it: it may have been asked differently, or the open
    /// may be an old one.
    #[error("{field}: party {party} was asked differently")]
    Differs {
        /// the first field that differs
        field: &'static str,
        /// who signed it
        party: PartyIndex,
    },
    /// A participant signed an X25519 key of low order: the shared secret would be known to all.
    #[error("ephemeral key: party {0} sent a point of low order")]
    LowOrder(PartyIndex),
    /// A participant sent this node's own nonce or ephemeral key.
    #[error("{field}: party {party} copied this node's")]
    Copied {
        /// which
        field: &'static str,
        /// who copied
        party: PartyIndex,
    },
    /// Two peers sent the same nonce or ephemeral key. Which of them copied cannot be told.
    #[error("{field}: the same from parties {first} and {second}")]
    Alike {
        /// which
        field: &'static str,
        /// one of the two
        first: PartyIndex,
        /// the other
        second: PartyIndex,
    },
    /// A pair key could not be derived.
    #[error("pair key: derivation failed")]
    Derivation,
}

impl OpenError {
    /// Whose fault it is. Opens travel in the clear, so only what a party signed and could sign for no honest reason is
    /// laid at its door.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Count { .. }
            | Self::Size(_)
            | Self::Stranger(_)
            | Self::Repeated(_)
            | Self::OwnAltered
            | Self::Signature(_)
            | Self::Alike { .. } => Fault::Network,
            Self::NoKey(_) | Self::OtherKey | Self::Differs { .. } => Fault::Caller,
            Self::LowOrder(party) | Self::Copied { party, .. } => Fault::Peer(*party),
            Self::Derivation => Fault::Bug,
        }
    }
}
