//! Obeying a freeze order: written down and obeyed here first, then passed to the nodes, which obey it by themselves.

use std::sync::Arc;
use std::time::Duration;

use quorate_audit::Event;
use quorate_freeze::{FreezeError, SignedFreeze};
use quorate_manifest::SignedDocument;
use quorate_types::NodeId;
use serde_json::json;
use tokio::time::Instant;

use crate::access::Caller;
use crate::coordinator::{Change, Coordinator};
use crate::error::OpError;
use crate::freezes::{deciders, measure};
use crate::push::Push;
use crate::records::{FreezeRecord, put};

/// An order that is obeyed here.
pub(crate) struct Applied {
    pub(crate) order: SignedFreeze,
    /// The nodes that said that they obey it.
    pub(crate) nodes: Vec<NodeId>,
    /// The attached nodes that did not say so in time.
    pub(crate) waiting: Vec<NodeId>,
    pub(crate) took: Duration,
}

/// Obeys an order, and says which nodes do.
///
/// # Errors
/// A conflict where it comes too late, here or at a node.
pub(crate) async fn apply_freeze(
    core: &Coordinator,
    caller: Caller,
    document: SignedDocument,
) -> Result<Applied, OpError> {
    let began = Instant::now();
    let pinned = core.pinned.load_full();
    let order = SignedFreeze::verify(&document, pinned.manifest())
        .map_err(|error| OpError::invalid("order", error))?;
    {
        let _alone = core.changes.lock(&Change::Freezes).await;
        let mut next = (**core.freezes.load()).clone();
        if next.apply(order.clone()).map_err(refused)? {
            write(core, &caller, &order).await?;
            core.freezes.store(Arc::new(next));
        }
    }
    measure(&core.freezes.load());
    let links = deciders(core);
    let nodes = Push::freeze(&order).deliver(&links, core.deadlines.policy()).await?;
    let waiting = links.iter().map(|link| link.node().clone()).filter(|node| !nodes.contains(node)).collect();
    let took = began.elapsed();
    let (scope, freezes, sequence) = (order.scope(), order.is_freeze(), order.sequence());
    tracing::warn!(%scope, freezes, sequence, caller = %caller.0, took_us = took.as_micros(), "freeze order");
    Ok(Applied { order, nodes, waiting, took })
}

async fn write(core: &Coordinator, caller: &Caller, order: &SignedFreeze) -> Result<(), OpError> {
    let said = order.order();
    let event = Event::new("freeze.applied")
        .field("caller", json!(caller.0.to_string()))
        .field("scope", json!(said.scope.to_string()))
        .field("action", json!(said.action.as_str()))
        .field("sequence", json!(said.sequence))
        .field("reason", json!(said.reason))
        .field("hash", json!(order.hash()));
    let record =
        FreezeRecord { scope: said.scope.clone(), hash: order.hash(), document: order.document().clone() };
    let now = core.clock.now();
    let write = core.db.update(move |txn| {
        put(txn, &record)?;
        Ok(quorate_audit::append(txn, now, &event)?)
    });
    let (receipt, synced) = write.await?;
    receipt.confirm(&synced);
    Ok(())
}

fn refused(error: FreezeError) -> OpError {
    match error {
        FreezeError::Stale { .. }
        | FreezeError::Fork { .. }
        | FreezeError::Retired(_)
        | FreezeError::TooMany(_) => OpError::conflict("order", error),
        error => OpError::invalid("order", error),
    }
}
