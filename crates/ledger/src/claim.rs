//! Whether a request is new.

use quorate_store::Read;
use quorate_types::{B256, WalletId};

use crate::entry::{Progress, read};
use crate::{IdempotencyKey, LedgerError, State};

/// What the ledger knows of a wallet, key and payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// Never seen, or voided since: it may be reserved.
    Fresh,
    /// The same request is under way: [`State::Reserved`] or [`State::Releasing`].
    InFlight(State),
    /// The same request was answered with these bytes, and is for ever.
    Done(Vec<u8>),
    /// The key names another payload. A void does not free the key for one.
    Conflict,
}

/// Looks a request up by its idempotency key. Reading it reserves nothing: a caller that goes on to
/// [`reserve`](crate::reserve()) does both in one transaction.
///
/// # Errors
/// [`LedgerError`] where the store fails or the record is malformed.
pub fn claim(
    r: &dyn Read,
    wallet: &WalletId,
    key: &IdempotencyKey,
    payload_hash: B256,
) -> Result<Claim, LedgerError> {
    let Some(record) = read(r, wallet, key)? else { return Ok(Claim::Fresh) };
    if record.payload_hash != payload_hash {
        return Ok(Claim::Conflict);
    }
    Ok(match record.progress {
        Progress::Void => Claim::Fresh,
        Progress::Reserved => Claim::InFlight(State::Reserved),
        Progress::Releasing => Claim::InFlight(State::Releasing),
        Progress::Done { answer, .. } => Claim::Done(answer),
    })
}
