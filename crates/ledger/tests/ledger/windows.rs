//! What counts since when, and for whom.

use std::ops::ControlFlow;

use quorate_ledger::{Before, LedgerError, charge, spent};
use quorate_policy::{Counted, History, Past};
use quorate_store::{MemStore, Read, StoreError, update};
use quorate_types::U256;

use crate::given::{Ledger, PAYEE, approved, asset, charges, payload, wallet};
use crate::totals::without_totals;

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
                update(&store, |txn| charge(txn, approved(w, &charges, 50), hash)).unwrap();
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
    let _never_synced = charge(txn.as_mut(), approved(0, &charges(&[(0, 7)]), 100), payload(0)).unwrap();
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

fn seen(before: &Before<'_>, counted: Counted, since: u64) -> Vec<Past> {
    let mut seen = Vec::new();
    let visited = before.visit(&wallet(0), counted, since, &mut |past| {
        seen.push(past);
        ControlFlow::Continue(())
    });
    visited.unwrap();
    seen
}

#[test]
fn the_rules_read_what_counts_in_order_and_without_the_request_itself() {
    let store = MemStore::new();
    let ledger = Ledger(&store);
    ledger.charge(payload(1), &charges(&[(0, 7)]), 200).unwrap();
    ledger.charge(payload(0), &charges(&[(0, 5), (2, 9)]), 100).unwrap();
    ledger.charge(payload(2), &[], 300).unwrap();
    let past = |at, amount| Past { at, amount: U256::from(amount), payee: Some(PAYEE) };
    let (none, other) = (payload(9), Counted::Asset(asset(0)));
    let all = Before::payload(&store, none, None);
    assert_eq!(seen(&all, other, 0), [past(100, 5), past(200, 7)]);
    assert_eq!(seen(&all, other, 101), [past(200, 7)]);
    assert_eq!(seen(&all, Counted::Asset(asset(2)), 0), [past(100, 9)]);
    // Each is one signature, also where nothing moves.
    assert_eq!(seen(&all, Counted::Signatures, 0), [past(100, 1), past(200, 1), past(300, 1)]);
    let without = Before::payload(&store, payload(1), None);
    assert_eq!(seen(&without, other, 0), [past(100, 5)]);
    assert_eq!(seen(&without, Counted::Signatures, 0), [past(100, 1), past(300, 1)]);
    assert_eq!(seen(&Before::payload(&store, none, None), Counted::Asset(asset(1)), 0), []);
}

#[test]
fn a_reservation_counts_until_it_is_voided_and_not_against_itself() {
    let store = MemStore::new();
    let ledger = Ledger(&store);
    ledger.reserve(payload(0), &charges(&[(0, 5)]), 100).unwrap();
    let other = "another".parse().unwrap();
    for counted in [Counted::Asset(asset(0)), Counted::Signatures] {
        assert_eq!(seen(&Before::request(&store, &other, None), counted, 0).len(), 1);
        assert_eq!(seen(&Before::request(&store, &crate::given::key(0), None), counted, 0), []);
    }
    ledger.void().unwrap();
    for counted in [Counted::Asset(asset(0)), Counted::Signatures] {
        assert_eq!(seen(&Before::request(&store, &other, None), counted, 0), []);
    }
}

/// The form a spend had before payees and signatures were counted: whoever was paid may have been anyone.
#[test]
fn a_spend_of_the_first_version_counts_for_everybody_and_can_be_voided() {
    let store = MemStore::new();
    let ledger = Ledger(&store);
    ledger.reserve(payload(0), &charges(&[(0, 5)]), 100).unwrap();
    let (mut spend, mut signature) = (Vec::new(), Vec::new());
    let row = |rows: &mut Vec<u8>, key: &[u8]| {
        *rows = key.to_vec();
        ControlFlow::Break(())
    };
    store.scan("ledger_spend", &[], &[], &mut |key, _| row(&mut spend, key)).unwrap();
    store.scan("ledger_signature", &[], &[], &mut |key, _| row(&mut signature, key)).unwrap();
    let mut first = vec![1, 32];
    first.extend(U256::from(5).to_be_bytes::<32>());
    let (_, _synced) = update::<_, StoreError>(&store, |txn| {
        txn.put("ledger_spend", &spend, &first)?;
        txn.delete("ledger_signature", &signature)
    })
    .unwrap();
    without_totals(&store);
    let before = Before::payload(&store, payload(9), None);
    let unknown = Past { at: 100, amount: U256::from(5), payee: None };
    assert_eq!(seen(&before, Counted::Asset(asset(0)), 0), [unknown]);
    ledger.void().unwrap();
    assert_eq!(ledger.spent(0, 0), U256::ZERO);
}
