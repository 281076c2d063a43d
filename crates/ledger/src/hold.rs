//! Since when a payload has been on hold, by this ledger's own clock.

use quorate_store::{Read, Txn};
use quorate_types::{B256, UnixMillis, WalletId};

use crate::LedgerError;
use crate::record::{HOLDS, decode, encode, key_of};

fn place(wallet: &WalletId, payload_hash: B256) -> Vec<u8> {
    key_of(&[wallet.as_str().as_bytes(), payload_hash.as_slice()])
}

/// Since when, in Unix milliseconds; `None` where it never was.
///
/// # Errors
/// [`LedgerError`] where the store fails or the record is malformed.
pub fn held_since(
    read: &dyn Read,
    wallet: &WalletId,
    payload_hash: B256,
) -> Result<Option<UnixMillis>, LedgerError> {
    let bytes = read.get(HOLDS, &place(wallet, payload_hash))?;
    bytes.map(|bytes| decode(HOLDS, &bytes)).transpose()
}

/// Writes down since when. Whether an earlier hold still counts is policy's to say; this one takes its place.
///
/// # Errors
/// [`LedgerError`] where the store fails.
pub fn hold(
    txn: &mut dyn Txn,
    wallet: &WalletId,
    payload_hash: B256,
    since: UnixMillis,
) -> Result<(), LedgerError> {
    Ok(txn.put(HOLDS, &place(wallet, payload_hash), &encode(HOLDS, &since)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_store::{MemStore, update};

    #[test]
    fn each_payload_of_each_wallet_has_its_own() {
        let store = MemStore::new();
        let (one, other): (WalletId, WalletId) = ("one".parse().unwrap(), "other".parse().unwrap());
        let (hash, another) = (B256::repeat_byte(1), B256::repeat_byte(2));
        let put = |since| update(&store, |txn| hold(txn, &one, hash, since)).map(drop);
        assert_eq!(held_since(&store, &one, hash).unwrap(), None);
        put(7).unwrap();
        assert_eq!(held_since(&store, &one, hash).unwrap(), Some(7));
        assert_eq!(held_since(&store, &one, another).unwrap(), None);
        assert_eq!(held_since(&store, &other, hash).unwrap(), None);
        put(9).unwrap();
        assert_eq!(held_since(&store, &one, hash).unwrap(), Some(9));
    }
}
