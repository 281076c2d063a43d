//! Requests that were denied, for the limits that count them.

use quorate_policy::{Counted, MAX_DENIED};
use quorate_store::Txn;
use quorate_types::{AgentId, B256, U256, U512, UnixMillis, WalletId};

use crate::agents;
use crate::count::{Counts, catch_up, drop_first, find, put};
use crate::origin::Origin;
use crate::{IdempotencyKey, LedgerError, totals};

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
    (agent, wallet): (&AgentId, &WalletId),
    (key, payload_hash): (&IdempotencyKey, B256),
    at: UnixMillis,
) -> Result<bool, LedgerError> {
    let (what, origin) = ((wallet, Counted::Denied), Origin::Denied(key, payload_hash).hash());
    catch_up(txn, what)?;
    if find(txn, what, origin)?.is_some() {
        return Ok(false);
    }
    agents::note(txn, agent, wallet)?;
    put(txn, what, (at, origin), &Counts { amount: U256::ONE, payee: None })?;
    while totals::since(txn, what, None, 0)?.is_some_and(|kept| kept > U512::from(MAX_DENIED)) {
        drop_first(txn, what)?;
    }
    Ok(true)
}
