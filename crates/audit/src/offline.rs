//! A log in a file, checked with nothing but the file: one canonical entry a line, from the first on. Pure.

use std::fmt;
use std::str::FromStr;

use quorate_types::B256;
use serde::{Deserialize, Serialize};

use crate::chain::{GENESIS, canonical_entry};
use crate::error::Damage;
use crate::merkle::{included, inclusion, leaf, root};
use crate::{Entry, Head};

/// Why an exported log is not the one that was written.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ExportError {
    /// Edited, cut, reordered or incomplete.
    #[error("entry {sequence}: {damage}")]
    Damaged {
        /// the entry at which it shows, from 1
        sequence: u64,
        /// what is wrong there
        damage: Damage,
    },
    /// It ends before an entry somebody has a receipt for, or before a size somebody saw.
    #[error("truncated: it has {entries} entries, and {seen} were seen")]
    Truncated {
        /// entries in the file
        entries: u64,
        /// entries there must be at least
        seen: u64,
    },
    /// Another entry stands where the receipt's was: the log was rewritten.
    #[error("entry {sequence}: its hash is {found}, the receipt says {receipt}: the log was rewritten")]
    Receipt {
        /// which entry
        sequence: u64,
        /// its hash in the file
        found: B256,
        /// its hash in the receipt
        receipt: B256,
    },
    /// The log of that size had another root: it was rewritten.
    #[error("the first {size} entries have the root {found}, and had {seen}: the log was rewritten")]
    Root {
        /// how many entries
        size: u64,
        /// their root in the file
        found: B256,
        /// the root seen before
        seen: B256,
    },
}

/// A log's size and its Merkle root, as somebody saw them. Written `<size>:<root>`; a receipt is written the same way,
/// with the entry's sequence number and hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Number of entries, or the entry's sequence number.
    pub sequence: u64,
    /// The root over them, or the entry's hash.
    pub hash: B256,
}

/// The text is no number and hash.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("expected NUMBER:HASH, the hash in 64 hex digits")]
pub struct CheckpointError;

impl FromStr for Checkpoint {
    type Err = CheckpointError;
    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let (sequence, hash) = text.split_once(':').ok_or(CheckpointError)?;
        let sequence = sequence.parse().map_err(|_| CheckpointError)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(hash.trim_start_matches("0x"), &mut bytes).map_err(|_| CheckpointError)?;
        Ok(Self { sequence, hash: B256::from(bytes) })
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.sequence, self.hash)
    }
}

/// That an entry is in the log of one root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// The entry's canonical text.
    pub entry: String,
    /// The log's size and root.
    pub checkpoint: Checkpoint,
    /// The hashes from the entry's leaf to the root (RFC 6962, section 2.1.1).
    pub path: Vec<B256>,
}

impl Proof {
    /// The entry, where it is in the log of the proof's checkpoint. Whether that checkpoint is the log's is for the
    /// caller to know.
    pub fn check(&self) -> Option<Entry> {
        let entry = canonical_entry(self.entry.as_bytes())?;
        let place = (entry.sequence.checked_sub(1)?, self.checkpoint.sequence);
        included(&leaf(&entry.hash), place, &self.path, &self.checkpoint.hash).then_some(entry)
    }
}

/// A log from its first entry on, whose entries are canonical and chain.
#[derive(Debug, Clone, Default)]
pub struct Exported {
    entries: Vec<Entry>,
    leaves: Vec<B256>,
}

impl Exported {
    /// Reads and checks all of it.
    ///
    /// # Errors
    /// [`ExportError::Damaged`] at the first entry where something is wrong.
    pub fn read(text: &str) -> Result<Self, ExportError> {
        let mut log = Self::default();
        for line in text.lines() {
            log.push(line)?;
        }
        Ok(log)
    }

    /// Adds the next entry.
    ///
    /// # Errors
    /// [`ExportError::Damaged`] where it does not come next.
    pub fn push(&mut self, line: &str) -> Result<(), ExportError> {
        let Head { sequence, hash } = self.head();
        let sequence = sequence + 1;
        let damaged = |damage| Err(ExportError::Damaged { sequence, damage });
        let Some(entry) = canonical_entry(line.as_bytes()) else { return damaged(Damage::Malformed) };
        if entry.sequence != sequence {
            return damaged(Damage::Missing { found: entry.sequence });
        }
        if entry.prev != hash {
            return damaged(Damage::Unchained);
        }
        self.leaves.push(leaf(&entry.hash));
        self.entries.push(entry);
        Ok(())
    }

    /// Where it ends.
    pub fn head(&self) -> Head {
        let last = self.entries.last();
        last.map_or(Head { sequence: 0, hash: GENESIS }, |entry| Head {
            sequence: entry.sequence,
            hash: entry.hash,
        })
    }

    /// Its entries, in order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Its size and root.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint { sequence: self.head().sequence, hash: root(&self.leaves) }
    }

    /// Checks that a receipt's entry is where the receipt says. An edit of the last entry, which nothing follows, shows
    /// only so.
    ///
    /// # Errors
    /// [`ExportError`].
    pub fn holds(&self, receipt: &Checkpoint) -> Result<&Entry, ExportError> {
        let sequence = receipt.sequence;
        let truncated = ExportError::Truncated { entries: self.head().sequence, seen: sequence };
        let entry = self.at(sequence).ok_or(truncated)?;
        if entry.hash != receipt.hash {
            return Err(ExportError::Receipt { sequence, found: entry.hash, receipt: receipt.hash });
        }
        Ok(entry)
    }

    /// Checks that this log begins with the one that had this size and root.
    ///
    /// # Errors
    /// [`ExportError`].
    pub fn extends(&self, seen: &Checkpoint) -> Result<(), ExportError> {
        let entries = self.head().sequence;
        let before = usize::try_from(seen.sequence).ok().and_then(|size| self.leaves.get(..size));
        let before = before.ok_or(ExportError::Truncated { entries, seen: seen.sequence })?;
        let found = root(before);
        if found != seen.hash {
            return Err(ExportError::Root { size: seen.sequence, found, seen: seen.hash });
        }
        Ok(())
    }

    /// A proof that the entry of this sequence number is in it; none where there is no such entry.
    pub fn prove(&self, sequence: u64) -> Option<Proof> {
        self.prove_at(sequence, self.head().sequence)
    }

    /// The same in the log as it was when it had `size` entries; none where there is no such entry, or no such log.
    pub fn prove_at(&self, sequence: u64, size: u64) -> Option<Proof> {
        let entry = self.at(sequence)?.json.clone();
        let index = usize::try_from(sequence.checked_sub(1)?).ok()?;
        let leaves = self.leaves.get(..usize::try_from(size).ok()?)?;
        let checkpoint = Checkpoint { sequence: size, hash: root(leaves) };
        Some(Proof { entry, checkpoint, path: inclusion(leaves, index)? })
    }

    fn at(&self, sequence: u64) -> Option<&Entry> {
        let index = usize::try_from(sequence.checked_sub(1)?).ok()?;
        self.entries.get(index)
    }
}
