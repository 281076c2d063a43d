//! The names and short forms the tests share.

use std::sync::LazyLock;

use quorate_intent::{AssetId, Charge};
use quorate_ledger::{
    Charged, Claim, Entry, IdempotencyKey, LedgerError, NothingReleased, Releasing, Reservation, charge,
    claim, finish, lookup, releasing, reserve, spent, void, void_releasing,
};
use quorate_policy::{Approval, Full};
use quorate_store::{Store, update};
use quorate_types::{Address, AgentId, B256, U256, UnixMillis, WalletId};

pub(crate) fn wallet(n: usize) -> WalletId {
    // One is a prefix of another, so that keys that run together would show.
    ["treasury", "t", "tr"][n].parse().unwrap()
}

/// Whose wallets they are.
pub(crate) static AGENT: LazyLock<AgentId> = LazyLock::new(|| "bot".parse().unwrap());

pub(crate) fn key(n: usize) -> IdempotencyKey {
    ["order", "order-1", "o"][n].parse().unwrap()
}

pub(crate) fn payload(n: u8) -> B256 {
    B256::repeat_byte(n + 1)
}

pub(crate) fn asset(n: usize) -> AssetId {
    [AssetId::native(1), AssetId::native(11), AssetId::token(1, Address::repeat_byte(7))][n]
}

pub(crate) fn charges(amounts: &[(usize, u64)]) -> Vec<Charge> {
    amounts.iter().map(|(n, amount)| Charge { asset: asset(*n), amount: U256::from(*amount) }).collect()
}

/// Who is paid.
pub(crate) const PAYEE: Address = Address::repeat_byte(9);

/// An approval nobody was asked for: here it is the ledger that is tested.
pub(crate) fn approved(w: usize, charges: &[Charge], at: UnixMillis) -> Approval<Full> {
    Approval::fixture((wallet(w), AGENT.clone()), charges.to_vec(), Some(PAYEE), at)
}

/// A store and short forms of the ledger's functions, each in a transaction of its own, for wallet 0 and key 0.
pub(crate) struct Ledger<'a>(pub(crate) &'a dyn Store);

impl Ledger<'_> {
    pub(crate) fn reserve(
        &self,
        payload_hash: B256,
        charges: &[Charge],
        now: UnixMillis,
    ) -> Result<Reservation, LedgerError> {
        let approval = approved(0, charges, now);
        let (pending, durable) = update(self.0, |txn| reserve(txn, approval, &key(0), payload_hash))?;
        Ok(pending.confirm(&durable))
    }

    pub(crate) fn releasing(&self, reservation: &Reservation) -> Result<Releasing, LedgerError> {
        let (pending, durable) = update(self.0, |txn| releasing(txn, reservation))?;
        Ok(pending.confirm(&durable))
    }

    pub(crate) fn finish(&self, answer: &[u8], now: UnixMillis) -> Result<Vec<u8>, LedgerError> {
        let (pending, durable) = update(self.0, |txn| finish(txn, &wallet(0), &key(0), answer, now))?;
        Ok(pending.confirm(&durable))
    }

    pub(crate) fn void(&self) -> Result<(), LedgerError> {
        update(self.0, |txn| void(txn, &wallet(0), &key(0))).map(|((), _)| ())
    }

    pub(crate) fn void_releasing(&self, attempt: u32) -> Result<(), LedgerError> {
        let nodes = vec!["agent-1".parse().unwrap(), "service-1".parse().unwrap()];
        let proof = NothingReleased::said_by(nodes, wallet(0), key(0), attempt).unwrap();
        update(self.0, |txn| void_releasing(txn, proof)).map(|((), _)| ())
    }

    pub(crate) fn charge(
        &self,
        payload_hash: B256,
        charges: &[Charge],
        now: UnixMillis,
    ) -> Result<Charged, LedgerError> {
        let (pending, durable) = update(self.0, |txn| charge(txn, approved(0, charges, now), payload_hash))?;
        Ok(pending.confirm(&durable))
    }

    pub(crate) fn claim(&self, payload_hash: B256) -> Claim {
        claim(self.0, &wallet(0), &key(0), payload_hash).unwrap()
    }

    pub(crate) fn entry(&self) -> Option<Entry> {
        lookup(self.0, &wallet(0), &key(0)).unwrap()
    }

    pub(crate) fn spent(&self, n: usize, since: UnixMillis) -> U256 {
        spent(self.0, &wallet(0), &asset(n), since).unwrap()
    }
}
