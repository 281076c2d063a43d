//! A service node's own count: one charge per payload, whoever asks and how often.

use quorate_intent::Charge;
use quorate_policy::{Approval, Full};
use quorate_store::{Read, Txn};
use quorate_types::{B256, UnixMillis, WalletId};
use serde::{Deserialize, Serialize};

use crate::agents;
use crate::once::{self, Added};
use crate::origin::Origin;
use crate::record::{CHARGES, decode, encode, key_of};
use crate::spend::{Spend, count};
use crate::{LedgerError, Pending};

/// Proof that a payload's spend is counted and synced. It is never given back.
#[derive(Debug, PartialEq, Eq)]
pub struct Charged {
    wallet: WalletId,
    payload_hash: B256,
    at: UnixMillis,
    moved_at: UnixMillis,
    first: bool,
}

impl Charged {
    /// Whose budget.
    pub const fn wallet(&self) -> &WalletId {
        &self.wallet
    }

    /// The payload charged.
    pub const fn payload_hash(&self) -> B256 {
        self.payload_hash
    }

    /// When the payload was first charged; its signature counts then, and what its fee may be more than an earlier one's.
    pub const fn at(&self) -> UnixMillis {
        self.at
    }

    /// When what it moves counts: then too, or earlier, where a payload with its place and its effect was charged before.
    pub const fn moved_at(&self) -> UnixMillis {
        self.moved_at
    }

    /// Whether this call counted it. A payload charged before adds nothing.
    pub const fn is_first(&self) -> bool {
        self.first
    }
}

#[derive(Serialize, Deserialize)]
struct ChargeRecord {
    at: UnixMillis,
    charges: Vec<Charge>,
}

/// Whether this payload is charged already, and when: a limit must not count it a second time.
///
/// # Errors
/// [`LedgerError`] where the store fails or the record is malformed.
pub fn charged(
    r: &dyn Read,
    wallet: &WalletId,
    payload_hash: B256,
) -> Result<Option<UnixMillis>, LedgerError> {
    Ok(read(r, wallet, payload_hash)?.map(|record| record.at))
}

fn place(wallet: &WalletId, payload_hash: B256) -> Vec<u8> {
    key_of(&[wallet.as_str().as_bytes(), payload_hash.as_slice()])
}

fn read(r: &dyn Read, wallet: &WalletId, payload_hash: B256) -> Result<Option<ChargeRecord>, LedgerError> {
    let bytes = r.get(CHARGES, &place(wallet, payload_hash))?;
    bytes.map(|bytes| decode(CHARGES, &bytes)).transpose()
}

/// Counts what was approved, once per wallet and payload. A second charge of the same payload adds nothing and carries
/// the time of the first: a chain or a token takes a payload once, however many signatures it has. The approval is to come
/// from this very transaction: see [`Before`](crate::Before).
///
/// # Errors
/// [`LedgerError::Charges`] where the payload was charged with other amounts, [`LedgerError::Overflow`] where its
/// charges of one asset do not sum; otherwise where the store fails or a record is malformed.
pub fn charge(
    txn: &mut dyn Txn,
    approval: Approval<Full>,
    payload_hash: B256,
) -> Result<Pending<Charged>, LedgerError> {
    let (wallet, charges) = (approval.wallet(), approval.charges());
    let origin = Origin::Payload(payload_hash);
    let (at, moved_at, first) = match read(txn, wallet, payload_hash)? {
        Some(record) if record.charges == charges => {
            let moved_at = once::moved_at(txn, &approval, &origin)?;
            (record.at, moved_at.unwrap_or(record.at), false)
        }
        Some(_) => return Err(LedgerError::Charges),
        None => {
            agents::note(txn, approval.agent(), wallet)?;
            let Added { charges: added, fee, moved_at } = once::added(txn, &approval)?;
            // Never given back, so it stands at once.
            once::take(txn, &approval, &origin, (moved_at, true))?;
            let (payee, at) = (approval.payee(), approval.at());
            count(txn, wallet, &origin, Spend { charges: &added, fee: fee.as_ref(), payee, at })?;
            let record = ChargeRecord { at: approval.at(), charges: charges.to_vec() };
            txn.put(CHARGES, &place(wallet, payload_hash), &encode(CHARGES, &record)?)?;
            (approval.at(), moved_at, true)
        }
    };
    Ok(Pending::new(Charged { wallet: wallet.clone(), payload_hash, at, moved_at, first }))
}
