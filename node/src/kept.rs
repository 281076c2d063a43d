//! Records that are kept for a while: each new one forgets a few of those that are older, in its own transaction.

use std::ops::ControlFlow;

use quorate_store::{StoreError, Txn};
use quorate_types::{B256, UnixMillis};

/// Old records forgotten with each new one.
const FORGET: usize = 4;

/// Where they are.
pub(crate) struct Kept {
    /// Id to record.
    pub(crate) records: &'static str,
    /// When, and id: what to forget first.
    pub(crate) by_time: &'static str,
    /// How long each is kept, in milliseconds.
    pub(crate) for_ms: u64,
}

impl Kept {
    /// Writes a record. Whether there is one already is for the caller to ask.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn put(
        &self,
        txn: &mut dyn Txn,
        id: &B256,
        record: &[u8],
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        self.forget(txn, now)?;
        txn.put(self.records, id.as_slice(), record)?;
        txn.put(self.by_time, &[&now.to_be_bytes(), id.as_slice()].concat(), &[])
    }

    fn forget(&self, txn: &mut dyn Txn, now: UnixMillis) -> Result<(), StoreError> {
        let horizon = now.saturating_sub(self.for_ms).to_be_bytes();
        let mut old = Vec::new();
        txn.scan(self.by_time, &[], &[], &mut |key, _| {
            if old.len() == FORGET || key.get(..8).is_none_or(|at| at >= horizon.as_slice()) {
                return ControlFlow::Break(());
            }
            old.push(key.to_vec());
            ControlFlow::Continue(())
        })?;
        for key in old {
            txn.delete(self.records, key.get(8..).unwrap_or_default())?;
            txn.delete(self.by_time, &key)?;
        }
        Ok(())
    }
}
