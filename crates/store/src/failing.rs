//! A store whose disk fails on command, for tests.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::{Durable, Read, Store, StoreError, Txn, Value, Visit};

/// What is found after a restart, where a sync had failed. A disk may do either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aftermath {
    /// the write is there: it reached the disk, and only the answer was lost
    Kept,
    /// the write is gone
    Lost,
}

/// A store over another one, whose n-th commit fails. From then on every call fails, as with a real failed sync.
pub struct FailingStore {
    inner: Arc<dyn Store>,
    plan: Mutex<Option<(u32, Aftermath)>>,
    unreadable: AtomicBool,
    poisoned: AtomicBool,
}

impl FailingStore {
    /// A store over `inner` that works until told otherwise.
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self {
            inner,
            plan: Mutex::new(None),
            unreadable: AtomicBool::new(false),
            poisoned: AtomicBool::new(false),
        }
    }

    /// From now on, `n` more commits succeed and the next one fails. 0 fails the very next one.
    pub fn fail_commit_after(&self, n: u32, aftermath: Aftermath) {
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = Some((n, aftermath));
    }

    /// From now on reads fail, or work again. This is not fatal: an unreadable disk loses nothing.
    pub fn fail_reads(&self, fail: bool) {
        self.unreadable.store(fail, Ordering::SeqCst);
    }

    /// The process starts again on the same disk: nothing fails any more.
    pub fn restart(&self) -> Self {
        Self::new(self.inner.clone())
    }

    fn alive(&self) -> Result<(), StoreError> {
        if self.poisoned.load(Ordering::SeqCst) { Err(StoreError::Poisoned) } else { Ok(()) }
    }

    fn readable(&self) -> Result<(), StoreError> {
        self.alive()?;
        if self.unreadable.load(Ordering::SeqCst) {
            return Err(StoreError::Corrupt("a read failed on command".to_owned()));
        }
        Ok(())
    }

    /// Counts a commit; `Some` where this is the one that fails.
    fn failing_now(&self) -> Option<Aftermath> {
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        match plan.as_mut()? {
            (0, aftermath) => Some(*aftermath),
            (left, _) => {
                *left -= 1;
                None
            }
        }
    }
}

impl Read for FailingStore {
    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Value>, StoreError> {
        self.readable()?;
        self.inner.get(table, key)
    }

    fn scan(&self, table: &str, prefix: &[u8], from: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.readable()?;
        self.inner.scan(table, prefix, from, visit)
    }
}

impl Store for FailingStore {
    fn begin(&self) -> Result<Box<dyn Txn + '_>, StoreError> {
        self.alive()?;
        let inner = self.inner.begin()?;
        // Another thread's commit may have failed while this one waited for its turn.
        self.alive()?;
        Ok(Box::new(FailingTxn { store: self, inner }))
    }
}

struct FailingTxn<'a> {
    store: &'a FailingStore,
    inner: Box<dyn Txn + 'a>,
}

impl Read for FailingTxn<'_> {
    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Value>, StoreError> {
        self.store.readable()?;
        self.inner.get(table, key)
    }

    fn scan(&self, table: &str, prefix: &[u8], from: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.store.readable()?;
        self.inner.scan(table, prefix, from, visit)
    }
}

impl Txn for FailingTxn<'_> {
    fn put(&mut self, table: &str, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.inner.put(table, key, value)
    }

    fn delete(&mut self, table: &str, key: &[u8]) -> Result<(), StoreError> {
        self.inner.delete(table, key)
    }

    fn commit(self: Box<Self>) -> Result<Durable, StoreError> {
        let Some(aftermath) = self.store.failing_now() else { return self.inner.commit() };
        // Poisoned before the writer's lock is let go, so that nobody slips in between.
        self.store.poisoned.store(true, Ordering::SeqCst);
        if aftermath == Aftermath::Kept {
            let _on_disk_but_never_told = self.inner.commit()?;
        }
        Err(StoreError::Sync("a sync failed on command".to_owned()))
    }
}
