//! One synced transaction, off the threads that answer the network.

use std::sync::Arc;

use quorate_store::{Durable, Txn};
use tokio::sync::oneshot;

use super::SessionError;
use crate::node::Node;

/// Runs `work` in one transaction and returns once it is synced, with the proof that it is. Sessions that come together
/// share the sync.
///
/// # Errors
/// What `work` returns; [`SessionError::Fatal`] where the sync failed.
pub(crate) async fn commit<T: Send + 'static>(
    node: &Arc<Node>,
    work: impl FnOnce(&Node, &mut dyn Txn) -> Result<T, SessionError> + Send + 'static,
) -> Result<(T, Durable), SessionError> {
    let ((tell, told), at) = (oneshot::channel(), Arc::clone(node));
    node.writer.write(move |txn| work(&at, txn), move |done| drop(tell.send(done)));
    told.await.map_err(|_| SessionError::Bug("a write died".to_owned()))?
}
