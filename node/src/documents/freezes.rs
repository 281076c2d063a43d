//! Freeze orders: the one that counts for each scope this node has seen an order for.

use std::ops::ControlFlow;
use std::sync::Arc;

use quorate_audit::Event;
use quorate_freeze::{FrozenSet, SignedFreeze};
use quorate_manifest::SignedDocument;
use quorate_store::{Store, update};
use quorate_types::Role;

use super::record::Record;
use super::{Documents, DocumentsError};

/// Scope to the order that counts for it.
const TABLE: &str = "documents.freeze";
const KIND: &str = "freeze order";

/// Reads every order back. One that cannot be read stops the start: nothing says that it was not a freeze.
pub(super) fn load(store: &dyn Store) -> Result<FrozenSet, DocumentsError> {
    let mut set = FrozenSet::default();
    let mut outcome = Ok(());
    store.scan(TABLE, &[], &[], &mut |key, value| match read(&mut set, key, value) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            outcome = Err(error);
            ControlFlow::Break(())
        }
    })?;
    outcome.map(|()| set)
}

fn read(set: &mut FrozenSet, key: &[u8], value: &[u8]) -> Result<(), DocumentsError> {
    let record = Record::decode(value, KIND)?;
    let order = SignedFreeze::restore(&record.document, record.hash)?;
    if order.scope().to_string().as_bytes() != key {
        return Err(DocumentsError::Malformed(KIND));
    }
    set.restore(order);
    Ok(())
}

impl Documents {
    /// Obeys an order: synced first. One that counts already is no change.
    ///
    /// # Errors
    /// Where it does not verify, comes after one that counts more, or cannot be synced; always on a cold node.
    pub(crate) fn put_freeze(&self, document: &SignedDocument) -> Result<SignedFreeze, DocumentsError> {
        if self.expected.role == Role::Cold {
            return Err(DocumentsError::Cold);
        }
        let _changing = self.change();
        let order = SignedFreeze::verify(document, self.manifest().manifest())?;
        let mut next = (*self.frozen()).clone();
        if next.apply(order.clone())? {
            self.write(&order)?;
            self.frozen.store(Arc::new(next));
            let (scope, freezes, sequence) = (order.scope(), order.is_freeze(), order.sequence());
            tracing::warn!(%scope, freezes, sequence, "freeze order");
        }
        Ok(order)
    }

    fn write(&self, order: &SignedFreeze) -> Result<(), DocumentsError> {
        let said = order.order();
        let record = Record::new(said.sequence, order.hash(), order.document()).encode(KIND)?;
        let event = Event::new("freeze.enforced")
            .field("scope", said.scope.to_string())
            .field("action", said.action.as_str())
            .field("sequence", said.sequence)
            .field("reason", said.reason.as_str())
            .field("hash", order.hash().to_string());
        let (receipt, durable) = update(&*self.store, |txn| {
            txn.put(TABLE, said.scope.to_string().as_bytes(), &record)?;
            Ok::<_, DocumentsError>(quorate_audit::append(txn, self.clock.now(), &event)?)
        })?;
        receipt.confirm(&durable);
        Ok(())
    }
}
