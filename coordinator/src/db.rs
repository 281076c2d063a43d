//! The store, off the async threads. An error after which the disk cannot be trusted stops the process.

use std::ops::ControlFlow;
use std::sync::Arc;

use quorate_store::{Durable, Read, Store, Txn};
use tokio_util::sync::CancellationToken;

use crate::error::OpError;

/// The coordinator's store.
#[derive(Clone)]
pub(crate) struct Db {
    store: Arc<dyn Store>,
    broken: CancellationToken,
}

impl Db {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, broken: CancellationToken::new() }
    }

    /// Cancelled once a sync has failed: nothing said after that could be trusted to be on disk.
    pub(crate) fn broken(&self) -> &CancellationToken {
        &self.broken
    }

    /// Reads.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Read) -> Result<T, OpError> + Send + 'static,
    ) -> Result<T, OpError> {
        let store = self.store.clone();
        self.blocking(move || read(store.as_ref())).await
    }

    /// Writes in one transaction, which is on disk when this returns.
    pub(crate) async fn update<T: Send + 'static>(
        &self,
        write: impl FnOnce(&mut dyn Txn) -> Result<T, OpError> + Send + 'static,
    ) -> Result<(T, Durable), OpError> {
        let store = self.store.clone();
        self.blocking(move || quorate_store::update(store.as_ref(), write)).await
    }

    /// Writes in one transaction, which is on disk when this returns; or, where `write` breaks, writes nothing.
    pub(crate) async fn update_or_leave<T: Send + 'static, B: Send + 'static>(
        &self,
        write: impl FnOnce(&mut dyn Txn) -> Result<ControlFlow<B, T>, OpError> + Send + 'static,
    ) -> Result<ControlFlow<B, (T, Durable)>, OpError> {
        let store = self.store.clone();
        let work = move || {
            let mut txn = store.begin()?;
            match write(txn.as_mut())? {
                ControlFlow::Continue(written) => Ok(ControlFlow::Continue((written, txn.commit()?))),
                ControlFlow::Break(left) => Ok(ControlFlow::Break(left)),
            }
        };
        self.blocking(work).await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, OpError> + Send + 'static,
    ) -> Result<T, OpError> {
        let done = tokio::task::spawn_blocking(work).await;
        let done = done.map_err(|error| OpError::defect(format!("a store task died: {error}")))?;
        if let Err(error) = &done
            && error.is_fatal()
        {
            tracing::error!(%error, "the store can no longer be trusted, stopping");
            self.broken.cancel();
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_store::{Aftermath, FailingStore, MemStore};

    #[tokio::test]
    async fn a_failed_sync_breaks_it_for_good_and_a_failed_read_does_not() {
        let failing = Arc::new(FailingStore::new(Arc::new(MemStore::new())));
        let db = Db::new(failing.clone());
        failing.fail_reads(true);
        let read = db.read(|read| Ok(read.get("t", b"k")?.is_some())).await;
        assert!(read.is_err() && !db.broken().is_cancelled());
        failing.fail_reads(false);
        failing.fail_commit_after(0, Aftermath::Lost);
        let written = db.update(|txn| Ok(txn.put("t", b"k", b"v")?)).await;
        assert!(written.is_err() && db.broken().is_cancelled());
    }
}
