//! The short forms the tests share.

use std::ops::ControlFlow;

use quorate_audit::{AuditError, Damage, Event, Receipt, append, verify};
use quorate_store::{MemStore, Store, StoreError, update};

pub(crate) const ENTRIES: &str = "audit_entry";
pub(crate) const HEAD: &str = "audit_head";

pub(crate) fn add(store: &dyn Store, now: u64, event: &Event) -> Result<Receipt, AuditError> {
    let (pending, durable) = update(store, |txn| append(txn, now, event))?;
    Ok(pending.confirm(&durable))
}

/// A log of `n` entries.
pub(crate) fn log(n: u64) -> MemStore {
    let store = MemStore::new();
    for i in 1..=n {
        let event = Event::new("sign.allowed").wallet(&"treasury".parse().unwrap()).field("n", i);
        add(&store, 1000 + i, &event).unwrap();
    }
    store
}

pub(crate) fn rows(store: &dyn Store, table: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut rows = Vec::new();
    store
        .scan(table, &[], &[], &mut |key, value| {
            rows.push((key.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        })
        .unwrap();
    rows
}

pub(crate) fn put(store: &dyn Store, table: &str, key: &[u8], value: &[u8]) {
    let (_, _synced) = update::<_, StoreError>(store, |txn| txn.put(table, key, value)).unwrap();
}

pub(crate) fn delete(store: &dyn Store, table: &str, key: &[u8]) {
    let (_, _synced) = update::<_, StoreError>(store, |txn| txn.delete(table, key)).unwrap();
}

/// Where `verify` finds the log damaged, and how.
pub(crate) fn damage(store: &dyn Store) -> (u64, Damage) {
    match verify(store) {
        Err(AuditError::Damaged { sequence, damage }) => (sequence, damage),
        other => panic!("expected damage, got {other:?}"),
    }
}
