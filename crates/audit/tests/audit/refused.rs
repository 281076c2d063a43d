//! Events that cannot be recorded.

use quorate_audit::{AuditError, Event, EventError, MAX_ENTRY_BYTES, entries, verify};
use quorate_store::MemStore;
use serde_json::{Value, json};

use crate::given::{ENTRIES, add, rows};

fn refusal(event: &Event) -> EventError {
    let store = MemStore::new();
    let error = match add(&store, 1, event) {
        Err(AuditError::Event(error)) => error,
        other => panic!("expected a refusal, got {other:?}"),
    };
    assert_eq!(rows(&store, ENTRIES), []);
    assert_eq!(verify(&store).unwrap().sequence, 0);
    error
}

#[test]
fn a_kind_is_a_short_plain_name() {
    for bad in ["", "Sign", "sign allowed", "sign\n", "s\"", "é", LONG] {
        assert_eq!(refusal(&Event::new(bad)), EventError::Kind, "{bad:?}");
    }
    for good in ["a", "sign.denied", "node-1_x.9", &LONG[1..]] {
        add(&MemStore::new(), 1, &Event::new(good)).unwrap();
    }
}

/// 65 characters.
const LONG: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

#[test]
fn numbers_are_integers() {
    for bad in [json!(1.5), json!(1.0), json!(1e300), json!([{ "deep": 0.1 }])] {
        let name = if bad.is_array() { "deep" } else { "amount" };
        assert_eq!(refusal(&Event::new("x").field("amount", bad)), EventError::Number(name.to_owned()));
    }
    let (least, most) = (i64::MIN, u64::MAX);
    let store = MemStore::new();
    add(&store, most, &Event::new("x").field("least", least).field("most", most)).unwrap();
    assert_eq!(verify(&store).unwrap().sequence, 1);
    let entry = entries(&store, 1, 1).unwrap().remove(0);
    assert_eq!((&entry.fields["least"], &entry.fields["most"]), (&json!(least), &json!(most)));
}

#[test]
fn nesting_has_an_end_and_what_is_accepted_can_be_read_back() {
    let nested = |depth: usize| (1..depth).fold(json!([]), |inner, _| Value::Array(vec![inner]));
    let store = MemStore::new();
    let deepest =
        (1..200).take_while(|depth| add(&store, 1, &Event::new("x").field("nest", nested(*depth))).is_ok());
    let deepest = deepest.last().unwrap();
    assert_eq!(deepest, 31);
    assert_eq!(verify(&store).unwrap().sequence, deepest as u64);
    assert_eq!(refusal(&Event::new("x").field("nest", nested(32))), EventError::Depth("nest".to_owned()));
}

#[test]
fn an_entry_is_at_most_64_kib() {
    let store = MemStore::new();
    add(&store, 1, &Event::new("x").field("pad", "")).unwrap();
    let empty = rows(&store, ENTRIES)[0].1.len();
    let room = MAX_ENTRY_BYTES - empty;
    let event = |len: usize| Event::new("x").field("pad", "p".repeat(len));
    let largest = MemStore::new();
    add(&largest, 1, &event(room)).unwrap();
    assert_eq!(rows(&largest, ENTRIES)[0].1.len(), MAX_ENTRY_BYTES);
    assert_eq!(refusal(&event(room + 1)), EventError::Size(MAX_ENTRY_BYTES + 1));
    // What counts is the text as it is stored: a control character takes six bytes.
    let escaped = Event::new("x").field("pad", "\u{1}".repeat(room / 6 + 1));
    assert!(matches!(refusal(&escaped), EventError::Size(_)));
}
