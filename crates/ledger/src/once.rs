//! What is signed for each place that a chain or a token takes once. Payloads with one place and one effect are one spend:
//! the first of them that stands is counted, and of each later one only what its fee may be higher.
//!
//! A chain takes one of them at most, so what is counted is never less than what can come to pass. Only what can no longer
//! be given back is built upon: a request under way counts apart, and stays counted when it is done.

use std::ops::ControlFlow;

use quorate_intent::{Charge, Once};
use quorate_policy::{Approval, Full};
use quorate_store::{Read, Txn};
use quorate_types::{B256, U256, UnixMillis, WalletId};
use serde::{Deserialize, Serialize};

use crate::LedgerError;
use crate::origin::Origin;
use crate::record::{PLACES, decode, encode, key_of};

/// Signed, or about to be.
#[derive(Serialize, Deserialize)]
struct Signed {
    /// The most it can burn as fee, in wei.
    fee: U256,
    /// When what it moves counts: when the first of its place and effect that stood was counted, in Unix milliseconds.
    at: UnixMillis,
    /// It counts for ever.
    stands: bool,
}

/// What stands already with one place and one effect.
pub(crate) struct Standing {
    pub(crate) origins: Vec<B256>,
    /// The highest fee among them.
    fee: U256,
    /// When what they move counts.
    at: UnixMillis,
}

fn prefix(wallet: &WalletId, fields: &[B256]) -> Vec<u8> {
    let wallet = key_of(&[wallet.as_str().as_bytes()]);
    fields.iter().fold(wallet, |key, field| [key.as_slice(), field.as_slice()].concat())
}

fn key(wallet: &WalletId, once: &Once, origin: &Origin<'_>) -> Vec<u8> {
    prefix(wallet, &[once.place, once.effect, origin.hash()])
}

/// What counts of an approval: all of it, or what it adds to what stands.
pub(crate) struct Added {
    pub(crate) charges: Vec<Charge>,
    pub(crate) fee: Option<Charge>,
    /// When what it moves counts.
    pub(crate) moved_at: UnixMillis,
}

/// What counts of an approval.
pub(crate) fn added(r: &dyn Read, approval: &Approval<Full>) -> Result<Added, LedgerError> {
    let standing = match approval.once() {
        Some(once) => standing(r, approval.wallet(), once)?,
        None => None,
    };
    let fee = approval.fee().copied();
    let Some(standing) = standing else {
        return Ok(Added { charges: approval.charges().to_vec(), fee, moved_at: approval.at() });
    };
    let more = |fee: Charge| Charge { amount: fee.amount.saturating_sub(standing.fee), ..fee };
    let fee = fee.map(more).filter(|fee| !fee.amount.is_zero());
    Ok(Added { charges: Vec::new(), fee, moved_at: standing.at })
}

/// Records that this origin is signed for the place.
pub(crate) fn take(
    txn: &mut dyn Txn,
    approval: &Approval<Full>,
    origin: &Origin<'_>,
    (at, stands): (UnixMillis, bool),
) -> Result<(), LedgerError> {
    let Some(once) = approval.once() else { return Ok(()) };
    let fee = approval.fee().map_or(U256::ZERO, |fee| fee.amount);
    let record = encode(PLACES, &Signed { fee, at, stands })?;
    Ok(txn.put(PLACES, &key(approval.wallet(), once, origin), &record)?)
}

/// Marks what this origin was signed for as standing.
pub(crate) fn stand(
    txn: &mut dyn Txn,
    wallet: &WalletId,
    once: &Once,
    origin: &Origin<'_>,
) -> Result<(), LedgerError> {
    let key = key(wallet, once, origin);
    let record = txn.get(PLACES, &key)?.ok_or(LedgerError::Malformed { table: PLACES })?;
    let signed = Signed { stands: true, ..decode(PLACES, &record)? };
    Ok(txn.put(PLACES, &key, &encode(PLACES, &signed)?)?)
}

/// When what this origin moves counts, where it was recorded.
pub(crate) fn moved_at(
    r: &dyn Read,
    approval: &Approval<Full>,
    origin: &Origin<'_>,
) -> Result<Option<UnixMillis>, LedgerError> {
    let Some(once) = approval.once() else { return Ok(None) };
    let record = r.get(PLACES, &key(approval.wallet(), once, origin))?;
    record.map(|record| Ok(decode::<Signed>(PLACES, &record)?.at)).transpose()
}

/// Forgets that this origin was to be signed for the place.
pub(crate) fn leave(
    txn: &mut dyn Txn,
    wallet: &WalletId,
    once: &Once,
    origin: &Origin<'_>,
) -> Result<(), LedgerError> {
    Ok(txn.delete(PLACES, &key(wallet, once, origin))?)
}

/// What stands with this place and effect, where anything does.
pub(crate) fn standing(
    r: &dyn Read,
    wallet: &WalletId,
    once: &Once,
) -> Result<Option<Standing>, LedgerError> {
    let mut found = Standing { origins: Vec::new(), fee: U256::ZERO, at: UnixMillis::MAX };
    for (origin, Signed { fee, at, stands }) in records(r, wallet, once)? {
        if stands {
            found.origins.push(origin);
            (found.fee, found.at) = (found.fee.max(fee), found.at.min(at));
        }
    }
    Ok((!found.origins.is_empty()).then_some(found))
}

/// Each origin that is signed with this place and effect, or about to be, and whether it counts for ever.
pub(crate) fn signed(r: &dyn Read, wallet: &WalletId, once: &Once) -> Result<Vec<(B256, bool)>, LedgerError> {
    let records = records(r, wallet, once)?;
    Ok(records.into_iter().map(|(origin, signed)| (origin, signed.stands)).collect())
}

fn records(r: &dyn Read, wallet: &WalletId, once: &Once) -> Result<Vec<(B256, Signed)>, LedgerError> {
    let prefix = prefix(wallet, &[once.place, once.effect]);
    let mut rows = Vec::new();
    r.scan(PLACES, &prefix, &[], &mut |key, record| {
        rows.push((key.get(prefix.len()..).unwrap_or_default().to_vec(), record.to_vec()));
        ControlFlow::Continue(())
    })?;
    let read = |(origin, record): (Vec<u8>, Vec<u8>)| {
        let origin = B256::try_from(origin.as_slice());
        Ok((origin.map_err(|_| LedgerError::Malformed { table: PLACES })?, decode(PLACES, &record)?))
    };
    rows.into_iter().map(read).collect()
}

/// Whether anything with another effect is signed for the place, or about to be.
pub(crate) fn is_taken(r: &dyn Read, wallet: &WalletId, once: &Once) -> Result<bool, LedgerError> {
    let prefix = prefix(wallet, &[once.place]);
    let mut taken = false;
    r.scan(PLACES, &prefix, &[], &mut |key, _| {
        let effect = key.get(prefix.len()..).and_then(|rest| rest.first_chunk::<32>());
        taken = effect != Some(&once.effect.0);
        if taken { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(taken)
}
