//! The store on disk, closed and opened again.

use std::path::Path;
use std::sync::Arc;

use quorate_ledger::{Claim, LedgerError, State, in_flight};
use quorate_store::{Binding, Kek, Store, open};
use quorate_types::U256;

use crate::given::{Ledger, charges, payload};

fn opened(dir: &Path) -> Arc<dyn Store> {
    let kek = Kek::from_file(&dir.join("kek")).unwrap();
    let binding = Binding { cluster: "acme".parse().unwrap(), owner: "coordinator-1".to_owned(), epoch: 1 };
    open(&dir.join("data"), &binding, &kek).unwrap()
}

#[test]
fn after_a_restart_the_same_request_gets_the_same_answer_and_another_payload_a_conflict() {
    let dir = tempfile::tempdir().unwrap();
    Kek::generate_file(&dir.path().join("kek")).unwrap();
    let reservation =
        Ledger(opened(dir.path()).as_ref()).reserve(payload(0), &charges(&[(0, 5), (2, 7)]), 100).unwrap();

    let store = opened(dir.path());
    let ledger = Ledger(store.as_ref());
    assert_eq!(ledger.claim(payload(0)), Claim::InFlight(State::Reserved));
    assert_eq!(in_flight(store.as_ref()).unwrap().len(), 1);
    ledger.releasing(&reservation).unwrap();
    ledger.finish(b"signature", 200).unwrap();
    ledger.charge(payload(0), &charges(&[(0, 5)]), 300).unwrap();
    drop(store);

    let store = opened(dir.path());
    let ledger = Ledger(store.as_ref());
    assert_eq!(ledger.claim(payload(0)), Claim::Done(b"signature".to_vec()));
    assert!(matches!(ledger.reserve(payload(1), &[], 400), Err(LedgerError::Conflict)));
    assert!(!ledger.charge(payload(0), &charges(&[(0, 5)]), 400).unwrap().is_first());
    assert_eq!((ledger.spent(0, 0), ledger.spent(2, 0)), (U256::from(10), U256::from(7)));
}
