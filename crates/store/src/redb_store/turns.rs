//! Writers that come together share a commit.
//!
//! One writer at a time has its turn. One that is done while others wait leaves what it wrote in the open transaction to
//! them and waits; the last of them, for whom nobody waits, commits for all. So a writer that is alone syncs at once, and
//! those that come while the disk is busy need one sync among them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use redb::{ReadableTable, WriteTransaction};

use super::{COMMITS, META, RedbStore};
use crate::poison::Poison;
use crate::{Durable, StoreError};

/// Most writers that share a commit: the first of them waits for the last.
const TOGETHER: usize = 64;

/// The writers of a store.
#[derive(Default)]
pub(super) struct Turns {
    open: Mutex<Option<Batch>>,
    waiting: AtomicUsize,
}

/// A transaction of redb's, and who is done with it.
pub(super) struct Batch {
    pub(super) txn: WriteTransaction,
    members: usize,
    outcome: Arc<Outcome>,
}

/// What became of a batch.
#[derive(Default)]
pub(super) struct Outcome {
    told: Mutex<Option<Result<(), String>>>,
    tell: Condvar,
}

/// A writer's turn. Whatever it ends with, those who are done with the open transaction get their commit.
pub(super) struct Turn<'a> {
    store: &'a RedbStore,
    open: MutexGuard<'a, Option<Batch>>,
}

impl<'a> Turn<'a> {
    /// Waits for a turn, and for a transaction to write in.
    ///
    /// # Errors
    /// A store that is poisoned, or whose disk failed.
    pub(super) fn wait(store: &'a RedbStore) -> Result<Self, StoreError> {
        store.poison.check()?;
        let mut turn = Self { store, open: store.turns.lock() };
        // The writer this one waited for may have failed.
        store.poison.check()?;
        if turn.open.is_none() {
            *turn.open = Some(Batch { txn: store.begin_redb()?, members: 0, outcome: Arc::default() });
        }
        Ok(turn)
    }

    /// The open transaction, with everything the writers before this one are done with.
    ///
    /// # Errors
    /// A store that is poisoned.
    pub(super) fn txn(&self) -> Result<&WriteTransaction, StoreError> {
        self.store.poison.check()?;
        self.open.as_ref().map(|batch| &batch.txn).ok_or(StoreError::Poisoned)
    }

    /// Ends the turn of a writer that is done, and waits until what it wrote is on disk.
    ///
    /// # Errors
    /// [`StoreError::Sync`], to everyone who was done with the same transaction.
    pub(super) fn commit(mut self) -> Result<Durable, StoreError> {
        let store = self.store;
        let outcome = {
            let batch = self.open.as_mut().ok_or(StoreError::Poisoned)?;
            batch.members += 1;
            Arc::clone(&batch.outcome)
        };
        drop(self);
        outcome.wait(&store.poison)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let shared = |batch: &Batch| {
            batch.members < TOGETHER
                && self.store.turns.waiting.load(Ordering::SeqCst) > 0
                && self.store.poison.check().is_ok()
        };
        // Who waits is counted until it has this lock: it will be here too.
        if self.open.as_ref().is_some_and(|batch| !shared(batch))
            && let Some(batch) = self.open.take()
        {
            batch.end(self.store);
        }
    }
}

impl Turns {
    fn lock(&self) -> MutexGuard<'_, Option<Batch>> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        open
    }

    /// How many wait for their turn.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }
}

impl Batch {
    /// Commits for whoever is done with it. Where nobody is, nothing was written. To be called while the lock is held:
    /// whoever comes next must find the store poisoned where this failed.
    fn end(self, store: &RedbStore) {
        let Self { txn, members, outcome } = self;
        if members == 0 {
            return;
        }
        let told = Told(&outcome);
        let committed = store.poison.check().map_err(|err| err.to_string());
        let committed = committed.and_then(|()| commit(store, txn).map_err(|err| err.to_string()));
        if let Err(reason) = &committed {
            let _for_those_who_come = store.poison.fail(reason);
        }
        told.outcome(committed);
    }
}

fn commit(store: &RedbStore, txn: WriteTransaction) -> Result<(), redb::Error> {
    let count = {
        let mut meta = txn.open_table(META)?;
        let count = meta.get(COMMITS)?.map_or(0, |count| count.value()).saturating_add(1);
        meta.insert(COMMITS, count)?;
        count
    };
    txn.commit()?;
    store.acknowledged.note(count);
    Ok(())
}

impl Outcome {
    fn wait(&self, poison: &Poison) -> Result<Durable, StoreError> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let told = self.tell.wait_while(told, |told| told.is_none()).unwrap_or_else(PoisonError::into_inner);
        match &*told {
            Some(Ok(())) => Ok(Durable::synced()),
            Some(Err(reason)) => Err(poison.fail(reason)),
            None => Err(poison.fail("a commit was given up")),
        }
    }
}

/// The duty to tell how a batch ended. A thread that panics in a commit has told that nobody knows.
struct Told<'a>(&'a Outcome);

impl Told<'_> {
    fn outcome(&self, outcome: Result<(), String>) {
        self.0.told.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(outcome);
        self.0.tell.notify_all();
    }
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        self.outcome(Err("a commit was given up".to_owned()));
    }
}
