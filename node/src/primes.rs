//! Safe primes, found ahead of time at the lowest priority, sealed in the store, and used once.

use std::ops::ControlFlow;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use quorate_mpc::{Primes, PrimesError};
use quorate_store::{Store, StoreError, update};
use rand_core::OsRng;
use tokio::sync::Notify;

/// Random name to one set of primes.
const TABLE: &str = "primes";

/// A search that failed to be stored is tried again after this long.
const RETRY: Duration = Duration::from_secs(5);

/// How often the thread looks whether the node still exists while it has nothing to do.
const IDLE: Duration = Duration::from_millis(500);

/// Why there are no primes.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PoolError {
    /// The node is shutting down.
    #[error("primes: the node is shutting down")]
    Stopped,
    /// A stored set is not one, or there is no built-in one.
    #[error("{0}")]
    Primes(#[from] PrimesError),
    /// The system refused a thread.
    #[error("primes: no thread to search on: {0}")]
    Thread(std::io::Error),
    /// The store.
    #[error("primes: {0}")]
    Store(#[from] StoreError),
}

/// How primes are drawn. A fake in tests, where 10 to 110 seconds each are too long.
type Search = fn() -> Primes;

/// The sets found so far. They are used up, one per group this node is enrolled in.
pub(crate) struct PrimesPool(Kind);

enum Kind {
    /// The built-in, public set of this party, again and again.
    #[cfg(feature = "dev")]
    Dev(quorate_types::PartyIndex),
    Found(Arc<Shared>),
}

struct Shared {
    store: Arc<dyn Store>,
    target: u32,
    state: Mutex<State>,
    /// Wakes the searching thread: a set was taken, or the pool is gone.
    wanted: Condvar,
    /// Wakes whoever waits for a set.
    found: Notify,
}

#[derive(Default)]
struct State {
    ready: u32,
    waiting: u32,
    stopped: bool,
}

impl PrimesPool {
    /// The pool of a dev node: built-in primes, which everybody knows. Nothing is searched or stored.
    #[cfg(feature = "dev")]
    pub(crate) const fn dev(party: quorate_types::PartyIndex) -> Self {
        Self(Kind::Dev(party))
    }

    /// A pool that keeps `target` sets ready in `store`. The searching thread ends with the pool.
    ///
    /// # Errors
    /// The store, or a system that has no thread left.
    pub(crate) fn start(store: Arc<dyn Store>, target: u32) -> Result<Self, PoolError> {
        Self::start_with(store, target, || Primes::generate(&mut OsRng))
    }

    fn start_with(store: Arc<dyn Store>, target: u32, search: Search) -> Result<Self, PoolError> {
        let ready = count(&*store)?;
        let state = Mutex::new(State { ready, ..State::default() });
        let shared = Arc::new(Shared { store, target, state, wanted: Condvar::new(), found: Notify::new() });
        told(ready);
        // The thread holds the pool only while it stores: a search takes minutes, and must not keep a store open that
        // everyone else has left.
        let weak = Arc::downgrade(&shared);
        let thread = thread::Builder::new().name("primes".to_owned());
        thread.spawn(move || keep_searching(&weak, search)).map_err(PoolError::Thread)?;
        Ok(Self(Kind::Found(shared)))
    }

    /// Sets ready now.
    pub(crate) fn ready(&self) -> u32 {
        match &self.0 {
            #[cfg(feature = "dev")]
            Kind::Dev(_) => 1,
            Kind::Found(shared) => shared.state().ready,
        }
    }

    /// Waits until a set is ready. It is not kept for the caller: another may take it.
    ///
    /// # Errors
    /// A node that is shutting down.
    pub(crate) async fn found(&self) -> Result<(), PoolError> {
        match &self.0 {
            #[cfg(feature = "dev")]
            Kind::Dev(_) => Ok(()),
            Kind::Found(shared) => shared.found().await,
        }
    }

    /// Takes one set out of the pool, waiting until one is found. It is deleted, synced, before it is returned: whatever
    /// happens next, no two groups are ever made from it.
    ///
    /// # Errors
    /// The store, or a node that is shutting down.
    pub(crate) async fn take(&self) -> Result<Primes, PoolError> {
        match &self.0 {
            #[cfg(feature = "dev")]
            Kind::Dev(party) => Ok(Primes::dev(*party)?),
            Kind::Found(shared) => shared.take().await,
        }
    }
}

impl Drop for PrimesPool {
    fn drop(&mut self) {
        #[allow(irrefutable_let_patterns, reason = "without the dev feature there is only one kind")]
        if let Kind::Found(shared) = &self.0 {
            shared.state().stopped = true;
            shared.wanted.notify_all();
            shared.found.notify_waiters();
        }
    }
}

/// Counts those who wait, so that the thread searches for them even where the pool is to be empty.
struct Waiting<'a>(&'a Shared);

