//! How large a message of each round may be.

use crate::envelope;

/// Largest body accepted, in bytes, for each round of the session's protocol. Rounds are counted from 0, as
/// `round_based` numbers a protocol's messages; a round without a cap does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caps(Vec<usize>);

impl Caps {
    pub(crate) fn of(&self, round: u8) -> Option<usize> {
        self.0.get(usize::from(round)).copied()
    }

    /// Largest envelope an honest node sends under these caps, in bytes: a transport need accept no more.
    pub fn largest_envelope(&self) -> usize {
        self.0.iter().max().map_or(0, |cap| cap.saturating_add(envelope::overhead(true)))
    }
}

impl FromIterator<usize> for Caps {
    fn from_iter<I: IntoIterator<Item = usize>>(caps: I) -> Self {
        Self(caps.into_iter().collect())
    }
}
