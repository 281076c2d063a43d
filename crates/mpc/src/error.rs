//! What can go wrong in a protocol, sorted by whose fault it is.

use quorate_types::PartyIndex;

/// Whose fault a failure is. Only [`Fault::Network`] is worth retrying, and only in a new session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The arguments were wrong.
    Caller,
    /// A peer broke the protocol; the party's keygen index where it is known.
    Peer(Option<PartyIndex>),
    /// Messages stopped arriving.
    Network,
    /// This code or the library is wrong.
    Bug,
}

/// A protocol did not finish.
#[derive(Debug, thiserror::Error)]
pub enum MpcError {
    /// An argument names the wrong party, group or wallet.
    #[error("{field}: {reason}")]
    Argument {
        /// which argument
        field: &'static str,
        /// why it was refused
        reason: &'static str,
    },
    /// A peer sent something no honest party sends.
    #[error("party {}: {reason}", party_name(*party))]
    Peer {
        /// the party's keygen index, where the library names one
        party: Option<PartyIndex>,
        /// what it did
        reason: String,
    },
    /// The wire closed before the protocol finished.
    #[error("the session's messages ended before the protocol did")]
    Closed,
    /// Not the fault of anyone else.
    #[error("internal: {0}")]
    Bug(String),
}

impl MpcError {
    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        match self {
            MpcError::Argument { .. } => Fault::Caller,
            MpcError::Peer { party, .. } => Fault::Peer(*party),
            MpcError::Closed => Fault::Network,
            MpcError::Bug(_) => Fault::Bug,
        }
    }
}

fn party_name(party: Option<PartyIndex>) -> String {
    party.map_or_else(|| "unknown".to_owned(), |index| index.to_string())
}