impl<'a> Waiting<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.state().waiting += 1;
        shared.wanted.notify_all();
        Self(shared)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.state().waiting -= 1;
    }
}

impl Shared {
    // Counters only: a thread that panicked beside them spoiled nothing.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn found(&self) -> Result<(), PoolError> {
        self.wait_for(|| async { Ok((self.state().ready > 0).then_some(())) }).await
    }

    async fn take(self: &Arc<Self>) -> Result<Primes, PoolError> {
        let take = || async {
            let shared = Arc::clone(self);
            tokio::task::spawn_blocking(move || shared.take_stored()).await.map_err(|_| PoolError::Stopped)?
        };
        let primes = self.wait_for(take).await?;
        self.wanted.notify_all();
        Ok(primes)
    }

    /// Looks, again and again, until there is what was looked for.
    async fn wait_for<T, F>(&self, look: impl Fn() -> F) -> Result<T, PoolError>
    where
        F: Future<Output = Result<Option<T>, PoolError>>,
    {
        let _waiting = Waiting::new(self);
        let started = Instant::now();
        loop {
            // Registered before looking, so that a set found in between is not missed.
            let found = self.found.notified();
            if let Some(answer) = look().await? {
                return Ok(answer);
            }
            if self.state().stopped {
                return Err(PoolError::Stopped);
            }
            tracing::info!(
                waited_s = started.elapsed().as_secs(),
                "waiting for safe primes; 10 to 110 s of one core each"
            );
            let _look_again = tokio::time::timeout(Duration::from_secs(10), found).await;
        }
    }

    /// Removes one set, synced, and returns it.
    fn take_stored(&self) -> Result<Option<Primes>, PoolError> {
        let (taken, _synced) = update(&*self.store, |txn| {
            let mut first = None;
            txn.scan(TABLE, &[], &[], &mut |key, _| {
                first = Some(key.to_vec());
                ControlFlow::Break(())
            })?;
            let Some(key) = first else { return Ok::<_, PoolError>(None) };
            let bytes = txn.get(TABLE, &key)?;
            txn.delete(TABLE, &key)?;
            Ok(bytes)
        })?;
        let Some(bytes) = taken else { return Ok(None) };
        let ready = {
            let mut state = self.state();
            state.ready = state.ready.saturating_sub(1);
            state.ready
        };
        told(ready);
        Ok(Some(Primes::from_bytes(&bytes)?))
    }

    fn keep(&self, primes: &Primes) -> Result<(), StoreError> {
        let name = rand::random::<[u8; 16]>();
        let ((), _synced) = update(&*self.store, |txn| txn.put(TABLE, &name, &primes.to_bytes()))?;
        let ready = {
            let mut state = self.state();
            state.ready = state.ready.saturating_add(1);
            state.ready
        };
        told(ready);
        self.found.notify_waiters();
        Ok(())
    }

    /// Waits a moment for work. `Some(true)` where a set is wanted, `None` where the pool is gone.
    fn wants_more(&self) -> Option<bool> {
        let state = self.state();
        let idle = |state: &mut State| !state.stopped && state.ready >= self.target.max(state.waiting);
        let waited =
            self.wanted.wait_timeout_while(state, IDLE, idle).unwrap_or_else(PoisonError::into_inner);
        let state = waited.0;
        if state.stopped { None } else { Some(state.ready < self.target.max(state.waiting)) }
    }
}

