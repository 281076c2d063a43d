//! Since when a payload has been on hold, by this ledger's own clock.

use quorate_store::{Read, Txn};
use quorate_types::{B256, UnixMillis, WalletId};
use serde::{Deserialize, Serialize};

use crate::LedgerError;
use crate::record::{HOLDS, decode, decode_version, encode, key_of};

#[derive(Serialize, Deserialize)]
struct Held {
    since: UnixMillis,
    standing: B256,
}

fn place(wallet: &WalletId, payload_hash: B256) -> Vec<u8> {
    key_of(&[wallet.as_str().as_bytes(), payload_hash.as_slice()])
}

/// Since when, in Unix milliseconds; `None` where it never was, or what it began under no longer stands: `standing` names
/// the freeze orders that are about it now.
///
/// # Errors
/// [`LedgerError`] where the store fails or the record is malformed.
pub fn held_since(
    read: &dyn Read,
    wallet: &WalletId,
    payload_hash: B256,
    standing: B256,
) -> Result<Option<UnixMillis>, LedgerError> {
    let Some(bytes) = read.get(HOLDS, &place(wallet, payload_hash))? else { return Ok(None) };
    // Version 1 did not say what it began under.
    if decode_version::<UnixMillis>(1, HOLDS, &bytes).is_ok() {
        return Ok(None);
    }
    let held: Held = decode(HOLDS, &bytes)?;
    Ok((held.standing == standing).then_some(held.since))
}

/// Writes down since when, and under what. Whether an earlier hold still counts is policy's to say; this one takes its
/// place.
///
/// # Errors
/// [`LedgerError`] where the store fails.
pub fn hold(
    txn: &mut dyn Txn,
    wallet: &WalletId,
    payload_hash: B256,
    (since, standing): (UnixMillis, B256),
) -> Result<(), LedgerError> {
    Ok(txn.put(HOLDS, &place(wallet, payload_hash), &encode(HOLDS, &Held { since, standing })?)?)
}

/// Whether any is on record, running or over.
///
/// # Errors
/// [`LedgerError`] where the store fails.
pub fn is_held(read: &dyn Read, wallet: &WalletId, payload_hash: B256) -> Result<bool, LedgerError> {
    Ok(read.get(HOLDS, &place(wallet, payload_hash))?.is_some())
}

/// Forgets a hold, whatever it began under: whoever still wants what was held waits from the beginning. Whether there was one.
///
/// # Errors
/// [`LedgerError`] where the store fails.
pub fn end_hold(txn: &mut dyn Txn, wallet: &WalletId, payload_hash: B256) -> Result<bool, LedgerError> {
    let there = is_held(txn, wallet, payload_hash)?;
    if there {
        txn.delete(HOLDS, &place(wallet, payload_hash))?;
    }
    Ok(there)
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_store::{MemStore, update};

    const NOW: B256 = B256::ZERO;

    #[test]
    fn each_payload_of_each_wallet_has_its_own() {
        let store = MemStore::new();
        let (one, other): (WalletId, WalletId) = ("one".parse().unwrap(), "other".parse().unwrap());
        let (hash, another) = (B256::repeat_byte(1), B256::repeat_byte(2));
        let put = |since| update(&store, |txn| hold(txn, &one, hash, (since, NOW))).map(drop);
        assert_eq!(held_since(&store, &one, hash, NOW).unwrap(), None);
        put(7).unwrap();
        assert_eq!(held_since(&store, &one, hash, NOW).unwrap(), Some(7));
        assert_eq!(held_since(&store, &one, another, NOW).unwrap(), None);
        assert_eq!(held_since(&store, &other, hash, NOW).unwrap(), None);
        put(9).unwrap();
        assert_eq!(held_since(&store, &one, hash, NOW).unwrap(), Some(9));
    }

    #[test]
    fn one_that_is_forgotten_never_was() {
        let (store, hash, other) = (MemStore::new(), B256::repeat_byte(1), B256::repeat_byte(2));
        let one: WalletId = "one".parse().unwrap();
        let held = |hash| held_since(&store, &one, hash, NOW).unwrap();
        let end = |hash| update(&store, |txn| end_hold(txn, &one, hash)).unwrap().0;
        for hash in [hash, other] {
            let _synced = update(&store, |txn| hold(txn, &one, hash, (7, NOW))).unwrap();
        }
        assert!(end(hash));
        assert_eq!((held(hash), held(other)), (None, Some(7)));
        assert!(!end(hash), "there is none any more");
    }

    #[test]
    fn it_ends_with_what_it_began_under() {
        let (store, hash) = (MemStore::new(), B256::repeat_byte(1));
        let (one, later): (WalletId, B256) = ("one".parse().unwrap(), B256::repeat_byte(9));
        let _synced = update(&store, |txn| hold(txn, &one, hash, (7, NOW))).unwrap();
        assert_eq!(held_since(&store, &one, hash, later).unwrap(), None);
        let _synced = update(&store, |txn| hold(txn, &one, hash, (9, later))).unwrap();
        assert_eq!(held_since(&store, &one, hash, later).unwrap(), Some(9));
        assert_eq!(held_since(&store, &one, hash, NOW).unwrap(), None);
    }

    #[test]
    fn one_of_version_1_has_ended_and_a_damaged_one_is_none() {
        let (store, hash) = (MemStore::new(), B256::repeat_byte(1));
        let one: WalletId = "one".parse().unwrap();
        let put = |bytes: &[u8]| update(&store, |txn| txn.put(HOLDS, &place(&one, hash), bytes)).map(drop);
        put(&[1, 7]).unwrap();
        assert_eq!(held_since(&store, &one, hash, NOW).unwrap(), None);
        put(&[2, 7]).unwrap();
        assert!(held_since(&store, &one, hash, NOW).is_err());
    }
}
