//! The doubles other crates' tests rely on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::sync::Arc;

use quorate_store::{Aftermath, Durable, FailingStore, MemStore, Read, Store, StoreError, update};

fn put(store: &dyn Store, key: &[u8]) -> Result<Durable, StoreError> {
    update(store, |txn| txn.put("t", key, b"v")).map(|((), durable)| durable)
}

#[test]
fn the_nth_commit_fails_and_nothing_works_after_it() {
    for aftermath in [Aftermath::Kept, Aftermath::Lost] {
        let disk = MemStore::new();
        let store = FailingStore::new(Arc::new(disk.clone()));
        store.fail_commit_after(2, aftermath);
        let _durable = (put(&store, b"1").unwrap(), put(&store, b"2").unwrap());
        let err = put(&store, b"3").unwrap_err();
        assert!(matches!(err, StoreError::Sync(_)) && err.is_fatal());
        assert!(store.get("t", b"1").unwrap_err().is_fatal());
        assert!(store.begin().err().expect("refused").is_fatal());

        let restarted = store.restart();
        assert!(restarted.get("t", b"2").unwrap().is_some());
        assert_eq!(restarted.get("t", b"3").unwrap().is_some(), aftermath == Aftermath::Kept);
        assert!(put(&restarted, b"4").is_ok());
    }
}

#[test]
fn a_failing_read_is_not_fatal() {
    let store = FailingStore::new(Arc::new(MemStore::new()));
    let _durable = put(&store, b"1").unwrap();
    store.fail_reads(true);
    assert!(!store.get("t", b"1").unwrap_err().is_fatal());
    assert!(!store.begin().unwrap().get("t", b"1").unwrap_err().is_fatal());
    store.fail_reads(false);
    assert!(store.get("t", b"1").unwrap().is_some());
}
