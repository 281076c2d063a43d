//! From a reservation to an answer.

use quorate_policy::{Approval, Full};
use quorate_store::Txn;
use quorate_types::{B256, UnixMillis, WalletId};

use crate::entry::{Progress, require, write};
use crate::once;
use crate::origin::Origin;
use crate::reserve::reserve;
use crate::{IdempotencyKey, LedgerError, Pending, Reservation, State};

/// Proof that a request is durably marked [`State::Releasing`]: from here nodes may be asked, and a crash leaves the
/// spend standing.
#[derive(Debug, PartialEq, Eq)]
pub struct Releasing {
    wallet: WalletId,
    key: IdempotencyKey,
    attempt: u32,
}

impl Releasing {
    /// Whose budget.
    pub const fn wallet(&self) -> &WalletId {
        &self.wallet
    }

    /// The caller's name for the request.
    pub const fn key(&self) -> &IdempotencyKey {
        &self.key
    }

    /// Which reservation under this key it is, from 1.
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }
}

/// Marks a reserved request as about to be released. Sync this before the first message to a node leaves.
///
/// # Errors
/// [`LedgerError::Attempt`] where `reservation` was voided and reserved again, [`LedgerError::State`] where it is not
/// [`State::Reserved`] any more; otherwise where the store fails or a record is malformed.
pub fn releasing(txn: &mut dyn Txn, reservation: &Reservation) -> Result<Pending<Releasing>, LedgerError> {
    let Reservation { wallet, key, attempt, .. } = reservation;
    let mut record = require(txn, wallet, key)?;
    if record.attempt != *attempt {
        return Err(LedgerError::Attempt { found: record.attempt, proof: *attempt });
    }
    match record.state() {
        State::Reserved => record.progress = Progress::Releasing,
        found => return Err(LedgerError::State { step: "release", found }),
    }
    write(txn, wallet, key, &record)?;
    Ok(Pending::new(Releasing { wallet: wallet.clone(), key: key.clone(), attempt: *attempt }))
}

/// [`reserve()`] and [`releasing`] in one transaction, for who asks nodes as soon as it is synced. A crash before they are
/// asked leaves the spend standing too: it is held for the same request, should it come again.
///
/// # Errors
/// As [`reserve()`].
pub fn reserve_releasing(
    txn: &mut dyn Txn,
    approval: Approval<Full>,
    key: &IdempotencyKey,
    payload_hash: B256,
) -> Result<Pending<Releasing>, LedgerError> {
    let reservation = reserve(txn, approval, key, payload_hash)?.in_same_transaction();
    releasing(txn, &reservation)
}

/// Records the answer of a request that is [`State::Releasing`]; its spend stands for ever. Returns the answer, to be
/// given once synced. Recording the same answer again changes nothing.
///
/// # Errors
/// [`LedgerError::Answered`] where another answer is recorded already, [`LedgerError::NotFound`] or
/// [`LedgerError::State`] where the request was never released; otherwise where the store fails or a record is
/// malformed.
pub fn finish(
    txn: &mut dyn Txn,
    wallet: &WalletId,
    key: &IdempotencyKey,
    answer: &[u8],
    now: UnixMillis,
) -> Result<Pending<Vec<u8>>, LedgerError> {
    let mut record = require(txn, wallet, key)?;
    match &record.progress {
        Progress::Releasing => {
            if let Some(once) = &record.once {
                once::stand(txn, wallet, once, &Origin::Request(key))?;
            }
            record.progress = Progress::Done { answer: answer.to_vec(), at: now };
            write(txn, wallet, key, &record)?;
        }
        Progress::Done { answer: given, .. } if given == answer => {}
        Progress::Done { .. } => return Err(LedgerError::Answered),
        Progress::Reserved | Progress::Void => {
            return Err(LedgerError::State { step: "finish", found: record.state() });
        }
    }
    Ok(Pending::new(answer.to_vec()))
}
