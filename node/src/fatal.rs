//! The end of a node that can no longer trust its disk, and a store that never lets such a failure go unnoticed.

use std::sync::{Arc, OnceLock};

use quorate_store::{Durable, Read, Store, StoreError, Txn, Value, Visit};
use tokio_util::sync::CancellationToken;

/// Stops the node once, for the first reason given.
#[derive(Clone, Default)]
pub(crate) struct Fatal(Arc<State>);

#[derive(Default)]
struct State {
    stopped: CancellationToken,
    reason: OnceLock<String>,
}

impl Fatal {
    /// Stops the node.
    pub(crate) fn stop(&self, reason: &str) {
        if self.0.reason.set(reason.to_owned()).is_ok() {
            tracing::error!(reason, "the node must stop");
        }
        self.0.stopped.cancel();
    }

    /// Stops the node where the error says that its disk did not confirm a write.
    pub(crate) fn check(&self, error: &StoreError) {
        if error.is_fatal() {
            self.stop(&error.to_string());
        }
    }

    /// Why the node must stop, where it must.
    pub(crate) fn reason(&self) -> Option<&str> {
        self.0.reason.get().map(String::as_str)
    }

    /// Returns when the node must stop.
    pub(crate) async fn stopped(&self) -> String {
        self.0.stopped.cancelled().await;
        self.reason().unwrap_or_default().to_owned()
    }
}

/// A store whose fatal failures stop the node, whatever the caller makes of the error.
pub(crate) struct Watched {
    store: Arc<dyn Store>,
    fatal: Fatal,
}

impl Watched {
    /// Watches `store`.
    pub(crate) fn new(store: Arc<dyn Store>, fatal: Fatal) -> Self {
        Self { store, fatal }
    }

    fn see<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        result.inspect_err(|error| self.fatal.check(error))
    }
}

impl Read for Watched {
    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Value>, StoreError> {
        self.see(self.store.get(table, key))
    }

    fn scan(&self, table: &str, prefix: &[u8], from: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.see(self.store.scan(table, prefix, from, visit))
    }
}

impl Store for Watched {
    fn begin(&self) -> Result<Box<dyn Txn + '_>, StoreError> {
        let txn = self.see(self.store.begin())?;
        Ok(Box::new(WatchedTxn { txn, store: self }))
    }
}

struct WatchedTxn<'a> {
    txn: Box<dyn Txn + 'a>,
    store: &'a Watched,
}

impl Read for WatchedTxn<'_> {
    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Value>, StoreError> {
        self.store.see(self.txn.get(table, key))
    }

    fn scan(&self, table: &str, prefix: &[u8], from: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.store.see(self.txn.scan(table, prefix, from, visit))
    }
}

impl Txn for WatchedTxn<'_> {
    fn put(&mut self, table: &str, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.store.see(self.txn.put(table, key, value))
    }

    fn delete(&mut self, table: &str, key: &[u8]) -> Result<(), StoreError> {
        self.store.see(self.txn.delete(table, key))
    }

    fn commit(self: Box<Self>) -> Result<Durable, StoreError> {
        let Self { txn, store } = *self;
        store.see(txn.commit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_store::{Aftermath, FailingStore, MemStore, update};

    #[test]
    fn a_failed_sync_stops_the_node_even_where_the_error_is_ignored() {
        let fatal = Fatal::default();
        let failing = Arc::new(FailingStore::new(Arc::new(MemStore::new())));
        let store = Watched::new(Arc::clone(&failing) as Arc<dyn Store>, fatal.clone());
        let put = || update(&store, |txn| txn.put("t", b"k", b"v"));
        assert!(put().is_ok());
        assert_eq!(fatal.reason(), None);
        failing.fail_commit_after(0, Aftermath::Lost);
        let _ignored = put();
        let reason = fatal.reason().unwrap().to_owned();
        assert!(reason.contains("sync"), "{reason}");
        fatal.stop("another");
        assert_eq!(fatal.reason(), Some(reason.as_str()), "the first reason counts");
    }

    #[test]
    fn an_ordinary_refusal_does_not() {
        let fatal = Fatal::default();
        let store = Watched::new(Arc::new(MemStore::new()), fatal.clone());
        assert!(update(&store, |txn| txn.put("", b"k", b"v")).is_err());
        assert_eq!(fatal.reason(), None);
    }
}
