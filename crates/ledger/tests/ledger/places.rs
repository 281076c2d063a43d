//! Payloads for one place: counted once where they do the same, and in full where they do not.

use std::ops::ControlFlow;

use quorate_intent::{AssetId, Charge, Once};
use quorate_ledger::{Before, charge, finish, reserve, void};
use quorate_policy::{Approval, Counted, Full, History};
use quorate_store::{MemStore, Read, Store, update};
use quorate_types::{B256, U256, UnixMillis};

use crate::given::{Ledger, approved, asset, charges, key, payload, wallet};

const FIVE: &[(usize, u64)] = &[(0, 5)];

fn once(place: u8, effect: u8) -> Once {
    Once { place: B256::repeat_byte(place), effect: B256::repeat_byte(effect) }
}

fn landing(once: Once, fee: u64, at: UnixMillis) -> Approval<Full> {
    let fee = Charge { asset: AssetId::native(1), amount: U256::from(fee) };
    approved(0, &charges(FIVE), at).landing(fee, once)
}

fn sum(before: &Before<'_>, counted: Counted) -> u64 {
    let mut sum = 0;
    before
        .visit(&wallet(0), counted, 0, &mut |past| {
            sum += past.amount.to::<u64>();
            ControlFlow::Continue(())
        })
        .unwrap();
    let told = before.sum(&wallet(0), counted, None, 0).unwrap();
    assert_eq!(told, Some(U256::from(sum)), "as the limits read it");
    sum
}

/// What is counted in all: moved, fees, signatures.
fn counted(store: &dyn Store) -> [u64; 3] {
    let all = Before::payload(store, payload(99), None);
    [Counted::Asset(asset(0)), Counted::Fee(1), Counted::Signatures].map(|counted| sum(&all, counted))
}

fn charge_one(store: &dyn Store, n: u8, approval: Approval<Full>) -> (UnixMillis, UnixMillis) {
    let (pending, durable) = update(store, |txn| charge(txn, approval, payload(n))).unwrap();
    let charged = pending.confirm(&durable);
    (charged.at(), charged.moved_at())
}

#[test]
fn a_replacement_is_charged_for_what_its_fee_may_be_higher() {
    let store = MemStore::new();
    assert_eq!(charge_one(&store, 0, landing(once(1, 1), 10, 100)), (100, 100));
    assert_eq!(counted(&store), [5, 10, 1]);
    assert_eq!(charge_one(&store, 1, landing(once(1, 1), 15, 200)), (200, 100));
    assert_eq!(counted(&store), [5, 15, 2]);
    // A lower fee, or the same, adds nothing but its signature. Neither does the same payload again.
    charge_one(&store, 2, landing(once(1, 1), 12, 300));
    charge_one(&store, 3, landing(once(1, 1), 15, 300));
    assert_eq!(charge_one(&store, 3, landing(once(1, 1), 15, 400)), (300, 100));
    assert_eq!(counted(&store), [5, 15, 4]);
}

#[test]
fn another_effect_or_another_place_is_charged_in_full() {
    let store = MemStore::new();
    for (n, once) in [once(1, 1), once(1, 2), once(2, 1)].into_iter().enumerate() {
        charge_one(&store, u8::try_from(n).unwrap(), landing(once, 10, 100));
    }
    assert_eq!(counted(&store), [15, 30, 3]);
}

#[test]
fn without_a_place_everything_is_charged_each_time() {
    let store = MemStore::new();
    for n in 0..2 {
        charge_one(&store, n, approved(0, &charges(FIVE), 100));
    }
    assert_eq!(counted(&store), [10, 0, 2]);
}

/// What a replacement is weighed against is all the others, and every signature.
#[test]
fn the_rules_do_not_see_what_the_request_replaces() {
    let store = MemStore::new();
    charge_one(&store, 0, landing(once(1, 1), 10, 100));
    charge_one(&store, 1, landing(once(2, 1), 10, 100));
    let before = Before::payload(&store, payload(2), Some(once(1, 1)));
    assert_eq!(sum(&before, Counted::Asset(asset(0))), 5);
    assert_eq!(sum(&before, Counted::Fee(1)), 10);
    assert_eq!(sum(&before, Counted::Signatures), 2);
    let other = Before::payload(&store, payload(2), Some(once(1, 2)));
    assert_eq!(sum(&other, Counted::Asset(asset(0))), 10);
}

#[test]
fn a_place_is_taken_by_another_effect_only_and_of_its_own_wallet() {
    let store = MemStore::new();
    charge_one(&store, 0, landing(once(1, 1), 10, 100));
    let taken = |w: usize, once: Once| {
        Before::payload(&store, payload(9), Some(once)).place_is_taken(&wallet(w), &once).unwrap()
    };
    assert!(!taken(0, once(1, 1)));
    assert!(taken(0, once(1, 2)) && taken(0, once(1, 0)));
    assert!(!taken(0, once(2, 2)) && !taken(1, once(1, 2)));
}

