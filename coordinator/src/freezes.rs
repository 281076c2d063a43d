//! The freeze orders this coordinator obeys, and the nodes that must.

use quorate_freeze::{FrozenSet, SignedFreeze};
use quorate_store::Read;
use quorate_types::{NodeId, Role};

use crate::coordinator::Coordinator;
use crate::error::{Internal, OpError};
use crate::link::Link;
use crate::records::{FreezeRecord, Record, page};

/// Every order on record. One that cannot be read stops the start: nothing says that it was not a freeze.
pub(crate) fn load(read: &dyn Read) -> Result<FrozenSet, OpError> {
    let mut set = FrozenSet::default();
    for record in page::<FreezeRecord>(read, &[], usize::MAX)? {
        let malformed = |reason: String| Internal::Record {
            table: FreezeRecord::TABLE,
            key: record.scope.to_string(),
            reason,
        };
        let order = SignedFreeze::restore(&record.document, record.hash)
            .map_err(|error| malformed(error.to_string()))?;
        if *order.scope() != record.scope {
            return Err(malformed("it is for another scope".to_owned()).into());
        }
        set.restore(order);
    }
    Ok(set)
}

/// Tells the metrics how much is frozen.
pub(crate) fn measure(set: &FrozenSet) {
    let frozen = set.orders().filter(|order| order.is_freeze()).count();
    metrics::gauge!("quorate_frozen_scopes").set(frozen as f64);
}

/// Whether a node takes part in signatures, and so in freezing them.
pub(crate) fn decides(core: &Coordinator, node: &NodeId) -> bool {
    let pinned = core.pinned.load();
    pinned.manifest().node(node).is_some_and(|entry| entry.role != Role::Cold)
}

/// The attached nodes that take part in signatures.
pub(crate) fn deciders(core: &Coordinator) -> Vec<Link> {
    core.nodes.all().into_iter().filter(|link| decides(core, link.node())).collect()
}
