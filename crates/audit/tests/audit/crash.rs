//! A disk that fails while an event is committed.

use std::sync::Arc;

use quorate_audit::{AuditError, Event, entries, head, verify};
use quorate_store::{Aftermath, FailingStore};

use crate::given::{add, log};

#[test]
fn after_a_failed_sync_the_log_is_whole_with_or_without_the_event() {
    for (aftermath, sequence) in [(Aftermath::Lost, 2), (Aftermath::Kept, 3)] {
        let store = FailingStore::new(Arc::new(log(2)));
        store.fail_commit_after(0, aftermath);
        let error = add(&store, 9, &Event::new("x")).unwrap_err();
        assert!(matches!(error, AuditError::Store(error) if error.is_fatal()));
        let restarted = store.restart();
        assert_eq!(verify(&restarted).unwrap().sequence, sequence);
        assert_eq!(add(&restarted, 10, &Event::new("y")).unwrap().sequence, sequence + 1);
        assert_eq!(verify(&restarted).unwrap().sequence, sequence + 1);
    }
}

#[test]
fn an_unreadable_disk_is_an_error_not_an_empty_log() {
    let store = FailingStore::new(Arc::new(log(2)));
    store.fail_reads(true);
    assert!(matches!(head(&store), Err(AuditError::Store(_))));
    assert!(matches!(verify(&store), Err(AuditError::Store(_))));
    assert!(matches!(entries(&store, 1, 1), Err(AuditError::Store(_))));
    assert!(matches!(add(&store, 9, &Event::new("x")), Err(AuditError::Store(_))));
}
