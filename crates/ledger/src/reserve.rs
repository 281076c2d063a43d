//! Counting a request's spend before anything leaves.

use quorate_policy::{Approval, Full};
use quorate_store::Txn;
use quorate_types::{B256, UnixMillis, WalletId};

use crate::agents;
use crate::entry::{Progress, Record, read, write};
use crate::once::{self, Added};
use crate::origin::Origin;
use crate::spend::{Spend, count};
use crate::{IdempotencyKey, LedgerError, Pending, State};

/// Proof that a request's spend is counted and synced. There is one for each attempt, so it is not `Clone`.
#[derive(Debug, PartialEq, Eq)]
pub struct Reservation {
    pub(crate) wallet: WalletId,
    pub(crate) key: IdempotencyKey,
    payload_hash: B256,
    at: UnixMillis,
    pub(crate) attempt: u32,
}

impl Reservation {
    /// Whose budget.
    pub const fn wallet(&self) -> &WalletId {
        &self.wallet
    }

    /// The caller's name for the request.
    pub const fn key(&self) -> &IdempotencyKey {
        &self.key
    }

    /// The payload it was reserved for, and no other.
    pub const fn payload_hash(&self) -> B256 {
        self.payload_hash
    }

    /// When the spend counts, in Unix milliseconds.
    pub const fn at(&self) -> UnixMillis {
        self.at
    }

    /// Which reservation under this key it is, from 1.
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }
}

/// Records a request for `payload_hash` (`Payload::hash` of what is to be signed) as [`State::Reserved`] under `key`, and
/// counts what was approved. The approval is to come from this very transaction: see [`Before`](crate::Before).
///
/// # Errors
/// [`LedgerError::Conflict`] where the key names another payload, [`LedgerError::State`] where the same request is
/// under way or answered (see [`claim`](crate::claim())), [`LedgerError::Overflow`] where its charges of one asset
/// do not sum; otherwise where the store fails or a record is malformed.
pub fn reserve(
    txn: &mut dyn Txn,
    approval: Approval<Full>,
    key: &IdempotencyKey,
    payload_hash: B256,
) -> Result<Pending<Reservation>, LedgerError> {
    let (wallet, at) = (approval.wallet(), approval.at());
    let attempt = next_attempt(read(txn, wallet, key)?, payload_hash)?;
    let (origin, payee, once) = (Origin::Request(key), approval.payee(), approval.once().copied());
    agents::note(txn, approval.agent(), wallet)?;
    let Added { charges, fee, moved_at } = once::added(txn, &approval)?;
    once::take(txn, &approval, &origin, (moved_at, false))?;
    let record = Record { attempt, payload_hash, charges, at, progress: Progress::Reserved, fee, once };
    count(txn, wallet, &origin, Spend { payee, ..record.spend() })?;
    write(txn, wallet, key, &record)?;
    let (wallet, key) = (wallet.clone(), key.clone());
    Ok(Pending::new(Reservation { wallet, key, payload_hash, at, attempt }))
}

fn next_attempt(before: Option<Record>, payload_hash: B256) -> Result<u32, LedgerError> {
    let Some(record) = before else { return Ok(1) };
    if record.payload_hash != payload_hash {
        return Err(LedgerError::Conflict);
    }
    match record.state() {
        // After 2^32 attempts the key is simply used up.
        State::Void => {
            record.attempt.checked_add(1).ok_or(LedgerError::State { step: "reserve", found: State::Void })
        }
        found => Err(LedgerError::State { step: "reserve", found }),
    }
}
