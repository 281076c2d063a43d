//! Running totals: what counts since a moment takes two reads, however much a wallet did.
//!
//! The records of [`count`](crate::count) are what was counted; these are kept beside them, in the same transaction. A chain
//! is all of one thing that a wallet did, by time; each thing has one for whoever was paid, and one for each payee. A link
//! says what its chain held before it, and the chain's head what it holds in all: what came since is the head without what
//! the first link since had before it.
//!
//! Time goes forward, so a link goes to the end. One that does not, and one that is taken back, changes those behind it. What
//! comes back late, when much else was counted since, stays where it is and is taken off again in a chain of its own.

use std::ops::ControlFlow;

use quorate_policy::Counted;
use quorate_store::{Read, Txn};
use quorate_types::{Address, B256, U256, U512, UnixMillis, WalletId};
use serde::{Deserialize, Serialize};

use crate::LedgerError;
use crate::count::{Counts, name};
use crate::record::{TOTALS, decode, encode, key_of, timed_key};

#[derive(Serialize, Deserialize)]
struct Link {
    /// Sums are of 512 bits, so that none of them overflows and what is too much for 256 is seen where it is asked for.
    before: U512,
    amount: U256,
}

/// Whose chain.
#[derive(Clone, Copy)]
enum Whose {
    Everybody,
    Payee(Address),
    /// Of what was paid to nobody knows whom. It counts for each payee.
    Unknown,
}

impl Whose {
    fn of(payee: Option<Address>) -> Self {
        payee.map_or(Whose::Unknown, Whose::Payee)
    }

    /// Lengths differ, so no two are the same.
    fn as_bytes(&self) -> &[u8] {
        match self {
            Whose::Everybody => b"all",
            Whose::Payee(payee) => payee.as_slice(),
            Whose::Unknown => b"",
        }
    }
}

/// What a chain holds.
#[derive(Clone, Copy)]
enum Side {
    /// What was counted.
    Counted,
    /// What of it came back late.
    Returned,
}

impl Side {
    /// Nothing that is counted is called like what came back of another.
    fn name(self, counted: Counted) -> String {
        match self {
            Side::Counted => name(counted),
            Side::Returned => format!("returned {}", name(counted)),
        }
    }
}

/// The head's key, and the prefix of the links'.
fn chain((wallet, counted): (&WalletId, Counted), side: Side, whose: Whose) -> Vec<u8> {
    key_of(&[wallet.as_str().as_bytes(), side.name(counted).as_bytes(), whose.as_bytes()])
}

fn both(what: (&WalletId, Counted), side: Side, payee: Option<Address>) -> [Vec<u8>; 2] {
    [Whose::Everybody, Whose::of(payee)].map(|whose| chain(what, side, whose))
}

const fn malformed() -> LedgerError {
    LedgerError::Malformed { table: TOTALS }
}

fn head(r: &dyn Read, chain: &[u8]) -> Result<Option<U512>, LedgerError> {
    r.get(TOTALS, chain)?.map(|bytes| decode(TOTALS, &bytes)).transpose()
}

