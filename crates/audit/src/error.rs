//! What can go wrong, sorted by whose fault it is.

use quorate_store::StoreError;

use crate::MAX_ENTRY_BYTES;

/// The log could not be written or read, or is not what was written.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The event cannot be recorded. The calling code is at fault.
    #[error("audit event: {0}")]
    Event(#[from] EventError),
    /// The log was altered, or the disk lies. Nothing may be appended or done on the strength of it.
    #[error("audit log, entry {sequence}: {damage}")]
    Damaged {
        /// the entry at which it shows, from 1; 0 for the head
        sequence: u64,
        /// what is wrong there
        damage: Damage,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why an event was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EventError {
    /// The kind is not 1 to 64 characters of `a-z 0-9 . _ -`.
    #[error("kind: expected 1 to 64 characters of a-z 0-9 . _ -")]
    Kind,
    /// A number with a fraction or exponent, or beyond 64 bits: its text is not unique. Write it as a string.
    #[error("field {0}: only integers of at most 64 bits are recorded as numbers")]
    Number(String),
    /// Nested too deeply.
    #[error("field {0}: nested more than 32 deep")]
    Depth(String),
    /// Its canonical JSON would be larger than [`MAX_ENTRY_BYTES`].
    #[error("{0} bytes of JSON, at most {MAX_ENTRY_BYTES} are recorded")]
    Size(usize),
    /// The log holds 2^64 - 1 entries.
    #[error("the log is full")]
    Full,
}

/// What is wrong with a log.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
pub enum Damage {
    /// The entry is not there, but a later one is.
    #[error("missing, the next one present is {found}")]
    Missing {
        /// the sequence number found in its place
        found: u64,
    },
    /// Entries end before the head says.
    #[error("missing, but the head counts {entries} entries")]
    Truncated {
        /// entries the head counts
        entries: u64,
    },
    /// It is there, but the head does not count it.
    #[error("present, but the head counts only {entries} entries")]
    Uncounted {
        /// entries the head counts
        entries: u64,
    },
    /// Not an entry in its canonical form, or its key is not a sequence number.
    #[error("malformed, or not in its canonical form")]
    Malformed,
    /// It carries another sequence number than its place.
    #[error("says it is entry {says}")]
    Misplaced {
        /// the number it carries
        says: u64,
    },
    /// It does not name the hash of the entry before it: one of the two was altered.
    #[error("does not follow from the entry before it")]
    Unchained,
    /// It is the last one, and its hash is not the head's.
    #[error("its hash is not the head's")]
    NotHead,
    /// A node of the tree over the entries is missing or malformed.
    #[error("the tree over the entries is missing a node here, or has a malformed one")]
    Tree,
    /// The head record is not one.
    #[error("the head record is malformed")]
    Head,
}
