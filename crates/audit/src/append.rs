//! Adding to the log.

use quorate_store::{Durable, Txn};
use quorate_types::{B256, UnixMillis};

use crate::chain::{ENTRIES, Line, hash};
use crate::error::{AuditError, Damage, EventError};
use crate::head::{self, Head};
use crate::{Event, MAX_ENTRY_BYTES};

/// Proof that an event is in the log and synced. Only [`PendingReceipt::confirm`] makes one.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// The entry's place in the log, from 1.
    pub sequence: u64,
    /// The entry's hash, which stands for everything before it as well.
    pub hash: B256,
}

/// An entry that is written but not yet synced.
#[must_use = "nothing may be acted on before the commit is confirmed"]
#[derive(Debug)]
pub struct PendingReceipt(Receipt);

impl PendingReceipt {
    /// The receipt, now that the entry is on disk. Pair it with the `Durable` of the transaction it was appended in.
    pub fn confirm(self, _synced: &Durable) -> Receipt {
        self.0
    }
}

/// Appends an event, at `now`, and moves the head, both in the caller's transaction.
///
/// # Errors
/// [`AuditError::Event`] where the event cannot be recorded, [`AuditError::Damaged`] where the head is malformed or
/// an entry is already there (nothing is ever overwritten), or the store's error. Drop the transaction on any.
pub fn append(txn: &mut dyn Txn, now: UnixMillis, event: &Event) -> Result<PendingReceipt, AuditError> {
    let before = head::head(txn)?;
    let sequence = before.sequence.checked_add(1).ok_or(EventError::Full)?;
    let key = sequence.to_be_bytes();
    if txn.get(ENTRIES, &key)?.is_some() {
        let damage = Damage::Uncounted { entries: before.sequence };
        return Err(AuditError::Damaged { sequence, damage });
    }
    let Event { kind, wallet, fields } = event;
    let wallet = wallet.as_ref();
    let line = Line { seq: sequence, at_ms: now, prev: before.hash, kind, wallet, fields };
    let text = line.text()?;
    if text.len() > MAX_ENTRY_BYTES {
        return Err(EventError::Size(text.len()).into());
    }
    let hash = hash(&text);
    txn.put(ENTRIES, &key, text.as_bytes())?;
    head::write(txn, &Head { sequence, hash })?;
    Ok(PendingReceipt(Receipt { sequence, hash }))
}

/// The same, with the head as the entry makes it: for a record of the same transaction that names the entry, and so is on disk
/// where that is, or nowhere.
///
/// # Errors
/// As [`append`].
pub fn append_named(
    txn: &mut dyn Txn,
    now: UnixMillis,
    event: &Event,
) -> Result<(PendingReceipt, Head), AuditError> {
    let pending = append(txn, now, event)?;
    let PendingReceipt(Receipt { sequence, hash }) = pending;
    Ok((pending, Head { sequence, hash }))
}
