//! Requests that were denied, for the limits that count them.

use std::ops::ControlFlow;

use quorate_policy::{Counted, MAX_DENIED};
use quorate_store::Txn;
use quorate_types::{B256, U256, UnixMillis, WalletId};

use crate::record::{DENIED, encode};
use crate::spend::{Counts, Origin, place, visit};
use crate::{IdempotencyKey, LedgerError};

/// Counts a request that was denied at `at`, once: the same again, by its key and its payload, is the same attempt, so
/// that nobody counts for an agent by repeating what it asked. The denial is to come from this very transaction, and
/// [`Denial::is_attempt`](quorate_policy::Denial::is_attempt) to say that it counts.
///
/// The latest [`MAX_DENIED`] of a wallet are kept: no limit allows more, so no window needs more. Returns whether it was
/// counted now.
///
/// # Errors
/// [`LedgerError`] where the store fails or a record is malformed.
pub fn count_denied(
    txn: &mut dyn Txn,
    wallet: &WalletId,
    (key, payload_hash): (&IdempotencyKey, B256),
    at: UnixMillis,
) -> Result<bool, LedgerError> {
    let origin = Origin::Denied(key, payload_hash).hash();
    // In ascending order of time.
    let mut kept: Vec<(UnixMillis, B256)> = Vec::new();
    visit(txn, (wallet, Counted::Denied), 0, &mut |origin, past| {
        kept.push((past.at, origin));
        ControlFlow::Continue(())
    })?;
    if kept.iter().any(|(_, before)| *before == origin) {
        return Ok(false);
    }
    let record = encode(DENIED, &Counts { amount: U256::ONE, payee: None })?;
    txn.put(DENIED, &place(wallet, Counted::Denied, at, origin), &record)?;
    kept.push((at, origin));
    kept.sort_unstable();
    let most = usize::try_from(MAX_DENIED).unwrap_or(usize::MAX);
    for (at, origin) in kept.iter().rev().skip(most) {
        txn.delete(DENIED, &place(wallet, Counted::Denied, *at, *origin))?;
    }
    Ok(true)
}
