//! The threads the heavy maths runs on: few, and apart from those that answer the network.

use std::future::Future;
use std::io;

use tokio::runtime::{Builder, Runtime};
use tokio_util::task::AbortOnDropHandle;

/// A protocol did not finish on its own: it panicked, or the pool is shutting down.
#[derive(Debug, thiserror::Error)]
#[error("the protocol stopped: {0}")]
pub(crate) struct Stopped(String);

/// How far threads in the background stand back: the system runs them on what the others leave.
const NICE: i32 = 10;

/// A bounded pool for protocols. A protocol waits for messages without holding a thread.
pub(crate) struct Maths(Option<Runtime>);

impl Maths {
    /// A pool of `threads` threads, at least one.
    pub(crate) fn new(threads: usize) -> io::Result<Self> {
        Ok(Self(Some(pool(threads, "maths").build()?)))
    }

    /// The same, at a low priority: a signature is never kept waiting by what runs here.
    pub(crate) fn background(threads: usize) -> io::Result<Self> {
        let stand_back = || {
            // Linux gives each thread its own niceness. Best effort: the number of threads is bounded either way.
            let _best_effort = rustix::process::nice(NICE);
        };
        Ok(Self(Some(pool(threads, "presign").on_thread_start(stand_back).build()?)))
    }

    /// Starts `protocol`. Dropping the handle stops it at its next message.
    pub(crate) fn start<T: Send + 'static>(
        &self,
        protocol: impl Future<Output = T> + Send + 'static,
    ) -> Running<T> {
        Running(self.0.as_ref().map(|runtime| AbortOnDropHandle::new(runtime.spawn(protocol))))
    }
}

fn pool(threads: usize, name: &str) -> Builder {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(threads.max(1)).max_blocking_threads(1).thread_name(name);
    builder
}

impl Drop for Maths {
    fn drop(&mut self) {
        // A runtime dropped inside another one panics unless it is told not to wait.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// A protocol on the pool.
pub(crate) struct Running<T>(Option<AbortOnDropHandle<T>>);

impl<T> Running<T> {
    /// Waits for the protocol's result. Cancel-safe.
    pub(crate) async fn result(&mut self) -> Result<T, Stopped> {
        match self.0.as_mut() {
            Some(handle) => handle.await.map_err(|error| Stopped(error.to_string())),
            None => Err(Stopped("the pool is shut down".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_background_stands_back() {
        let niceness = || async { rustix::process::nice(0).unwrap() };
        let front = Maths::new(1).unwrap().start(niceness()).result().await.unwrap();
        let back = Maths::background(1).unwrap().start(niceness()).result().await.unwrap();
        assert_eq!(back, (front + NICE).min(19));
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_the_pool_goes_on() {
        let maths = Maths::new(1).unwrap();
        let stopped = maths.start(async { panic!("boom") }).result().await;
        let stopped: Result<(), Stopped> = stopped;
        assert!(stopped.unwrap_err().to_string().contains("panicked"));
        assert_eq!(maths.start(async { 7 }).result().await.unwrap(), 7);
    }
}
