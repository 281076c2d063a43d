//! The manifest this coordinator goes by: the one it pinned last, or at its first start the one it is configured with.

use quorate_audit::Event;
use quorate_manifest::{ManifestError, PersonKey, Pinned, SignedDocument};
use quorate_store::{Read, Store, Txn};
use quorate_types::UnixMillis;
use serde_json::json;

use crate::error::OpError;
use crate::records::{ManifestRecord, manifests_after, put};

/// Why no manifest could be pinned.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PinError {
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error(transparent)]
    Record(#[from] OpError),
}

impl From<quorate_store::StoreError> for PinError {
    fn from(error: quorate_store::StoreError) -> Self {
        Self::Record(error.into())
    }
}

/// Pins. A configured manifest that is later than the pinned one must be signed by the pinned one's operators, and one
/// that is earlier changes nothing: it is what the coordinator was installed with.
pub(crate) fn pin(
    store: &dyn Store,
    configured: &SignedDocument,
    roots: &[PersonKey],
    now: UnixMillis,
) -> Result<Pinned, PinError> {
    let Some(last) = manifests_after(store, 0)?.pop() else {
        let first = Pinned::enrol(configured, roots)?;
        keep(store, &first, now)?;
        return Ok(first);
    };
    let pinned = Pinned::restore(&last.document, last.hash)?;
    match pinned.advance(configured) {
        Ok(next) if next.hash() == pinned.hash() => Ok(pinned),
        Ok(next) => {
            keep(store, &next, now)?;
            Ok(next)
        }
        // Whoever signed it then need not be an operator now: only its version says that it is an earlier one.
        Err(_) if version_of(configured)? < pinned.manifest().version() => Ok(pinned),
        Err(error) => Err(error.into()),
    }
}

fn version_of(document: &SignedDocument) -> Result<u64, ManifestError> {
    quorate_manifest::Manifest::parse(&document.body).map(|manifest| manifest.version())
}

fn keep(store: &dyn Store, pinned: &Pinned, now: UnixMillis) -> Result<(), PinError> {
    let record = record_of(pinned);
    let event = Event::new("manifest.pinned")
        .field("version", json!(record.version))
        .field("hash", json!(record.hash));
    let (receipt, synced) = quorate_store::update(store, |txn: &mut dyn Txn| {
        put(txn, &record)?;
        Ok::<_, OpError>(quorate_audit::append(txn, now, &event)?)
    })?;
    receipt.confirm(&synced);
    Ok(())
}

/// A pinned manifest as it is kept.
pub(crate) fn record_of(pinned: &Pinned) -> ManifestRecord {
    ManifestRecord {
        version: pinned.manifest().version(),
        hash: pinned.hash(),
        document: pinned.document().clone(),
    }
}

/// The manifests a node at `version` has not seen, in the order it must see them.
pub(crate) fn unseen(read: &dyn Read, version: u64) -> Result<Vec<ManifestRecord>, OpError> {
    manifests_after(read, version)
}
