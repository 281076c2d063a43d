//! Reading the log.

use std::ops::ControlFlow;

use quorate_store::Read;
use quorate_types::{B256, UnixMillis, WalletId};
use serde_json::{Map, Value};

use crate::chain::{ENTRIES, parse};
use crate::error::AuditError;

/// A recorded event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the log, from 1.
    pub sequence: u64,
    /// When it was recorded, by the recorder's clock.
    pub at: UnixMillis,
    /// The hash of the entry before it; zero for the first.
    pub prev: B256,
    /// Its own hash: SHA-256 over the domain `quorate/audit/v1` and `json`, each prefixed with its length as 8 bytes
    /// big-endian.
    pub hash: B256,
    /// What happened.
    pub kind: String,
    /// The wallet it happened to, where there is one.
    pub wallet: Option<WalletId>,
    /// The rest, by name.
    pub fields: Map<String, Value>,
    /// The text that was hashed, without a newline: canonical JSON with the members `at_ms`, `fields`, `kind`, `prev`
    /// (hex), `seq`, `v` and `wallet`, keys sorted by their bytes.
    pub json: String,
}

/// Up to `limit` entries from sequence number `from` on, ascending. For the next page, ask from the last one's number
/// plus 1. Each entry is well-formed and in its place; whether they chain is for [`verify`](crate::verify()).
///
/// # Errors
/// [`AuditError::Damaged`] where one of them is not an entry, or the store's error.
pub fn entries(r: &dyn Read, from: u64, limit: usize) -> Result<Vec<Entry>, AuditError> {
    let mut page = Vec::new();
    if limit == 0 {
        return Ok(page);
    }
    each(r, from, &mut |entry| {
        page.push(entry);
        Ok(if page.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })?;
    Ok(page)
}

pub(crate) type Visit<'a> = dyn FnMut(Entry) -> Result<ControlFlow<()>, AuditError> + 'a;

/// Visits the entries from `from` on, until told to stop or one is refused.
pub(crate) fn each(r: &dyn Read, from: u64, visit: &mut Visit<'_>) -> Result<(), AuditError> {
    let mut outcome = Ok(());
    let place = from.to_be_bytes();
    // From the first entry means from the first record, so that one under a key of the wrong form is found.
    let start = if from <= 1 { &[][..] } else { &place };
    r.scan(ENTRIES, &[], start, &mut |key, bytes| match parse(key, bytes).and_then(&mut *visit) {
        Ok(flow) => flow,
        Err(error) => {
            outcome = Err(error);
            ControlFlow::Break(())
        }
    })?;
    outcome
}
