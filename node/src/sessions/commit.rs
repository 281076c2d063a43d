//! One synced transaction, off the threads that answer the network.

use std::sync::Arc;

use quorate_store::{Durable, Txn, update};

use super::SessionError;
use crate::node::Node;

/// Runs `work` in one transaction and returns once it is synced, with the proof that it is.
///
/// # Errors
/// What `work` returns; [`SessionError::Fatal`] where the sync failed.
pub(crate) async fn commit<T: Send + 'static>(
    node: &Arc<Node>,
    work: impl FnOnce(&Node, &mut dyn Txn) -> Result<T, SessionError> + Send + 'static,
) -> Result<(T, Durable), SessionError> {
    let node = Arc::clone(node);
    tokio::task::spawn_blocking(move || update(&*node.store, |txn| work(&node, txn)))
        .await
        .map_err(|error| SessionError::Bug(format!("a store task stopped: {error}")))?
}
