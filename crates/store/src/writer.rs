//! One thread that writes. What comes while it waits for the disk is written together, with one sync for all of it: so
//! requests that come together share a commit, and one that is alone waits for nobody.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use crate::nested::Nested;
use crate::{Durable, Store, StoreError, Txn};

/// Most writes that share a commit: the first of them waits for the last.
const TOGETHER: usize = 64;

/// The thread, and the way to it. Dropped, it ends what it was given and lets the store go.
pub struct Writer {
    // Closed before the thread is waited for.
    queue: Option<Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// Where the system has none.
    pub fn new(store: Arc<dyn Store>) -> io::Result<Self> {
        let (queue, jobs) = channel();
        let work = move || serve(store.as_ref(), &jobs);
        let thread = thread::Builder::new().name("store".to_owned()).spawn(work)?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Has `write` run in a transaction of its own, after those before it and before those after it; it reads what they
    /// wrote. Where it returns an error, nothing of it is kept. `done` is called on the thread, once everything is on disk or
    /// will never be, and must not block; where `write` panics, it is dropped instead.
    ///
    /// `write` waits for nothing: those before it wait for it, whether or not they wait for each other. The queue is not
    /// bounded, so callers bound how many of them there are.
    pub fn write<T, E>(
        &self,
        write: impl FnOnce(&mut dyn Txn) -> Result<T, E> + Send + 'static,
        done: impl FnOnce(Result<(T, Durable), E>) + Send + 'static,
    ) where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let job = Box::new(Write { state: State::Waiting(write), done });
        if let Some(queue) = &self.queue {
            // The thread lives as long as this. Were it gone, the job would be dropped, and `done` with it.
            let _queued = queue.send(job);
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            // What it was given last may have been the last to hold this.
            && thread.thread().id() != thread::current().id()
        {
            let _ended = thread.join();
        }
    }
}

/// A write, whatever it returns.
trait Job: Send {
    /// Writes. False where nothing of it is to be kept.
    fn write(&mut self, txn: &mut dyn Txn) -> bool;
    /// Tells how it ended: of one that is kept, what became of the commit.
    fn end(self: Box<Self>, committed: Result<Durable, StoreError>);
}

struct Write<W, D, T, E> {
    state: State<W, T, E>,
    done: D,
}

enum State<W, T, E> {
    Waiting(W),
    Written(Result<T, E>),
    Gone,
}

impl<W, D, T, E> Job for Write<W, D, T, E>
where
    W: FnOnce(&mut dyn Txn) -> Result<T, E> + Send,
    D: FnOnce(Result<(T, Durable), E>) + Send,
    T: Send,
    E: From<StoreError> + Send,
{
    fn write(&mut self, txn: &mut dyn Txn) -> bool {
        let State::Waiting(write) = std::mem::replace(&mut self.state, State::Gone) else { return false };
        let written = write(txn);
        let keep = written.is_ok();
        self.state = State::Written(written);
        keep
    }

    fn end(self: Box<Self>, committed: Result<Durable, StoreError>) {
        let Self { state, done } = *self;
        match (state, committed) {
            (State::Written(Ok(written)), Ok(durable)) => done(Ok((written, durable))),
            (State::Written(Err(error)), _) => done(Err(error)),
            (_, Err(error)) => done(Err(error.into())),
            // It panicked.
            (State::Waiting(_) | State::Gone, Ok(_)) => {}
        }
    }
}

fn serve(store: &dyn Store, jobs: &Receiver<Box<dyn Job>>) {
    while let Ok(first) = jobs.recv() {
        let mut kept = Vec::new();
        let committed = together(store, first, jobs, &mut kept);
        for job in kept {
            job.end(match &committed {
                // A proof for each: they are all of the one commit.
                Ok(()) => Ok(Durable::synced()),
                Err(StoreError::Sync(reason)) => Err(StoreError::Sync(reason.clone())),
                Err(other) => Err(StoreError::Sync(other.to_string())),
            });
        }
    }
}

/// Writes what is there, in one commit. What is given up is told so at once.
fn together(
    store: &dyn Store,
    first: Box<dyn Job>,
    jobs: &Receiver<Box<dyn Job>>,
    kept: &mut Vec<Box<dyn Job>>,
) -> Result<(), StoreError> {
    let mut txn = match store.begin() {
        Ok(txn) => txn,
        Err(error) => {
            kept.push(first);
            return Err(error);
        }
    };
    let mut next = Some(first);
    while let Some(mut job) = next.take() {
        let mut nested = Nested::new(txn.as_mut());
        let written = catch_unwind(AssertUnwindSafe(|| job.write(&mut nested)));
        if written.as_ref().is_ok_and(|keep| *keep) {
            let handed_over = nested.hand_over();
            kept.push(job);
            // Half of it may be there: nothing of this transaction is kept.
            handed_over?;
        } else if written.is_ok() {
            job.end(Err(StoreError::Poisoned));
        }
        next = (kept.len() < TOGETHER).then(|| jobs.try_recv().ok()).flatten();
    }
    if kept.is_empty() { Ok(()) } else { txn.commit().map(drop) }
}