fn keep_searching(pool: &Weak<Shared>, search: Search) {
    // Linux gives each thread its own niceness. Best effort: the search is slow either way.
    let _best_effort = rustix::process::nice(19);
    loop {
        match pool.upgrade().and_then(|shared| shared.wants_more()) {
            None => return,
            Some(false) => continue,
            Some(true) => {}
        }
        let started = Instant::now();
        let primes = search();
        let Some(shared) = pool.upgrade() else { return };
        match shared.keep(&primes) {
            Ok(()) => tracing::info!(seconds = started.elapsed().as_secs(), "found a set of safe primes"),
            Err(error) => {
                // A fatal one stops the node; see `fatal`.
                tracing::error!(%error, "safe primes could not be stored");
                thread::sleep(RETRY);
            }
        }
    }
}

fn count(store: &dyn Store) -> Result<u32, StoreError> {
    let mut sets = 0_u32;
    store.scan(TABLE, &[], &[], &mut |_, _| {
        sets = sets.saturating_add(1);
        ControlFlow::Continue(())
    })?;
    Ok(sets)
}

fn told(ready: u32) {
    metrics::gauge!("quorate_node_primes_ready").set(ready);
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_store::MemStore;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn fake() -> Primes {
        static DRAWN: AtomicU32 = AtomicU32::new(0);
        let party = u16::try_from(DRAWN.fetch_add(1, Ordering::SeqCst) % 4).unwrap();
        Primes::dev(party).unwrap()
    }

    async fn until(what: impl Fn() -> bool) {
        for _ in 0..500 {
            if what() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("timed out");
    }

    #[tokio::test]
    async fn a_set_taken_is_gone_after_a_restart() {
        let store: Arc<dyn Store> = Arc::new(MemStore::default());
        let pool = PrimesPool::start_with(Arc::clone(&store), 2, fake).unwrap();
        until(|| pool.ready() == 2).await;
        drop(pool);
        // Nothing more is found from here on.
        let never: Search = || loop {
            thread::park();
        };
        let pool = PrimesPool::start_with(Arc::clone(&store), 2, never).unwrap();
        let one = pool.take().await.unwrap();
        assert_eq!(pool.ready(), 1);
        drop(pool);
        let pool = PrimesPool::start_with(Arc::clone(&store), 2, never).unwrap();
        assert_eq!(pool.ready(), 1);
        let two = pool.take().await.unwrap();
        assert_ne!(*one.to_bytes(), *two.to_bytes());
        assert_eq!(count(&*store).unwrap(), 0);
        let third = tokio::time::timeout(Duration::from_millis(100), pool.take()).await;
        assert!(third.is_err(), "nothing is left to take");
    }

    #[tokio::test]
    async fn one_set_is_never_given_to_two() {
        let pool = Arc::new(PrimesPool::start_with(Arc::new(MemStore::default()), 1, fake).unwrap());
        let takes = (0..4).map(|_| {
            let pool = Arc::clone(&pool);
            tokio::spawn(async move { pool.take().await.unwrap().to_bytes().to_vec() })
        });
        let mut sets = Vec::new();
        for take in takes.collect::<Vec<_>>() {
            sets.push(take.await.unwrap());
        }
        sets.sort();
        sets.dedup();
        assert_eq!(sets.len(), 4, "four different sets");
    }

    #[tokio::test]
    async fn the_thread_stops_with_the_pool_and_lets_the_store_go() {
        let store: Arc<dyn Store> = Arc::new(MemStore::default());
        let pool = PrimesPool::start_with(Arc::clone(&store), 1, fake).unwrap();
        until(|| pool.ready() == 1).await;
        drop(pool);
        until(|| Arc::strong_count(&store) == 1).await;
        assert_eq!(count(&*store).unwrap(), 1, "full, so no more was searched");
    }

    #[tokio::test]
    async fn dev_primes_are_the_built_in_ones() {
        let pool = PrimesPool::dev(1);
        assert_eq!(*pool.take().await.unwrap().to_bytes(), *Primes::dev(1).unwrap().to_bytes());
        assert_eq!(pool.ready(), 1);
    }
}
