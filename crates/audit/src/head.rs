//! Where the log ends.

use std::cmp::Ordering;

use quorate_store::{Read, Txn};
use quorate_types::B256;

use crate::chain::GENESIS;
use crate::entry::entries;
use crate::error::{AuditError, Damage};

const HEAD: &str = "audit_head";
const KEY: &[u8] = b"head";
const VERSION: u8 = 1;

/// The end of a log: how long it is, and the hash that stands for all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Number of entries, which is also the last one's sequence number: they count from 1.
    pub sequence: u64,
    /// The last entry's hash; zero where there is none.
    pub hash: B256,
}

/// The head on record. It is believed, not checked; see [`verify`](crate::verify()).
///
/// # Errors
/// [`Damage::Head`] where the record is malformed, or the store's error.
pub fn head(r: &dyn Read) -> Result<Head, AuditError> {
    let Some(record) = r.get(HEAD, KEY)? else { return Ok(Head { sequence: 0, hash: GENESIS }) };
    decode(&record).ok_or(AuditError::Damaged { sequence: 0, damage: Damage::Head })
}

/// The hash of the entry `sequence`, as the one after it names it; `None` where the log is shorter.
///
/// # Errors
/// [`AuditError`] where a record is malformed, or the store's error.
pub fn hash_at(r: &dyn Read, sequence: u64) -> Result<Option<B256>, AuditError> {
    let head = head(r)?;
    match sequence.cmp(&head.sequence) {
        Ordering::Greater => Ok(None),
        Ordering::Equal => Ok(Some(head.hash)),
        Ordering::Less if sequence == 0 => Ok(Some(GENESIS)),
        Ordering::Less => {
            let next = entries(r, sequence.saturating_add(1), 1)?;
            Ok(next.first().map(|entry| entry.prev))
        }
    }
}

fn decode(record: &[u8]) -> Option<Head> {
    let (version, rest) = record.split_first()?;
    let (sequence, hash) = rest.split_first_chunk()?;
    let hash = B256::from(<[u8; 32]>::try_from(hash).ok()?);
    let sequence = u64::from_be_bytes(*sequence);
    // A head is written with its first entry, so one that counts none was not written by us.
    (*version == VERSION && sequence > 0).then_some(Head { sequence, hash })
}

pub(crate) fn write(txn: &mut dyn Txn, head: &Head) -> Result<(), AuditError> {
    let record = [&[VERSION], head.sequence.to_be_bytes().as_slice(), head.hash.as_slice()].concat();
    Ok(txn.put(HEAD, KEY, &record)?)
}
