//! What a node says of itself and of its peers when it opens a session: its boot, where its log ends, and where it last
//! saw theirs end. A node whose disk was put back to an older state hears of it from whoever saw the newer one.

use std::collections::BTreeMap;

use quorate_types::{B256, BootId, PartyIndex, UnixMillis};
use serde::{Deserialize, Serialize};

/// Bytes of an encoded mark.
pub(crate) const MARK_BYTES: usize = 48;

/// Where a node's audit log ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogMark {
    /// When the node was restored from a backup, in Unix milliseconds, which began a new log; 0 where it never was.
    pub life: UnixMillis,
    /// How many entries the log had.
    pub entries: u64,
    /// The last one's hash.
    pub head: B256,
}

impl LogMark {
    /// Whether it is of a later life, or of a longer log of the same. Two of one length are neither, whatever their hashes.
    pub fn is_later_than(&self, other: &Self) -> bool {
        (self.life, self.entries) > (other.life, other.entries)
    }

    pub(crate) fn encode(&self) -> [u8; MARK_BYTES] {
        let mut bytes = [0; MARK_BYTES];
        let parts = self.life.to_be_bytes().into_iter().chain(self.entries.to_be_bytes()).chain(self.head.0);
        bytes.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; MARK_BYTES]) -> Option<Self> {
        let (life, rest) = bytes.split_first_chunk()?;
        let (entries, head) = rest.split_first_chunk()?;
        let head = B256::try_from(head).ok()?;
        Some(Self { life: u64::from_be_bytes(*life), entries: u64::from_be_bytes(*entries), head })
    }
}

/// What this node says of itself and its peers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Drawn at this start of the process.
    pub boot: BootId,
    /// Where its own log ends.
    pub log: LogMark,
    /// Where it last saw its peers' logs end. A peer it never met is left out.
    pub seen: BTreeMap<PartyIndex, LogMark>,
}

impl From<BootId> for Standing {
    /// A node that has no log, and met nobody.
    fn from(boot: BootId) -> Self {
        Self { boot, log: LogMark::default(), seen: BTreeMap::new() }
    }
}

/// What a peer signed of its log, and of this node's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerLogs {
    /// The peer.
    pub party: PartyIndex,
    /// Where its own log ends.
    pub own: LogMark,
    /// Where it last saw this node's log end; the default where it never did.
    pub of_mine: LogMark,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_back_and_ordered_by_life_then_length() {
        let mark = |life, entries| LogMark { life, entries, head: B256::repeat_byte(7) };
        assert_eq!(LogMark::decode(&mark(3, 9).encode()), Some(mark(3, 9)));
        let later = |one: LogMark, other: LogMark| one.is_later_than(&other) && !other.is_later_than(&one);
        assert!(later(mark(1, 0), mark(0, 900)) && later(mark(1, 2), mark(1, 1)));
        let forked = LogMark { head: B256::repeat_byte(0xff), ..mark(1, 1) };
        assert!(!forked.is_later_than(&mark(1, 1)) && !mark(1, 1).is_later_than(&forked));
    }
}
