//! What counts: one record per wallet, asset, time and origin, and one per wallet, time and origin for the signature
//! itself, so that a window is a range, and [`totals`](crate::totals) its sum.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use quorate_intent::{AssetId, Charge};
use quorate_policy::Counted;
use quorate_store::{Read, Txn};
use quorate_types::{Address, U256, UnixMillis, WalletId};

use crate::LedgerError;
use crate::count::{Counts, place, put, take, visit};
use crate::origin::{self, Origin};
use crate::record::SIGNATURES;

/// What is to be counted.
#[derive(Clone, Copy)]
pub(crate) struct Spend<'a> {
    pub(crate) charges: &'a [Charge],
    pub(crate) fee: Option<&'a Charge>,
    pub(crate) payee: Option<Address>,
    pub(crate) at: UnixMillis,
}

/// The sum per asset: an intent may charge one asset more than once.
pub(crate) fn per_asset(charges: &[Charge]) -> Result<BTreeMap<AssetId, U256>, LedgerError> {
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
    let assets = per_asset(spend.charges)?.into_iter().map(|(asset, amount)| (Counted::Asset(asset), amount));
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
        put(txn, (wallet, counted), (at, origin.hash()), &Counts { amount, payee })?;
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
    let place_of = (spend.at, origin.hash());
    for (counted, amount) in amounts(spend)? {
        take(txn, (wallet, counted), place_of, amount)?;
    }
    // A request of version 1 has none.
    let signed = place(wallet, Counted::Signatures, spend.at, origin.hash());
    if txn.get(SIGNATURES, &signed)?.is_some() {
        take(txn, (wallet, Counted::Signatures), place_of, U256::ONE)?;
    }
    origin::forget(txn, wallet, origin.hash())
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
