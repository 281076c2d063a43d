//! Whose fault a failed session is.

use quorate_types::PartyIndex;

/// Who a failure is laid at the door of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Whoever convened the session: what it asked for is not well-formed, or not the same for every node.
    Caller,
    /// This party: it made what no honest node makes, and the relay could not have made it in its name.
    Peer(PartyIndex),
    /// The network, the relay, or somebody who cannot be told: nothing here is proof against any party.
    Network,
    /// This program.
    Bug,
}

impl Fault {
    /// Whether the same work may be tried again, in a new session. Only a network failure may.
    pub const fn is_retryable(self) -> bool {
        matches!(self, Fault::Network)
    }
}
