//! Alerts that did not arrive.

use quorate_audit::Event;
use serde_json::json;

use crate::access::Caller;
use crate::alerts::Dead;
use crate::coordinator::Coordinator;
use crate::error::OpError;

/// Those that are put aside, by receiver and oldest first.
pub(crate) async fn list(core: &Coordinator) -> Result<Vec<Dead>, OpError> {
    core.outbox.dead(core).await
}

/// Sends a receiver's again, and says how many.
pub(crate) async fn retry(core: &Coordinator, caller: &Caller, receiver: &str) -> Result<usize, OpError> {
    let count = core.outbox.retry(core, receiver).await?;
    let event = Event::new("alerts.retried")
        .field("caller", json!(caller.0.to_string()))
        .field("receiver", json!(receiver))
        .field("count", json!(count));
    let now = core.clock.now();
    let (receipt, synced) = core.db.update(move |txn| Ok(quorate_audit::append(txn, now, &event)?)).await?;
    receipt.confirm(&synced);
    Ok(count)
}
