//! The record of what was decided and done: an append-only log in which every entry names the hash of the one
//! before, so that nothing in it can be changed, taken out, put in or moved without [`verify`] finding it.
//!
//! An entry is one line of canonical JSON (see [`Entry::json`]), and its hash is over exactly those bytes, so an
//! exported log can be checked with nothing but SHA-256. [`append`] works inside the caller's transaction: an event
//! and what it tells of are synced together or not at all, and only the commit opens the [`Receipt`].
//!
//! What the chain cannot show: that someone who may write to the store and knows its keys rewrote the log *and* its
//! head, or put back an older copy of both. Against that, keep receipts or heads elsewhere and compare their hash
//! with the entry of the same sequence number.

mod append;
mod canonical;
mod chain;
mod entry;
mod error;
mod event;
mod head;
pub mod merkle;
mod offline;
mod quota;
pub mod tree;
mod verify;

pub use append::{PendingReceipt, Receipt, append, append_named};
pub use entry::{Entry, entries};
pub use error::{AuditError, Damage, EventError};
pub use event::Event;
pub use head::{Head, hash_at, head};
pub use offline::{Checkpoint, CheckpointError, ExportError, Exported, Proof};
pub use quota::{MOST_OF_ALL, MOST_OF_ONE, Quota};
pub use verify::verify;

/// Largest entry, in bytes of its canonical JSON.
pub const MAX_ENTRY_BYTES: usize = 64 * 1024;
