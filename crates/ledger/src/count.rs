//! One count: a record, its place, and its totals.

use std::ops::ControlFlow;

use quorate_policy::{Counted, Past};
use quorate_store::{Read, Txn};
use quorate_types::{Address, B256, U256, UnixMillis, WalletId};
use serde::{Deserialize, Serialize};

use crate::origin::{self, counted_at, remember};
use crate::record::{DENIED, SIGNATURES, SPENDS, decode, decode_version, encode, key_of, timed_key};
use crate::{LedgerError, totals};

/// The record of one count. In version 1 a spend was its amount alone, and signatures were not counted. What is older than
/// version 3 of a spend and 2 of a signature was written by software that kept no totals, and would not have read these.
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

/// What is counted, in a key. No asset is written like the others.
pub(crate) fn name(counted: Counted) -> String {
    match counted {
        Counted::Asset(asset) => asset.to_string(),
        Counted::Fee(chain) => format!("fee@{chain}"),
        Counted::Signatures => "signatures".to_owned(),
        Counted::Denied => "denied".to_owned(),
    }
}

fn prefix(wallet: &WalletId, counted: Counted) -> Vec<u8> {
    match counted {
        Counted::Asset(_) | Counted::Fee(_) => {
            key_of(&[wallet.as_str().as_bytes(), name(counted).as_bytes()])
        }
        Counted::Signatures | Counted::Denied => key_of(&[wallet.as_str().as_bytes()]),
    }
}

pub(crate) fn place(wallet: &WalletId, counted: Counted, at: UnixMillis, origin: B256) -> Vec<u8> {
    timed_key(&prefix(wallet, counted), at, origin)
}

/// Counts one thing at one place.
pub(crate) fn put(
    txn: &mut dyn Txn,
    what: (&WalletId, Counted),
    (at, origin): (UnixMillis, B256),
    counts: &Counts,
) -> Result<(), LedgerError> {
    let (wallet, counted) = what;
    catch_up(txn, what)?;
    let (table, key) = (table(counted), place(wallet, counted, at, origin));
    if txn.get(table, &key)?.is_some() {
        return Err(LedgerError::Malformed { table });
    }
    txn.put(table, &key, &encode(table, counts)?)?;
    remember(txn, wallet, (at, origin))?;
    totals::add(txn, what, (at, origin), counts)
}

/// Takes one count back. What is found in its place is refused unless it is that.
pub(crate) fn take(
    txn: &mut dyn Txn,
    what: (&WalletId, Counted),
    place: (UnixMillis, B256),
    amount: U256,
) -> Result<(), LedgerError> {
    let found = uncount(txn, what, place, amount)?;
    totals::remove(txn, what, place, &found)
}

/// [`take`] of what much else may have been counted after.
pub(crate) fn take_late(
    txn: &mut dyn Txn,
    what: (&WalletId, Counted),
    place: (UnixMillis, B256),
    amount: U256,
) -> Result<(), LedgerError> {
    let found = uncount(txn, what, place, amount)?;
    totals::give_back(txn, what, place, &found)
}

/// Deletes a count's record, and returns it.
fn uncount(
    txn: &mut dyn Txn,
    what: (&WalletId, Counted),
    (at, origin): (UnixMillis, B256),
    amount: U256,
) -> Result<Counts, LedgerError> {
    let (wallet, counted) = what;
    catch_up(txn, what)?;
    let (table, key) = (table(counted), place(wallet, counted, at, origin));
    let found = txn.get(table, &key)?.map(|record| counts(table, &record)).transpose()?;
    let found = found.filter(|found| found.amount == amount).ok_or(LedgerError::Malformed { table })?;
    txn.delete(table, &key)?;
    Ok(found)
}

/// Sums up what was counted before there were totals, once. The records are written anew, so that software that keeps none
/// refuses them, and counts nothing beside the totals where somebody goes back to it.
pub(crate) fn catch_up(txn: &mut dyn Txn, what: (&WalletId, Counted)) -> Result<(), LedgerError> {
    let (wallet, counted) = what;
    if totals::exist(txn, wallet, counted)? {
        return Ok(());
    }
    let mut rows = Vec::new();
    visit(txn, what, 0, &mut |origin, past| {
        rows.push((origin, past));
        ControlFlow::Continue(())
    })?;
    for (origin, Past { at, amount, payee }) in rows {
        let counts = Counts { amount, payee };
        let table = table(counted);
        txn.put(table, &place(wallet, counted, at, origin), &encode(table, &counts)?)?;
        remember(txn, wallet, (at, origin))?;
        totals::add(txn, what, (at, origin), &counts)?;
    }
    Ok(())
}

/// What was counted for an origin, where anything was.
pub(crate) fn find(
    r: &dyn Read,
    (wallet, counted): (&WalletId, Counted),
    origin: B256,
) -> Result<Option<Past>, LedgerError> {
    let Some(at) = counted_at(r, wallet, origin)? else { return Ok(None) };
    let table = table(counted);
    let record = r.get(table, &place(wallet, counted, at, origin))?;
    let past =
        |record: &[u8]| counts(table, record).map(|Counts { amount, payee }| Past { at, amount, payee });
    record.map(|record| past(&record)).transpose()
}

/// Drops the earliest count of its kind: as if its time had passed.
pub(crate) fn drop_first(txn: &mut dyn Txn, what: (&WalletId, Counted)) -> Result<(), LedgerError> {
    let (wallet, counted) = what;
    let mut first = None;
    visit(txn, what, 0, &mut |origin, past| {
        first = Some((origin, past));
        ControlFlow::Break(())
    })?;
    let Some((origin, Past { at, payee, .. })) = first else { return Ok(()) };
    txn.delete(table(counted), &place(wallet, counted, at, origin))?;
    origin::forget(txn, wallet, origin)?;
    totals::drop_first(txn, what, (at, origin), payee)
}

fn counts(table: &'static str, record: &[u8]) -> Result<Counts, LedgerError> {
    match (table, record.first()) {
        (SPENDS, Some(1)) => Ok(Counts { amount: decode_version(1, table, record)?, payee: None }),
        (SPENDS, Some(2)) => decode_version(2, table, record),
        (SIGNATURES | DENIED, Some(1)) => decode_version(1, table, record),
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
