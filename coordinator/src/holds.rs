//! Requests on hold, each under its key: the ledger knows a hold by its payload alone, and people say no to a request.

use quorate_ledger::IdempotencyKey;
use quorate_policy::HOLD_LAPSES_MS;
use quorate_store::{Read, Txn};
use quorate_types::{B256, Payload, UnixMillis, WalletId};
use serde::{Deserialize, Serialize};

use crate::error::OpError;
use crate::records::{Record, get, page, put, request_key};
use crate::waiting::{Refused, make_room};

/// Holds of one wallet at once, so that nobody fills the disk by asking.
pub(crate) const MAX_HOLDS: usize = 64;

/// One request on hold, until it is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HeldRequest {
    pub(crate) wallet: WalletId,
    pub(crate) key: String,
    pub(crate) payload: Payload,
    pub(crate) payload_hash: B256,
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
    /// The hold of a request, where there is one.
    pub(crate) fn find(
        read: &dyn Read,
        wallet: &WalletId,
        key: &IdempotencyKey,
    ) -> Result<Option<Self>, OpError> {
        get::<Self>(read, &request_key(wallet, key.as_str()))
    }

    /// Every one.
    pub(crate) fn all(read: &dyn Read) -> Result<Vec<Self>, OpError> {
        page::<Self>(read, &[], usize::MAX)
    }

    /// Keeps it, over the one before. Those that lapsed make room; one that was refused stays until it was told.
    ///
    /// # Errors
    /// Unavailable where too many are on hold.
    pub(crate) fn keep(&self, txn: &mut dyn Txn, now: UnixMillis) -> Result<(), OpError> {
        let there = txn.get(Self::TABLE, &self.key())?.is_some();
        if !there && !make_room::<Self>(txn, &self.wallet, MAX_HOLDS, |held| held.lapsed(now))? {
            let reason = format!("{MAX_HOLDS} requests of this wallet are on hold already");
            return Err(OpError::Unavailable { reason, nodes: Vec::new() });
        }
        put(txn, self)
    }

    /// Forgets it: it was told, or signed. The ledger does not, and nor does it end where signing fails: what was held long enough
    /// may be asked again, and somebody may still say no.
    pub(crate) fn forget(txn: &mut dyn Txn, wallet: &WalletId, key: &IdempotencyKey) -> Result<(), OpError> {
        Ok(txn.delete(Self::TABLE, &request_key(wallet, key.as_str()))?)
    }

    /// Whether it lets nothing pass any more: asked again, it begins again.
    fn lapsed(&self, now: UnixMillis) -> bool {
        now > self.until.saturating_add(HOLD_LAPSES_MS)
    }
}
