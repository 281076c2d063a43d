//! What counts as spent: one record per wallet, asset, time and origin, so that a window is a range scan.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use quorate_intent::{AssetId, Charge};
use quorate_store::{Read, Txn};
use quorate_types::{B256, Transcript, U256, UnixMillis, WalletId};

use crate::record::{SPENDS, decode, encode, key_of};
use crate::{IdempotencyKey, LedgerError};

const MALFORMED: LedgerError = LedgerError::Malformed { table: SPENDS };

/// What a spend was counted for. Its hash ends the record's key.
pub(crate) enum Origin<'a> {
    /// A reservation.
    Request(&'a IdempotencyKey),
    /// A service node's charge.
    Payload(B256),
}

impl Origin<'_> {
    fn hash(&self) -> B256 {
        let transcript = Transcript::new("quorate/ledger/spend/v1");
        match self {
            Origin::Request(key) => transcript.field(b"request").field(key.as_str().as_bytes()).finish(),
            Origin::Payload(hash) => transcript.field(b"payload").field(hash.as_slice()).finish(),
        }
    }
}

fn prefix(wallet: &WalletId, asset: &AssetId) -> Vec<u8> {
    key_of(&[wallet.as_str().as_bytes(), asset.to_string().as_bytes()])
}

/// `prefix | time, 8 bytes big-endian | origin hash, 32 bytes`: keys of a wallet and asset ascend by time.
fn spend_key(wallet: &WalletId, asset: &AssetId, at: UnixMillis, origin: &Origin<'_>) -> Vec<u8> {
    let mut key = prefix(wallet, asset);
    key.extend_from_slice(&at.to_be_bytes());
    key.extend_from_slice(origin.hash().as_slice());
    key
}

/// The sum per asset: an intent may charge one asset more than once.
fn totals(charges: &[Charge]) -> Result<BTreeMap<AssetId, U256>, LedgerError> {
    let mut sums = BTreeMap::new();
    for Charge { asset, amount } in charges {
        let sum: &mut U256 = sums.entry(*asset).or_default();
        *sum = sum.checked_add(*amount).ok_or(LedgerError::Overflow { asset: *asset })?;
    }
    Ok(sums)
}

/// Counts `charges` at `at`. A record already there would be overwritten, and its spend lost: that is refused.
pub(crate) fn count(
    txn: &mut dyn Txn,
    wallet: &WalletId,
    origin: &Origin<'_>,
    (charges, at): (&[Charge], UnixMillis),
) -> Result<(), LedgerError> {
    for (asset, amount) in totals(charges)? {
        let key = spend_key(wallet, &asset, at, origin);
        if txn.get(SPENDS, &key)?.is_some() {
            return Err(MALFORMED);
        }
        txn.put(SPENDS, &key, &encode(SPENDS, &amount)?)?;
    }
    Ok(())
}

/// Takes back exactly what [`count`] counted; anything else found there is refused.
pub(crate) fn forget(
    txn: &mut dyn Txn,
    wallet: &WalletId,
    origin: &Origin<'_>,
    (charges, at): (&[Charge], UnixMillis),
) -> Result<(), LedgerError> {
    for (asset, amount) in totals(charges)? {
        let key = spend_key(wallet, &asset, at, origin);
        let counted = txn.get(SPENDS, &key)?.map(|bytes| decode::<U256>(SPENDS, &bytes)).transpose()?;
        if counted != Some(amount) {
            return Err(MALFORMED);
        }
        txn.delete(SPENDS, &key)?;
    }
    Ok(())
}

/// What `wallet` has spent of `asset` at or after `since`, in base units: reserved, releasing, done and charged. A
/// spend counts at the time it was reserved; one the clock has put in the future counts too.
///
/// # Errors
/// [`LedgerError::Overflow`] where the sum is beyond 256 bits: deny. Otherwise [`LedgerError`] where the store fails
/// or a record is malformed.
pub fn spent(
    r: &dyn Read,
    wallet: &WalletId,
    asset: &AssetId,
    since: UnixMillis,
) -> Result<U256, LedgerError> {
    let prefix = prefix(wallet, asset);
    let from = [prefix.as_slice(), &since.to_be_bytes()].concat();
    let full = prefix.len() + 8 + 32;
    let (mut sum, mut failed) = (U256::ZERO, None);
    r.scan(SPENDS, &prefix, &from, &mut |key, record| {
        let added = if key.len() == full { add(sum, asset, record) } else { Err(MALFORMED) };
        match added {
            Ok(added) => {
                sum = added;
                ControlFlow::Continue(())
            }
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    failed.map_or(Ok(sum), Err)
}

fn add(sum: U256, asset: &AssetId, record: &[u8]) -> Result<U256, LedgerError> {
    let amount: U256 = decode(SPENDS, record)?;
    sum.checked_add(amount).ok_or(LedgerError::Overflow { asset: *asset })
}
