//! What was counted for what, and when.

use quorate_store::{Read, Txn};
use quorate_types::{B256, Transcript, UnixMillis, WalletId};

use crate::record::{ORIGINS, decode, encode, key_of};
use crate::{IdempotencyKey, LedgerError};

/// What a spend was counted for. Its hash ends the record's key.
pub(crate) enum Origin<'a> {
    /// A reservation.
    Request(&'a IdempotencyKey),
    /// A service node's charge.
    Payload(B256),
    /// A request that was denied: its key names it, and its payload, since a denial binds the key to none.
    Denied(&'a IdempotencyKey, B256),
}

impl Origin<'_> {
    pub(crate) fn hash(&self) -> B256 {
        let transcript = Transcript::new("quorate/ledger/spend/v1");
        match self {
            Origin::Request(key) => transcript.field(b"request").field(key.as_str().as_bytes()).finish(),
            Origin::Payload(hash) => transcript.field(b"payload").field(hash.as_slice()).finish(),
            Origin::Denied(key, hash) => {
                transcript.field(b"denied").field(key.as_str().as_bytes()).field(hash.as_slice()).finish()
            }
        }
    }
}

fn key(wallet: &WalletId, origin: B256) -> Vec<u8> {
    [key_of(&[wallet.as_str().as_bytes()]).as_slice(), origin.as_slice()].concat()
}

/// Notes when what was counted for an origin counts: all of it at one time.
pub(crate) fn remember(
    txn: &mut dyn Txn,
    wallet: &WalletId,
    (at, origin): (UnixMillis, B256),
) -> Result<(), LedgerError> {
    if counted_at(txn, wallet, origin)?.is_some_and(|before| before != at) {
        return Err(LedgerError::Malformed { table: ORIGINS });
    }
    Ok(txn.put(ORIGINS, &key(wallet, origin), &encode(ORIGINS, &at)?)?)
}

/// When what was counted for an origin counts, where anything is.
pub(crate) fn counted_at(
    r: &dyn Read,
    wallet: &WalletId,
    origin: B256,
) -> Result<Option<UnixMillis>, LedgerError> {
    let bytes = r.get(ORIGINS, &key(wallet, origin))?;
    bytes.map(|bytes| decode(ORIGINS, &bytes)).transpose()
}

/// Forgets it: nothing is counted for the origin any more.
pub(crate) fn forget(txn: &mut dyn Txn, wallet: &WalletId, origin: B256) -> Result<(), LedgerError> {
    Ok(txn.delete(ORIGINS, &key(wallet, origin))?)
}
