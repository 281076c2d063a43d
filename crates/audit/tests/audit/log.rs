//! Appending and reading.

use std::thread;

use quorate_audit::{Event, Head, entries, head, verify};
use quorate_store::{MemStore, Store};
use quorate_types::B256;
use serde_json::json;

use crate::given::{ENTRIES, add, log, rows};

#[test]
fn an_empty_log_has_an_empty_head() {
    let store = MemStore::new();
    let empty = Head { sequence: 0, hash: B256::ZERO };
    assert_eq!(head(&store).unwrap(), empty);
    assert_eq!(verify(&store).unwrap(), empty);
    assert_eq!(entries(&store, 0, 10).unwrap(), []);
}

#[test]
fn an_entry_says_what_was_recorded_and_its_receipt_names_it() {
    let store = log(1);
    let event = Event::new("sign.denied")
        .wallet(&"treasury".parse().unwrap())
        .field("rule", "per_transaction")
        .field("limit", json!({"asset": "native@1", "max": "25"}));
    let receipt = add(&store, 2000, &event).unwrap();
    let page = entries(&store, 2, 10).unwrap();
    let [entry] = page.as_slice() else { panic!("{page:?}") };
    assert_eq!((receipt.sequence, receipt.hash), (2, entry.hash));
    assert_eq!((entry.sequence, entry.at, entry.kind.as_str()), (2, 2000, "sign.denied"));
    assert_eq!((&entry.wallet, &entry.fields), (&event.wallet, &event.fields));
    assert_eq!(entry.prev, entries(&store, 1, 1).unwrap()[0].hash);
    assert_eq!(head(&store).unwrap(), Head { sequence: 2, hash: receipt.hash });
    assert_eq!(verify(&store).unwrap(), head(&store).unwrap());
}

#[test]
fn the_log_is_read_in_pages() {
    let store = log(5);
    let numbers = |from, limit| -> Vec<u64> {
        entries(&store, from, limit).unwrap().iter().map(|entry| entry.sequence).collect()
    };
    assert_eq!(numbers(0, 2), [1, 2]);
    assert_eq!(numbers(1, 2), [1, 2]);
    assert_eq!(numbers(3, 2), [3, 4]);
    assert_eq!(numbers(5, 2), [5]);
    assert_eq!(numbers(6, 2), [0; 0]);
    assert_eq!(numbers(u64::MAX, 2), [0; 0]);
    assert_eq!(numbers(1, 0), [0; 0]);
    assert_eq!(numbers(0, usize::MAX), [1, 2, 3, 4, 5]);
}

/// The text and its hash, as anyone can recompute them. A change here breaks every log there is.
#[test]
fn the_form_is_pinned() {
    let store = MemStore::new();
    let event =
        Event::new("wallet.created").wallet(&"treasury".parse().unwrap()).field("b", 2).field("a", "é\n");
    let receipt = add(&store, 1_700_000_000_000, &event).unwrap();
    let text = concat!(
        r#"{"at_ms":1700000000000,"fields":{"a":"é\n","b":2},"kind":"wallet.created","#,
        r#""prev":"0000000000000000000000000000000000000000000000000000000000000000","#,
        r#""seq":1,"v":1,"wallet":"treasury"}"#
    );
    assert_eq!(rows(&store, ENTRIES), [(1u64.to_be_bytes().to_vec(), text.as_bytes().to_vec())]);
    assert_eq!(entries(&store, 1, 1).unwrap()[0].json, text);
    assert_eq!(receipt.hash.to_string(), include_str!("hash.txt").trim_end());
}

#[test]
fn what_is_appended_with_a_dropped_transaction_never_was() {
    let store = log(1);
    let mut txn = store.begin().unwrap();
    let _never_confirmed = quorate_audit::append(txn.as_mut(), 1, &Event::new("x")).unwrap();
    assert_eq!(head(txn.as_ref()).unwrap().sequence, 2);
    assert_eq!(verify(txn.as_ref()).unwrap().sequence, 2);
    drop(txn);
    assert_eq!(verify(&store).unwrap().sequence, 1);
}

#[test]
fn a_log_that_grows_while_it_is_verified_is_whole() {
    let store = log(1);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for n in 0..300u32 {
                add(&store, 1, &Event::new("tick").field("n", n)).unwrap();
            }
        });
        while !writer.is_finished() {
            verify(&store).unwrap();
        }
    });
    assert_eq!(verify(&store).unwrap().sequence, 301);
}
