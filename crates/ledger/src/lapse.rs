//! Giving budget back on proof that an authorization ended unused: whatever was signed over it, nobody can use any more.
//!
//! Only what it moves comes back. Its signatures happened and stay counted, and its place stays taken by it. What is signed for the
//! same place and effect later adds nothing, and moves nothing, since the proof holds for it too. What is signed for the same place
//! and another effect, such as a permit of the same nonce and a later deadline, is charged in full, before and after.

use std::ops::ControlFlow;

use quorate_intent::AssetId;
use quorate_lapse::Lapsed;
use quorate_policy::{Counted, Past};
use quorate_store::{Read, Txn};
use quorate_types::{B256, U256, UnixMillis, WalletId};

use crate::count::{catch_up, find, take_late, visit};
use crate::entry::counts_nothing;
use crate::spend::per_asset;
use crate::{LedgerError, once, totals};

/// What came back, or would.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Returned {
    /// Of which asset.
    pub asset: AssetId,
    /// How much, in base units.
    pub amount: U256,
    /// When it was counted, in Unix milliseconds: since then it weighed on limits.
    pub counted_at: UnixMillis,
}

/// What [`lapse()`] would give back. `None` where nothing was ever signed for it, or is about to be.
///
/// # Errors
/// As [`lapse()`].
pub fn returnable(r: &dyn Read, lapsed: &Lapsed) -> Result<Option<Vec<Returned>>, LedgerError> {
    let (wallet, charges) = (lapsed.wallet(), per_asset(lapsed.charges())?);
    let signed = once::signed(r, wallet, lapsed.once())?;
    let mut returned = Vec::new();
    for (origin, _) in &signed {
        for (&asset, &amount) in &charges {
            let past = counted(r, (wallet, Counted::Asset(asset)), *origin)?;
            returned.extend(past.map(|past| Returned { asset, amount, counted_at: past.at }));
        }
    }
    Ok((!signed.is_empty()).then_some(returned))
}

/// What was counted for an origin. Before there were totals nothing said where to look.
fn counted(r: &dyn Read, what: (&WalletId, Counted), origin: B256) -> Result<Option<Past>, LedgerError> {
    let (wallet, counted) = what;
    if totals::exist(r, wallet, counted)? {
        return find(r, what, origin);
    }
    let mut found = None;
    visit(r, what, 0, &mut |of, past| {
        if of != origin {
            return ControlFlow::Continue(());
        }
        found = Some(past);
        ControlFlow::Break(())
    })?;
    Ok(found)
}

/// Takes back what was counted for all that was signed, or is about to be, with the place and the effect of what lapsed.
/// Nothing comes back twice. `None` where nothing was ever signed for it.
///
/// A request under way may still be answered or given up, and moves nothing either way: from here on it counts nothing.
///
/// # Errors
/// [`LedgerError::Malformed`] where another amount was counted than it says; otherwise where the store fails or a record is
/// malformed.
pub fn lapse(txn: &mut dyn Txn, lapsed: &Lapsed) -> Result<Option<Vec<Returned>>, LedgerError> {
    let (wallet, charges) = (lapsed.wallet(), per_asset(lapsed.charges())?);
    // What was counted before there were totals is found by its origin from then on.
    for asset in charges.keys() {
        catch_up(txn, (wallet, Counted::Asset(*asset)))?;
    }
    let returned = returnable(txn, lapsed)?;
    for (origin, stands) in once::signed(txn, wallet, lapsed.once())? {
        for (asset, amount) in &charges {
            let what = (wallet, Counted::Asset(*asset));
            if let Some(past) = find(txn, what, origin)? {
                take_late(txn, what, (past.at, origin), *amount)?;
            }
        }
        if !stands {
            counts_nothing(txn, wallet, origin)?;
        }
    }
    Ok(returned)
}
