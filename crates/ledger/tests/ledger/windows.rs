//! What counts since when, and for whom.

use quorate_ledger::{LedgerError, charge, spent};
use quorate_store::{MemStore, update};
use quorate_types::U256;

use crate::given::{Ledger, asset, charges, payload, wallet};

#[test]
fn a_window_begins_at_its_first_millisecond_and_has_no_end() {
    let store = MemStore::new();
    let ledger = Ledger(&store);
    // Times whose bytes would be ordered wrongly in little-endian or as text.
    for (n, at) in [0, 1, 255, 256, 65_535, u64::MAX].into_iter().enumerate() {
        ledger.charge(payload(n as u8), &charges(&[(0, 1 << n)]), at).unwrap();
    }
    for (since, sum) in
        [(0, 63), (1, 62), (2, 60), (255, 60), (256, 56), (257, 48), (65_536, 32), (u64::MAX, 32)]
    {
        assert_eq!(ledger.spent(0, since), U256::from(sum), "since {since}");
    }
}

#[test]
fn wallets_and_assets_are_apart() {
    let store = MemStore::new();
    for w in 0..3 {
        for a in 0..3 {
            let amount = 1 + w as u64 * 3 + a as u64;
            let (charges, hash) = (charges(&[(a, amount)]), payload(a as u8));
            let (pending, durable) =
                update(&store, |txn| charge(txn, &wallet(w), hash, &charges, 50)).unwrap();
            assert!(pending.confirm(&durable).is_first());
        }
    }
    for w in 0..3 {
        for a in 0..3 {
            let amount = U256::from(1 + w * 3 + a);
            assert_eq!(spent(&store, &wallet(w), &asset(a), 0).unwrap(), amount, "{w} {a}");
        }
    }
}

#[test]
fn reservations_and_charges_count_together_and_a_transaction_sees_its_own() {
    let store = MemStore::new();
    let ledger = Ledger(&store);
    ledger.reserve(payload(0), &charges(&[(0, 5)]), 100).unwrap();
    let mut txn = quorate_store::Store::begin(&store).unwrap();
    let _never_synced = charge(txn.as_mut(), &wallet(0), payload(0), &charges(&[(0, 7)]), 100).unwrap();
    assert_eq!(spent(txn.as_ref(), &wallet(0), &asset(0), 0).unwrap(), U256::from(12));
    drop(txn);
    assert_eq!(ledger.spent(0, 0), U256::from(5));
}

#[test]
fn a_sum_beyond_256_bits_is_an_error_not_a_small_number() {
    let store = MemStore::new();
    let ledger = Ledger(&store);
    let mut unlimited = charges(&[(0, 0)]);
    unlimited[0].amount = U256::MAX;
    ledger.charge(payload(0), &unlimited, 100).unwrap();
    assert_eq!(ledger.spent(0, 0), U256::MAX);
    ledger.charge(payload(1), &charges(&[(0, 1)]), 200).unwrap();
    let error = spent(&store, &wallet(0), &asset(0), 0).unwrap_err();
    assert!(matches!(error, LedgerError::Overflow { asset: a } if a == asset(0)));
    assert_eq!(error.to_string(), "spend: the sum of native@1 overflows 256 bits");
    // Once the first has left the window, the sum exists again.
    assert_eq!(ledger.spent(0, 101), U256::from(1));
}
