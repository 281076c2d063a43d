//! What requests are judged by, parsed once: again only where its bytes in the store have changed. It is read from the
//! store each time, in the transaction that goes by it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use quorate_policy::SignedPolicy;
use quorate_store::{Read, Value};
use quorate_types::WalletId;

use crate::error::OpError;
use crate::policies;
use crate::records::{PolicyRecord, Record, WalletRecord, decode};

/// Wallets whose records are held: a bound on memory.
const MAX_WALLETS: usize = 1024;

/// The records of wallets that were asked for of late.
#[derive(Default)]
pub(crate) struct Parsed {
    wallets: Memo<WalletRecord>,
    policies: Memo<SignedPolicy>,
}

impl Parsed {
    /// The wallet's record.
    ///
    /// # Errors
    /// Where there is none, or it cannot be read.
    pub(crate) fn wallet(&self, read: &dyn Read, wallet: &WalletId) -> Result<Arc<WalletRecord>, OpError> {
        let found = self.wallets.get((read, WalletRecord::TABLE), wallet, |bytes| {
            decode::<WalletRecord>(wallet.as_str().as_bytes(), bytes)
        });
        found?.ok_or_else(|| OpError::not_found("wallet", wallet))
    }

    /// The wallet's policy, as it was verified when it was put in force. `None` denies everything.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub(crate) fn policy(
        &self,
        read: &dyn Read,
        wallet: &WalletId,
    ) -> Result<Option<Arc<SignedPolicy>>, OpError> {
        self.policies.get((read, PolicyRecord::TABLE), wallet, |bytes| {
            policies::restore(wallet, &decode::<PolicyRecord>(wallet.as_str().as_bytes(), bytes)?)
        })
    }
}

/// One kind of record, with the bytes it was parsed from.
struct Memo<T>(Mutex<HashMap<WalletId, (Value, Arc<T>)>>);

impl<T> Default for Memo<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Memo<T> {
    fn get(
        &self,
        (read, table): (&dyn Read, &str),
        wallet: &WalletId,
        parse: impl FnOnce(&[u8]) -> Result<T, OpError>,
    ) -> Result<Option<Arc<T>>, OpError> {
        let Some(bytes) = read.get(table, wallet.as_str().as_bytes())? else { return Ok(None) };
        // Not held while anything is parsed.
        let table = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((before, parsed)) = table().get(wallet)
            && *before == bytes
        {
            return Ok(Some(Arc::clone(parsed)));
        }
        let parsed = Arc::new(parse(&bytes)?);
        let mut table = table();
        if table.len() >= MAX_WALLETS {
            table.clear();
        }
        table.insert(wallet.clone(), (bytes, Arc::clone(&parsed)));
        Ok(Some(parsed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_store::{MemStore, update};

    #[test]
    fn a_record_is_parsed_again_where_its_bytes_changed() {
        let (store, memo, wallet) = (MemStore::new(), Memo::default(), "w".parse::<WalletId>().unwrap());
        let mut parsings = 0;
        let mut get = || {
            let parse = |bytes: &[u8]| {
                parsings += 1;
                Ok(bytes.to_vec())
            };
            let found = memo.get((&store, "t"), &wallet, parse).unwrap().map(|parsed| parsed.to_vec());
            (found, parsings)
        };
        assert_eq!(get(), (None, 0));
        let _synced = update(&store, |txn| txn.put("t", b"w", b"one")).unwrap();
        assert_eq!(get(), (Some(b"one".to_vec()), 1));
        assert_eq!(get(), (Some(b"one".to_vec()), 1));
        let _synced = update(&store, |txn| txn.put("t", b"w", b"two")).unwrap();
        assert_eq!(get(), (Some(b"two".to_vec()), 2));
        let _synced = update(&store, |txn| txn.delete("t", b"w")).unwrap();
        assert_eq!(get(), (None, 2));
    }
}
