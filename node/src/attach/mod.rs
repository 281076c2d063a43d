//! The node dials out: one task per coordinator, which keeps one stream attached and comes back when it ends.

mod backoff;
mod error;
mod paperwork;
mod stock;
mod stream;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use quorate_transport::{Expect, Identity, PeerRole, connect};
use tokio_util::sync::CancellationToken;

use crate::config::CoordinatorConfig;
use crate::node::Node;
use backoff::Backoff;
use error::AttachError;
use stream::Stream;

/// How many coordinators this node is attached to right now.
#[derive(Clone, Default)]
pub(crate) struct Attached(Arc<AtomicUsize>);

impl Attached {
    /// How many.
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    fn enter(&self) -> Here {
        tell(self.0.fetch_add(1, Ordering::SeqCst).saturating_add(1));
        Here(self.clone())
    }
}

/// One attached stream, counted while it lives.
struct Here(Attached);

impl Drop for Here {
    fn drop(&mut self) {
        tell(self.0.0.fetch_sub(1, Ordering::SeqCst).saturating_sub(1));
    }
}

fn tell(count: usize) {
    metrics::gauge!("quorate_node_attached").set(u32::try_from(count).unwrap_or(u32::MAX));
}

/// One coordinator, and what is needed to dial it.
pub(crate) struct Dial {
    /// Which.
    pub(crate) coordinator: CoordinatorConfig,
    /// Who we are.
    pub(crate) identity: Arc<Identity>,
    /// How long a connection may take to come up.
    pub(crate) timeout: Duration,
    /// Counts the streams that are up.
    pub(crate) attached: Attached,
}

impl Dial {
    /// Keeps a stream attached until `stop`.
    pub(crate) async fn run(self, node: Arc<Node>, stop: CancellationToken) {
        let mut backoff = Backoff::new();
        let coordinator = &self.coordinator.id;
        loop {
            let ended = tokio::select! {
                () = stop.cancelled() => return,
                ended = Box::pin(self.attach(&node, &mut backoff)) => ended,
            };
            let wait = backoff.next(&mut rand::thread_rng());
            metrics::counter!("quorate_node_streams_ended").increment(1);
            tracing::warn!(%coordinator, reason = %ended, again_in = ?wait, "not attached");
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// One stream, from dialling to its end.
    async fn attach(&self, node: &Arc<Node>, backoff: &mut Backoff) -> AttachError {
        let stream = match self.open(node).await {
            Ok(stream) => stream,
            Err(error) => return error,
        };
        backoff.reset();
        let _counted = self.attached.enter();
        tracing::info!(coordinator = %self.coordinator.id, "attached");
        stream.serve(node, &self.coordinator.id).await
    }

    async fn open(&self, node: &Arc<Node>) -> Result<Stream, AttachError> {
        let expect = Expect { role: PeerRole::Coordinator, id: Some(self.coordinator.id.clone()) };
        let identity = Arc::clone(&self.identity);
        let channel = connect(&self.coordinator.address, identity, expect, self.timeout).await?;
        let opened = tokio::time::timeout(self.timeout, Stream::open(node, channel)).await;
        opened.map_err(|_| AttachError::Silent(self.timeout))?
    }
}
