//! Requests on hold, each under its key: the ledger knows a hold by its payload alone, and people say no to a request.

use quorate_ledger::IdempotencyKey;
use quorate_policy::HOLD_LAPSES_MS;
use quorate_store::{Read, Txn};
use quorate_types::{B256, Payload, UnixMillis, WalletId};
use serde::{Deserialize, Serialize};

use crate::error::OpError;
use crate::records::{Record, get, put, request_key, under};
use crate::waiting::{Refused, make_room};

/// Holds of one wallet at once, so that nobody fills the disk by asking.
pub(crate) const MAX_HOLDS: usize = 64;

/// One request on hold, until it is signed, or a no to it was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HeldRequest {
    pub(crate) wallet: WalletId,
    pub(crate) key: String,
    pub(crate) payload: Payload,
    pub(crate) payload_hash: B256,
    /// What the payload does, in words.
    pub(crate) summary: String,
    pub(crate) since: UnixMillis,
    pub(crate) until: UnixMillis,
    pub(crate) refused: Option<Refused>,
}

impl Record for HeldRequest {
    const TABLE: &'static str = "coordinator.holds";
    fn key(&self) -> Vec<u8> {
        request_key(&self.wallet, &self.key)
    }
}

impl HeldRequest {
    /// Keeps it, over the one before. Those that lapsed make room; where that is not enough, those that were refused do.
    ///
    /// # Errors
    /// Unavailable where too many are on hold.
    pub(crate) fn keep(&self, txn: &mut dyn Txn, now: UnixMillis) -> Result<(), OpError> {
        match get::<Self>(txn, &self.key())? {
            Some(before) if before.payload_hash != self.payload_hash => drop(before.end(txn)?),
            Some(_) => {}
            None => self.find_room(txn, now)?,
        }
        put(txn, self)
    }

    fn find_room(&self, txn: &mut dyn Txn, now: UnixMillis) -> Result<(), OpError> {
        let lapsed: fn(&Self, UnixMillis) -> bool = Self::lapsed;
        for is_over in [lapsed, |held, _| held.refused.is_some()] {
            let (room, dropped) = make_room::<Self>(txn, &self.wallet, MAX_HOLDS, |held| is_over(held, now))?;
            for held in dropped {
                held.end(txn)?;
            }
            if room {
                return Ok(());
            }
        }
        let reason = format!("{MAX_HOLDS} requests of this wallet are on hold already");
        Err(OpError::Unavailable { reason, nodes: Vec::new() })
    }

    /// Ends the hold of its payload, whichever request asks for it. Whether one was running. What nobody finds here any more must
    /// let nothing pass.
    pub(crate) fn end(&self, txn: &mut dyn Txn) -> Result<bool, OpError> {
        Ok(quorate_ledger::end_hold(txn, &self.wallet, self.payload_hash)?)
    }

    /// The wallet's requests for this payload under other keys.
    pub(crate) fn siblings(&self, read: &dyn Read) -> Result<Vec<Self>, OpError> {
        let mut all = under::<Self>(read, &request_key(&self.wallet, ""), MAX_HOLDS)?;
        all.retain(|held| held.payload_hash == self.payload_hash && held.key != self.key);
        Ok(all)
    }

    /// Forgets it: a no was told, or it was signed. Where signing fails it stays: what was held long enough may be asked again, and
    /// somebody may still say no.
    pub(crate) fn forget(txn: &mut dyn Txn, wallet: &WalletId, key: &IdempotencyKey) -> Result<(), OpError> {
        Ok(txn.delete(Self::TABLE, &request_key(wallet, key.as_str()))?)
    }

    /// Whether it lets nothing pass any more: asked again, it begins again.
    pub(crate) fn lapsed(&self, now: UnixMillis) -> bool {
        now > self.until.saturating_add(HOLD_LAPSES_MS)
    }
}
