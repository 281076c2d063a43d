//! Records that are not ours, and the form of those that are.

use std::ops::ControlFlow;

use quorate_ledger::{Before, LedgerError, charged, claim, in_flight, spent};
use quorate_policy::{Counted, History};
use quorate_store::{MemStore, Store, StoreError, update};

use crate::given::{Ledger, asset, charges, key, payload, wallet};

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

fn delete(store: &dyn Store, table: &str, key: &[u8]) {
    let (_, _synced) = update::<_, StoreError>(store, |txn| txn.delete(table, key)).unwrap();
}

/// A ledger with a reservation and a charge in it.
fn filled() -> MemStore {
    let store = MemStore::new();
    Ledger(&store).reserve(payload(0), &charges(&[(0, 5)]), 100).unwrap();
    Ledger(&store).charge(payload(1), &charges(&[(2, 7)]), 100).unwrap();
    store
}

fn signatures(store: &dyn Store) -> Result<(), LedgerError> {
    let before = Before::payload(store, payload(9), None);
    before.visit(&wallet(0), Counted::Signatures, 0, &mut |_| ControlFlow::Continue(()))
}

/// Every reading function, and the table whose malformed record it must name.
fn readings(store: &dyn Store) -> Vec<(&'static str, Result<(), LedgerError>)> {
    vec![
        ("ledger_entry", claim(store, &wallet(0), &key(0), payload(0)).map(drop)),
        ("ledger_entry", Ledger(store).reserve(payload(0), &[], 200).map(drop)),
        ("ledger_in_flight", in_flight(store).map(drop)),
        ("ledger_spend", spent(store, &wallet(0), &asset(0), 0).map(drop)),
        ("ledger_signature", signatures(store)),
        ("ledger_charge", charged(store, &wallet(0), payload(1)).map(drop)),
        ("ledger_charge", Ledger(store).charge(payload(1), &charges(&[(2, 7)]), 200).map(drop)),
        // Last, since it takes the request out of flight.
        ("ledger_entry", Ledger(store).void()),
    ]
}

#[test]
fn every_malformed_record_is_found_and_its_table_named() {
    for table in ["ledger_entry", "ledger_in_flight", "ledger_spend", "ledger_signature", "ledger_charge"] {
        let good = rows(&filled(), table);
        let (place, value) = good.first().unwrap();
        let mut other_version = value.clone();
        other_version[0] = 9;
        let longer = [value.as_slice(), &[0]].concat();
        let shorter = &value[..value.len() - 1];
        for bad in [&[][..], &other_version, &longer, shorter] {
            let store = filled();
            put(&store, table, place, bad);
            let mut named = 0;
            for (reads, result) in readings(&store) {
                if reads == table {
                    let error = result.unwrap_err().to_string();
                    assert_eq!(error, format!("ledger: malformed record in table {table}"));
                    named += 1;
                }
            }
            assert!(named > 0, "{table}");
        }
    }
}

#[test]
fn an_index_that_points_elsewhere_is_malformed() {
    let store = filled();
    let (place, value) = rows(&store, "ledger_in_flight").remove(0);
    let malformed = |store: &dyn Store| {
        assert!(matches!(in_flight(store), Err(LedgerError::Malformed { table: "ledger_in_flight" })));
    };
    put(&store, "ledger_in_flight", b"elsewhere", &value);
    malformed(&store);
    let store = filled();
    delete(&store, "ledger_entry", &place);
    malformed(&store);
    let store = filled();
    Ledger(&store).void().unwrap();
    put(&store, "ledger_in_flight", &place, &value);
    malformed(&store);
}

#[test]
fn a_spend_is_neither_overwritten_nor_given_back_unless_it_is_what_was_counted() {
    let spend = |result: Result<(), LedgerError>| {
        assert!(matches!(result, Err(LedgerError::Malformed { table: "ledger_spend" })));
    };
    // A record stands where a new one would go.
    let (place, value) = rows(&filled(), "ledger_spend").remove(0);
    let store = MemStore::new();
    put(&store, "ledger_spend", &place, &value);
    spend(Ledger(&store).reserve(payload(0), &charges(&[(0, 5)]), 100).map(drop));
    // The record is gone, or says another amount.
    let store = filled();
    delete(&store, "ledger_spend", &place);
    spend(Ledger(&store).void());
    let store = filled();
    let mut more = value.clone();
    // The amount: 32 bytes behind the version and their length.
    more[33] += 1;
    put(&store, "ledger_spend", &place, &more);
    spend(Ledger(&store).void());
    // A key of another length cannot be a spend.
    let store = filled();
    put(&store, "ledger_spend", &[place.as_slice(), &[0]].concat(), &value);
    spend(spent(&store, &wallet(0), &asset(0), 0).map(drop));
}

/// The form on disk. A change here needs a new version byte and a way to read the old one.
#[test]
fn the_form_on_disk_is_pinned() {
    let store = filled();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let dump = |table: &str| {
        let lines = rows(&store, table).into_iter();
        lines.map(|(key, value)| format!("{} = {}", hex(&key), hex(&value))).collect::<Vec<_>>()
    };
    let tables = [
        "ledger_entry",
        "ledger_in_flight",
        "ledger_spend",
        "ledger_signature",
        "ledger_charge",
        "ledger_origin",
        "ledger_total",
    ];
    let found: Vec<String> = tables.into_iter().flat_map(dump).collect();
    assert_eq!(found.join("\n"), include_str!("form.txt").trim_end());
}
