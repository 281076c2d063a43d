//! The store, off the async threads. An error after which the disk cannot be trusted stops the process.

use std::io;
use std::ops::ControlFlow;
use std::sync::{Arc, Weak};

use quorate_store::{Durable, Read, Store, StoreError, Txn, Writer};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::error::OpError;

/// The coordinator's store.
#[derive(Clone)]
pub(crate) struct Db {
    store: Arc<dyn Store>,
    writer: Arc<Writer>,
    broken: CancellationToken,
    /// Told of each write that is on disk.
    written: watch::Sender<()>,
}

impl Db {
    /// Starts the thread that writes.
    pub(crate) fn new(store: Arc<dyn Store>) -> io::Result<Self> {
        let writer = Arc::new(Writer::new(Arc::clone(&store))?);
        let (written, _) = watch::channel(());
        Ok(Self { store, writer, broken: CancellationToken::new(), written })
    }

    /// Tells whether anybody still has the store open.
    pub(crate) fn handle(&self) -> Weak<dyn Store> {
        Arc::downgrade(&self.store)
    }

    /// Changes with each write that is on disk.
    pub(crate) fn written(&self) -> watch::Receiver<()> {
        self.written.subscribe()
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
        self.write(write, |error: &OpError| error.is_fatal()).await
    }

    /// The same; or, where `write` breaks, writes nothing.
    pub(crate) async fn update_or_leave<T: Send + 'static, B: Send + 'static>(
        &self,
        write: impl FnOnce(&mut dyn Txn) -> Result<ControlFlow<B, T>, OpError> + Send + 'static,
    ) -> Result<ControlFlow<B, (T, Durable)>, OpError> {
        let write = move |txn: &mut dyn Txn| match write(txn)? {
            ControlFlow::Continue(written) => Ok(written),
            ControlFlow::Break(left) => Err(Left::As(left)),
        };
        let fatal = |left: &Left<B>| matches!(left, Left::Failed(error) if error.is_fatal());
        match self.write(write, fatal).await {
            Ok(written) => Ok(ControlFlow::Continue(written)),
            Err(Left::As(left)) => Ok(ControlFlow::Break(left)),
            Err(Left::Failed(error)) => Err(error),
        }
    }

    async fn write<T: Send + 'static, E: From<StoreError> + From<OpError> + Send + 'static>(
        &self,
        write: impl FnOnce(&mut dyn Txn) -> Result<T, E> + Send + 'static,
        is_fatal: fn(&E) -> bool,
    ) -> Result<(T, Durable), E> {
        let ((tell, told), db) = (oneshot::channel(), self.broken.clone());
        let written = self.written.clone();
        self.writer.write(write, move |done: Result<(T, Durable), E>| {
            // Also where nobody listens any more.
            if done.as_ref().is_err_and(is_fatal) {
                broken(&db);
            }
            if done.is_ok() {
                written.send_replace(());
            }
            drop(tell.send(done));
        });
        told.await.unwrap_or_else(|_| Err(OpError::defect("a write died").into()))
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, OpError> + Send + 'static,
    ) -> Result<T, OpError> {
        let done = tokio::task::spawn_blocking(work).await;
        let done = done.map_err(|error| OpError::defect(format!("a store task died: {error}")))?;
        if done.as_ref().is_err_and(OpError::is_fatal) {
            broken(&self.broken);
        }
        done
    }
}

fn broken(token: &CancellationToken) {
    tracing::error!("the store can no longer be trusted, stopping");
    token.cancel();
}

/// Why nothing was written.
enum Left<B> {
    As(B),
    Failed(OpError),
}

impl<B> From<StoreError> for Left<B> {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl<B> From<OpError> for Left<B> {
    fn from(error: OpError) -> Self {
        Self::Failed(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_store::{Aftermath, FailingStore, MemStore};

    #[tokio::test]
    async fn a_failed_sync_breaks_it_for_good_and_a_failed_read_does_not() {
        let failing = Arc::new(FailingStore::new(Arc::new(MemStore::new())));
        let db = Db::new(failing.clone()).unwrap();
        failing.fail_reads(true);
        let read = db.read(|read| Ok(read.get("t", b"k")?.is_some())).await;
        assert!(read.is_err() && !db.broken().is_cancelled());
        failing.fail_reads(false);
        failing.fail_commit_after(0, Aftermath::Lost);
        let written = db.update(|txn| Ok(txn.put("t", b"k", b"v")?)).await;
        assert!(written.is_err() && db.broken().is_cancelled());
    }
}
