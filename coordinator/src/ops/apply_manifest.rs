//! Replacing the manifest by a later version, signed by the operators of the present one.

use std::sync::Arc;

use quorate_audit::Event;
use quorate_manifest::{ManifestError, Pinned, SignedDocument};
use serde_json::json;

use crate::access::Caller;
use crate::coordinator::{Change, Coordinator};
use crate::error::OpError;
use crate::pin::record_of;
use crate::push::Push;
use crate::records::put;

/// Pins the next manifest, and gives it to every node of it. Nodes it no longer lists are let go.
pub(crate) async fn apply_manifest(
    core: &Coordinator,
    caller: Caller,
    document: SignedDocument,
) -> Result<Arc<Pinned>, OpError> {
    let _alone = core.changes.lock(&Change::Manifest).await;
    let present = core.pinned.load_full();
    let next = Arc::new(present.advance(&document).map_err(refused)?);
    let record = record_of(&next);
    if next.hash() != present.hash() {
        let now = core.clock.now();
        let event = Event::new("manifest.applied")
            .field("caller", json!(caller.0.to_string()))
            .field("version", json!(record.version))
            .field("hash", json!(record.hash));
        let kept = record.clone();
        let write = core.db.update(move |txn| {
            put(txn, &kept)?;
            Ok(quorate_audit::append(txn, now, &event)?)
        });
        let (receipt, synced) = write.await?;
        receipt.confirm(&synced);
        core.pinned.store(next.clone());
    }
    let (listed, unlisted): (Vec<_>, Vec<_>) =
        core.nodes.all().into_iter().partition(|link| next.manifest().node(link.node()).is_some());
    unlisted.iter().for_each(|link| link.close());
    Push::manifest(&record).deliver(&listed, core.deadlines.policy()).await?;
    Ok(next)
}

fn refused(error: ManifestError) -> OpError {
    match error {
        ManifestError::Rollback { .. } | ManifestError::Fork { .. } | ManifestError::Changed { .. } => {
            OpError::conflict("manifest", error)
        }
        error => OpError::invalid("manifest", error),
    }
}
