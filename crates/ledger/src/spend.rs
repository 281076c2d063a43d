//! What counts: one record per wallet, asset, time and origin, and one per wallet, time and origin for the signature
//! itself, so that a window is a range scan.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use quorate_intent::{AssetId, Charge};
use quorate_policy::{Counted, Past};
use quorate_store::{Read, Txn};
use quorate_types::{Address, B256, Transcript, U256, UnixMillis, WalletId};
use serde::{Deserialize, Serialize};

use crate::record::{DENIED, SIGNATURES, SPENDS, decode, decode_version, encode, key_of};
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

/// What is to be counted.
#[derive(Clone, Copy)]
pub(crate) struct Spend<'a> {
    pub(crate) charges: &'a [Charge],
    pub(crate) fee: Option<&'a Charge>,
    pub(crate) payee: Option<Address>,
    pub(crate) at: UnixMillis,
}

/// The record of one count. In version 1 a spend was its amount alone, and signatures were not counted.
#[derive(Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) amount: U256,
    pub(crate) payee: Option<Address>,
}

const fn table(counted: Counted) -> &'static str {
    match counted {
        Counted::Asset(_) | Counted::Fee(_) => SPENDS,
        Counted::Signatures => SIGNATURES,
        Counted::Denied => DENIED,
    }
}

fn prefix(wallet: &WalletId, counted: Counted) -> Vec<u8> {
    match counted {
        Counted::Asset(asset) => key_of(&[wallet.as_str().as_bytes(), asset.to_string().as_bytes()]),
        // No asset is written like this.
        Counted::Fee(chain) => key_of(&[wallet.as_str().as_bytes(), format!("fee@{chain}").as_bytes()]),
        Counted::Signatures | Counted::Denied => key_of(&[wallet.as_str().as_bytes()]),
    }
}

/// `prefix | time, 8 bytes big-endian | origin hash, 32 bytes`: keys of one prefix ascend by time.
pub(crate) fn place(wallet: &WalletId, counted: Counted, at: UnixMillis, origin: B256) -> Vec<u8> {
    [prefix(wallet, counted).as_slice(), &at.to_be_bytes(), origin.as_slice()].concat()
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

/// What is counted as spent.
fn amounts(spend: Spend<'_>) -> Result<Vec<(Counted, U256)>, LedgerError> {
    let fee = spend.fee.map(|fee| (Counted::Fee(fee.asset.chain), fee.amount));
    let assets = totals(spend.charges)?.into_iter().map(|(asset, amount)| (Counted::Asset(asset), amount));
    Ok(assets.chain(fee).collect())
}

/// Counts a signature and what it spends. A record already there would be overwritten, and what it counts lost: that is
/// refused.
pub(crate) fn count(
    txn: &mut dyn Txn,
    wallet: &WalletId,
    origin: &Origin<'_>,
    spend: Spend<'_>,
) -> Result<(), LedgerError> {
    let Spend { payee, at, .. } = spend;
    let spends = amounts(spend)?;
    for (counted, amount) in std::iter::once((Counted::Signatures, U256::ONE)).chain(spends) {
        let (table, key) = (table(counted), place(wallet, counted, at, origin.hash()));
        if txn.get(table, &key)?.is_some() {
            return Err(LedgerError::Malformed { table });
        }
        txn.put(table, &key, &encode(table, &Counts { amount, payee })?)?;
    }
    Ok(())
}

/// Takes back exactly what [`count`] counted; another amount found there is refused.
pub(crate) fn forget(
    txn: &mut dyn Txn,
    wallet: &WalletId,
    origin: &Origin<'_>,
    spend: Spend<'_>,
) -> Result<(), LedgerError> {
    let at = spend.at;
    for (counted, amount) in amounts(spend)? {
        let key = place(wallet, counted, at, origin.hash());
        let found = txn.get(SPENDS, &key)?.map(|record| counts(SPENDS, &record)).transpose()?;
        if found.map(|counts| counts.amount) != Some(amount) {
            return Err(LedgerError::Malformed { table: SPENDS });
        }
        txn.delete(SPENDS, &key)?;
    }
    // A request of version 1 has none.
    Ok(txn.delete(SIGNATURES, &place(wallet, Counted::Signatures, at, origin.hash()))?)
}

fn counts(table: &'static str, record: &[u8]) -> Result<Counts, LedgerError> {
    match record.first() {
        Some(1) if table == SPENDS => Ok(Counts { amount: decode_version(1, table, record)?, payee: None }),
        _ => decode(table, record),
    }
}

/// What is visited: the hash of its origin, and what it counts.
type Each<'a> = dyn FnMut(B256, Past) -> ControlFlow<()> + 'a;

/// Visits what counts at or after `since`, in ascending order of time.
pub(crate) fn visit(
    r: &dyn Read,
    (wallet, counted): (&WalletId, Counted),
    since: UnixMillis,
    each: &mut Each<'_>,
) -> Result<(), LedgerError> {
    let (table, prefix) = (table(counted), prefix(wallet, counted));
    let from = [prefix.as_slice(), &since.to_be_bytes()].concat();
    let mut failed = None;
    r.scan(table, &prefix, &from, &mut |key, record| match past(table, key.get(prefix.len()..), record) {
        Ok((origin, past)) => each(origin, past),
        Err(error) => {
            failed = Some(error);
            ControlFlow::Break(())
        }
    })?;
    failed.map_or(Ok(()), Err)
}

fn past(table: &'static str, rest: Option<&[u8]>, record: &[u8]) -> Result<(B256, Past), LedgerError> {
    let malformed = LedgerError::Malformed { table };
    let Some((at, origin)) = rest.and_then(|rest| rest.split_first_chunk::<8>()) else {
        return Err(malformed);
    };
    let origin = B256::try_from(origin).map_err(|_| malformed)?;
    let Counts { amount, payee } = counts(table, record)?;
    Ok((origin, Past { at: UnixMillis::from_be_bytes(*at), amount, payee }))
}

/// What `wallet` has spent of `asset` at or after `since`, in base units: reserved, releasing, done and charged. A
/// spend counts at the time it was reserved; one the clock has put in the future counts too.
///
/// # Errors
/// [`LedgerError::Overflow`] where the sum is beyond 256 bits. Otherwise [`LedgerError`] where the store fails or a
/// record is malformed.
pub fn spent(
    r: &dyn Read,
    wallet: &WalletId,
    asset: &AssetId,
    since: UnixMillis,
) -> Result<U256, LedgerError> {
    let mut sum = Some(U256::ZERO);
    visit(r, (wallet, Counted::Asset(*asset)), since, &mut |_, past| {
        sum = sum.and_then(|sum| sum.checked_add(past.amount));
        if sum.is_some() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    sum.ok_or(LedgerError::Overflow { asset: *asset })
}
