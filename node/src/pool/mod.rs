//! Presignatures that wait for their one use, in memory only.
//!
//! An entry belongs to one wallet, key, epoch, pair of nodes and boot of both, and to no policy. It is moved out when it
//! is taken, whatever comes of that: there is no way to put one back. What it was used for is on disk, in [`slots`],
//! before anything made with it leaves this node.

mod ready;
mod shelves;
pub(crate) mod slots;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use quorate_types::{B256, BootId, NodeId, WalletId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

pub(crate) use ready::{Binding, Boots, Ready};
use shelves::Shelves;

use crate::config::PresignaturesConfig;

/// What an entry takes, in bytes, with everything that points to it. A test holds it against the type.
const ENTRY_BYTES: usize = 2048;

/// Presigning sessions at once for each thread they run on: one computes while another waits for its peer.
const SESSIONS_PER_THREAD: usize = 2;

/// The presignatures this node holds.
pub(crate) struct Pool {
    shelves: Mutex<Shelves<Binding, Ready>>,
    began: Instant,
    changed: watch::Sender<()>,
    room: Arc<Semaphore>,
}

impl Pool {
    /// An empty pool, which lets as many sessions presign at once as `threads` can keep busy.
    pub(crate) fn new(config: &PresignaturesConfig, threads: usize) -> Self {
        let total = (config.memory_mib << 20) / ENTRY_BYTES;
        let shelves = Shelves::new(config.per_pair, total, config.ttl_s.saturating_mul(1000));
        Self {
            shelves: Mutex::new(shelves),
            began: Instant::now(),
            changed: watch::Sender::new(()),
            room: Arc::new(Semaphore::new(threads.saturating_mul(SESSIONS_PER_THREAD))),
        }
    }

    /// Leave to presign, where not too many sessions do so already.
    pub(crate) fn leave_to_presign(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.room).try_acquire_owned().ok()
    }

    /// Puts a presignature in. Where its pair has too many, or all of them take too much memory, the oldest goes.
    pub(crate) fn put(&self, id: B256, ready: Ready) {
        let now = self.now();
        self.change(|shelves| shelves.put((id, ready.binding().clone()), ready, now));
    }

    /// Takes the presignature `id`, where it is one for `binding` and was made in this very run of the process.
    pub(crate) fn take(&self, id: &B256, binding: &Binding, boot: BootId) -> Option<Ready> {
        let now = self.now();
        let ready = self.change(|shelves| shelves.take(id, binding, now));
        ready.filter(|ready| ready.boots().own == boot)
    }

    /// Drops what was made with an earlier run of `node`: the other half died with it.
    pub(crate) fn peer_booted(&self, node: &NodeId, boot: BootId) {
        self.change(|shelves| {
            shelves.retain(|ready| ready.boots().peer != *node || ready.boots().theirs == boot)
        });
    }

    /// Drops what is too old.
    pub(crate) fn sweep(&self) {
        let now = self.now();
        self.change(|shelves| shelves.expire(now));
    }

    /// The presignatures made through one coordinator.
    pub(crate) fn made_through(&self, coordinator: &str) -> BTreeSet<(WalletId, B256)> {
        let shelves = self.lock();
        let theirs = shelves.iter().filter(|(_, ready)| ready.coordinator() == coordinator);
        theirs.map(|(id, ready)| (ready.binding().wallet().clone(), *id)).collect()
    }

    /// Hears of changes.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    fn change<R>(&self, change: impl FnOnce(&mut Shelves<Binding, Ready>) -> R) -> R {
        let mut shelves = self.lock();
        let before = shelves.changes();
        let result = change(&mut shelves);
        if shelves.changes() != before {
            metrics::gauge!("quorate_node_presignatures").set(shelves.len() as f64);
            self.changed.send_replace(());
        }
        result
    }

    /// What is on the shelves is whole at every moment, so a thread that panicked beside them spoiled nothing.
    fn lock(&self) -> MutexGuard<'_, Shelves<Binding, Ready>> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// On a clock that cannot be set.
    fn now(&self) -> Duration {
        self.began.elapsed()
    }
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