/// Links from `from` on, the first of them or all.
fn links(r: &dyn Read, chain: &[u8], from: &[u8], most: usize) -> Result<Vec<(Vec<u8>, Link)>, LedgerError> {
    let mut found = Vec::new();
    r.scan(TOTALS, chain, from, &mut |key, bytes| {
        found.push(decode::<Link>(TOTALS, bytes).map(|link| (key.to_vec(), link)));
        if found.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    found.into_iter().collect()
}

/// Whether what a wallet did is in chains: what was counted before there were any is not.
pub(crate) fn exist(r: &dyn Read, wallet: &WalletId, counted: Counted) -> Result<bool, LedgerError> {
    Ok(head(r, &chain((wallet, counted), Side::Counted, Whose::Everybody))?.is_some())
}

/// What counts at or after `since` for `payee`, or whoever was paid. `None` where there are no chains: see [`exist`].
pub(crate) fn since(
    r: &dyn Read,
    (wallet, counted): (&WalletId, Counted),
    payee: Option<Address>,
    since: UnixMillis,
) -> Result<Option<U512>, LedgerError> {
    if !exist(r, wallet, counted)? {
        return Ok(None);
    }
    let on = |side| since_on(r, ((wallet, counted), side), payee, since);
    on(Side::Counted)?.checked_sub(on(Side::Returned)?).map(Some).ok_or_else(malformed)
}

fn since_on(
    r: &dyn Read,
    (what, side): ((&WalletId, Counted), Side),
    payee: Option<Address>,
    since: UnixMillis,
) -> Result<U512, LedgerError> {
    let since = |whose| since_in(r, &chain(what, side, whose), since);
    let Some(payee) = payee else { return since(Whose::Everybody) };
    since(Whose::Payee(payee))?.checked_add(since(Whose::Unknown)?).ok_or_else(malformed)
}

fn since_in(r: &dyn Read, chain: &[u8], since: UnixMillis) -> Result<U512, LedgerError> {
    let from = [chain, &since.to_be_bytes()].concat();
    let Some((_, first)) = links(r, chain, &from, 1)?.pop() else { return Ok(U512::ZERO) };
    head(r, chain)?.and_then(|head| head.checked_sub(first.before)).ok_or_else(malformed)
}

/// Adds what is counted at a place to its chains.
pub(crate) fn add(
    txn: &mut dyn Txn,
    what: (&WalletId, Counted),
    place: (UnixMillis, B256),
    counts: &Counts,
) -> Result<(), LedgerError> {
    add_on(txn, (what, Side::Counted), place, counts)
}

/// Takes off again, once, what was added at a place. However much was added since, nothing of it is touched.
pub(crate) fn give_back(
    txn: &mut dyn Txn,
    what: (&WalletId, Counted),
    place: (UnixMillis, B256),
    counts: &Counts,
) -> Result<(), LedgerError> {
    add_on(txn, (what, Side::Returned), place, counts)
}

fn add_on(
    txn: &mut dyn Txn,
    (what, side): ((&WalletId, Counted), Side),
    (at, origin): (UnixMillis, B256),
    counts: &Counts,
) -> Result<(), LedgerError> {
    for chain in both(what, side, counts.payee) {
        let key = timed_key(&chain, at, origin);
        let later = links(txn, &chain, &key, usize::MAX)?;
        let total = head(txn, &chain)?.unwrap_or_default();
        let before = match later.first() {
            Some((first, _)) if *first == key => return Err(malformed()),
            Some((_, first)) => first.before,
            None => total,
        };
        txn.put(TOTALS, &key, &encode(TOTALS, &Link { before, amount: counts.amount })?)?;
        shift(txn, (&chain, total), later, |sum| sum.checked_add(U512::from(counts.amount)))?;
    }
    Ok(())
}

/// Takes out of its chains exactly what was added there.
pub(crate) fn remove(
    txn: &mut dyn Txn,
    what: (&WalletId, Counted),
    (at, origin): (UnixMillis, B256),
    counts: &Counts,
) -> Result<(), LedgerError> {
    for chain in both(what, Side::Counted, counts.payee) {
        let key = timed_key(&chain, at, origin);
        let mut later = links(txn, &chain, &key, usize::MAX)?.into_iter();
        match later.next() {
            Some((first, link)) if first == key && link.amount == counts.amount => {
                txn.delete(TOTALS, &key)?
            }
            _ => return Err(malformed()),
        }
        let total = head(txn, &chain)?.ok_or_else(malformed)?;
        shift(txn, (&chain, total), later, |sum| sum.checked_sub(U512::from(counts.amount)))?;
    }
    Ok(())
}

/// Changes the head, and the links behind one that came or went.
fn shift(
    txn: &mut dyn Txn,
    (chain, total): (&[u8], U512),
    later: impl IntoIterator<Item = (Vec<u8>, Link)>,
    by: impl Fn(U512) -> Option<U512>,
) -> Result<(), LedgerError> {
    for (key, link) in later {
        let before = by(link.before).ok_or_else(malformed)?;
        txn.put(TOTALS, &key, &encode(TOTALS, &Link { before, ..link })?)?;
    }
    let total = by(total).ok_or_else(malformed)?;
    Ok(txn.put(TOTALS, chain, &encode(TOTALS, &total)?)?)
}

/// Drops the first link of its chains: what comes after it is counted as before.
pub(crate) fn drop_first(
    txn: &mut dyn Txn,
    what: (&WalletId, Counted),
    (at, origin): (UnixMillis, B256),
    payee: Option<Address>,
) -> Result<(), LedgerError> {
    for chain in both(what, Side::Counted, payee) {
        txn.delete(TOTALS, &timed_key(&chain, at, origin))?;
    }
    Ok(())
}
