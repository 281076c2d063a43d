//! A service node's charges.

use quorate_ledger::{LedgerError, charged};
use quorate_store::MemStore;
use quorate_types::U256;

use crate::given::{Ledger, asset, charges, payload, wallet};

#[test]
fn a_payload_is_charged_once_and_at_its_first_time() {
    let store = MemStore::new();
    let ledger = Ledger(&store);
    assert_eq!(charged(&store, &wallet(0), payload(0)).unwrap(), None);
    let amounts = charges(&[(0, 5), (2, 7)]);
    let first = ledger.charge(payload(0), &amounts, 100).unwrap();
    assert_eq!((first.at(), first.is_first()), (100, true));
    assert_eq!((first.wallet(), first.payload_hash()), (&wallet(0), payload(0)));
    let second = ledger.charge(payload(0), &amounts, 900).unwrap();
    assert_eq!((second.at(), second.is_first()), (100, false));
    assert_eq!((ledger.spent(0, 0), ledger.spent(2, 0)), (U256::from(5), U256::from(7)));
    // It counts in the window of the first charge, and in no later one.
    assert_eq!((ledger.spent(0, 100), ledger.spent(0, 101)), (U256::from(5), U256::ZERO));
    assert_eq!(charged(&store, &wallet(0), payload(0)).unwrap(), Some(100));
    assert_eq!(charged(&store, &wallet(1), payload(0)).unwrap(), None);
}

#[test]
fn another_payload_at_the_same_time_is_another_charge() {
    let store = MemStore::new();
    let ledger = Ledger(&store);
    for n in 0..3 {
        ledger.charge(payload(n), &charges(&[(0, 5)]), 100).unwrap();
    }
    assert_eq!(ledger.spent(0, 0), U256::from(15));
}

#[test]
fn a_payload_that_reads_differently_is_refused_and_the_first_reading_stands() {
    let store = MemStore::new();
    let ledger = Ledger(&store);
    ledger.charge(payload(0), &charges(&[(0, 5)]), 100).unwrap();
    for other in [charges(&[(0, 6)]), charges(&[(1, 5)]), charges(&[]), charges(&[(0, 5), (1, 0)])] {
        assert!(matches!(ledger.charge(payload(0), &other, 200), Err(LedgerError::Charges)));
    }
    assert_eq!((ledger.spent(0, 0), ledger.spent(1, 0)), (U256::from(5), U256::ZERO));
}

#[test]
fn several_charges_of_one_asset_are_summed_and_never_wrap() {
    let store = MemStore::new();
    let ledger = Ledger(&store);
    ledger.charge(payload(0), &charges(&[(0, 5), (1, 1), (0, 6)]), 100).unwrap();
    assert_eq!((ledger.spent(0, 0), ledger.spent(1, 0)), (U256::from(11), U256::from(1)));

    let mut beyond = charges(&[(1, 1), (0, 1), (0, 1)]);
    beyond[1].amount = U256::MAX;
    let overflows = |result: Result<(), LedgerError>| {
        assert!(matches!(result, Err(LedgerError::Overflow { asset: a }) if a == asset(0)));
    };
    overflows(ledger.charge(payload(1), &beyond, 100).map(drop));
    overflows(ledger.reserve(payload(1), &beyond, 100).map(drop));
    // The refused ones left nothing, not even for the asset that did sum.
    assert_eq!((ledger.spent(0, 0), ledger.spent(1, 0)), (U256::from(11), U256::from(1)));
    assert_eq!(charged(&store, &wallet(0), payload(1)).unwrap(), None);
    assert_eq!(ledger.entry(), None);
}