/// At the gate a request under way may still be given back, so nothing is built upon it.
#[test]
fn only_what_is_answered_is_built_upon() {
    let store = MemStore::new();
    let reserve_one = |k: usize, fee: u64| {
        let approval = landing(once(1, 1), fee, 100);
        let (pending, durable) =
            update(&store, |txn| reserve(txn, approval, &key(k), payload(u8::try_from(k).unwrap()))).unwrap();
        pending.confirm(&durable)
    };
    let finish_one = |k: usize, reservation| {
        Ledger(&store).releasing(&reservation).unwrap();
        let (pending, durable) =
            update(&store, |txn| finish(txn, &wallet(0), &key(k), b"signed", 200)).unwrap();
        pending.confirm(&durable);
    };
    let first = reserve_one(0, 10);
    let second = reserve_one(1, 15);
    assert_eq!(counted(&store), [10, 25, 2]);
    // The first is given up: the second still counts in full.
    Ledger(&store).void().unwrap();
    drop(first);
    assert_eq!(counted(&store), [5, 15, 1]);
    finish_one(1, second);
    // From here on the place and its effect stand: the first, asked again, adds nothing but a signature.
    let again = reserve_one(0, 10);
    assert_eq!(counted(&store), [5, 15, 2]);
    let third = reserve_one(2, 40);
    assert_eq!(counted(&store), [5, 40, 3]);
    // Given up, each takes back just what it added.
    let ((), _synced) = update(&store, |txn| void(txn, &wallet(0), &key(2))).unwrap();
    drop(third);
    assert_eq!(counted(&store), [5, 15, 2]);
    finish_one(0, again);
    assert_eq!(counted(&store), [5, 15, 2]);
}

#[test]
fn a_place_is_free_again_when_the_request_is_given_up() {
    let store = MemStore::new();
    let taken = || {
        let other = once(1, 2);
        Before::request(&store, &key(1), Some(other)).place_is_taken(&wallet(0), &other).unwrap()
    };
    let approval = landing(once(1, 1), 10, 100);
    let (pending, durable) = update(&store, |txn| reserve(txn, approval, &key(0), payload(0))).unwrap();
    let reservation = pending.confirm(&durable);
    assert!(taken());
    Ledger(&store).releasing(&reservation).unwrap();
    Ledger(&store).void_releasing(reservation.attempt()).unwrap();
    assert!(!taken());
}

/// A request recorded by an older version: it has neither fee nor place.
#[test]
fn an_entry_of_version_1_is_read_and_given_back() {
    let store = MemStore::new();
    Ledger(&store).reserve(payload(0), &charges(FIVE), 100).unwrap();
    let mut row = None;
    store
        .scan("ledger_entry", &[], &[], &mut |key, record| {
            row = Some((key.to_vec(), record.to_vec()));
            ControlFlow::Break(())
        })
        .unwrap();
    let (place, record) = row.unwrap();
    // Version 2 says that it has neither in two bytes more.
    let old = [&[1], &record[1..record.len() - 2]].concat();
    let (_, _synced) =
        update::<_, quorate_store::StoreError>(&store, |txn| txn.put("ledger_entry", &place, &old)).unwrap();
    assert_eq!(Ledger(&store).entry().unwrap().charges, charges(FIVE));
    Ledger(&store).void().unwrap();
    assert_eq!(counted(&store), [0, 0, 0]);
}

#[test]
fn a_malformed_record_of_a_place_is_found_and_the_form_of_a_good_one_pinned() {
    let store = MemStore::new();
    charge_one(&store, 0, landing(once(1, 2), 10, 100));
    let mut row = None;
    store
        .scan("ledger_place", &[], &[], &mut |key, record| {
            row = Some((key.to_vec(), record.to_vec()));
            ControlFlow::Break(())
        })
        .unwrap();
    let (place, record) = row.unwrap();
    // Wallet, place, effect, origin; version, fee with its length, time, whether it stands.
    assert_eq!(place.len(), 8 + "treasury".len() + 3 * 32);
    assert_eq!(record, [&[1, 32][..], &U256::from(10).to_be_bytes::<32>(), &[100, 1]].concat());
    for bad in [&[][..], &record[..record.len() - 1], &[record.as_slice(), &[0]].concat()] {
        let put = |txn: &mut dyn quorate_store::Txn| txn.put("ledger_place", &place, bad);
        let ((), _synced) = update::<_, quorate_store::StoreError>(&store, put).unwrap();
        let before = Before::payload(&store, payload(9), Some(once(1, 2)));
        let read = before.visit(&wallet(0), Counted::Fee(1), 0, &mut |_| ControlFlow::Continue(()));
        assert_eq!(read.unwrap_err().to_string(), "ledger: malformed record in table ledger_place");
    }
}
