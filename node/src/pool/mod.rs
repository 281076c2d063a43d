//! Presignatures that wait for their one use, in memory only.
//!
//! An entry belongs to one wallet, key, epoch, pair of nodes and boot of both, and to no policy. It is moved out when it
//! is taken, whatever comes of that: there is no way to put one back. What it was used for is on disk, in [`slots`],
//! before anything made with it leaves this node.

mod ear;
mod ready;
mod shelves;
pub(crate) mod slots;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use quorate_types::{B256, BootId, NodeId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(crate) use ear::{Ear, News};
pub(crate) use ready::{Binding, Boots, Ready};
use shelves::{Labelled, Shelves};

use crate::config::PresignaturesConfig;

/// What an entry takes, in bytes, with everything that points to it. A test holds it against the type.
const ENTRY_BYTES: usize = 2048;

/// Presigning sessions at once for each thread they run on: one computes while another waits for its peer.
const SESSIONS_PER_THREAD: usize = 2;

/// The presignatures this node holds.
pub(crate) struct Pool {
    held: Mutex<Held>,
    began: Instant,
    room: Arc<Semaphore>,
    dealt: bool,
}

/// What is there, and who is told what comes and goes.
struct Held {
    shelves: Shelves<Binding, Ready>,
    ears: Vec<Weak<Ear>>,
}

impl Pool {
    /// An empty pool, which lets as many sessions presign at once as `threads` can keep busy.
    pub(crate) fn new(config: &PresignaturesConfig, threads: usize) -> Self {
        let total = (config.memory_mib << 20) / ENTRY_BYTES;
        let shelves = Shelves::new(config.per_pair, total, config.ttl_s.saturating_mul(1000));
        Self {
            held: Mutex::new(Held { shelves, ears: Vec::new() }),
            began: Instant::now(),
            room: Arc::new(Semaphore::new(threads.saturating_mul(SESSIONS_PER_THREAD))),
            dealt: config.dealt,
        }
    }

    /// Whether they are dealt, to measure what they are for.
    pub(crate) const fn dealt(&self) -> bool {
        self.dealt
    }

    /// Leave to presign, where not too many sessions do so already.
    pub(crate) fn leave_to_presign(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.room).try_acquire_owned().ok()
    }

    /// Puts a presignature in. Where its pair has too many, or all of them take too much memory, the oldest goes.
    pub(crate) fn put(&self, id: B256, ready: Ready) {
        let (now, label) = (self.now(), ready.label());
        let mut held = self.lock();
        if held.shelves.put((id, ready.binding().clone()), ready, now) {
            held.tell(&label, id, true);
        }
        held.changed();
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

    /// An ear for what is made through one coordinator, which hears first of all that is there.
    pub(crate) fn listen(&self, coordinator: &str) -> Arc<Ear> {
        let mut held = self.lock();
        let theirs = held.shelves.iter().filter(|(_, ready)| &**ready.coordinator() == coordinator);
        let there = theirs.map(|(id, ready)| ((ready.binding().wallet().clone(), *id), true)).collect();
        let ear = Arc::new(Ear::new(coordinator, there));
        held.ears.retain(|ear| ear.strong_count() > 0);
        held.ears.push(Arc::downgrade(&ear));
        ear
    }

    fn change<R>(&self, change: impl FnOnce(&mut Shelves<Binding, Ready>) -> R) -> R {
        let mut held = self.lock();
        let result = change(&mut held.shelves);
        held.changed();
        result
    }

    /// What is on the shelves is whole at every moment, so a thread that panicked beside them spoiled nothing.
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// On a clock that cannot be set.
    fn now(&self) -> Duration {
        self.began.elapsed()
    }
}

impl Held {
    fn tell(&self, (coordinator, wallet): &<Ready as Labelled>::Label, id: B256, came: bool) {
        for ear in self.ears.iter().filter_map(Weak::upgrade) {
            ear.hear(coordinator, (wallet, id, came));
        }
    }

    /// Tells what went, and how many there are.
    fn changed(&mut self) {
        for (id, label) in self.shelves.gone() {
            self.tell(&label, id, false);
        }
        metrics::gauge!("quorate_node_presignatures").set(self.shelves.len() as f64);
    }
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
