//! One value, one text.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use quorate_audit::{Event, entries, verify};
use quorate_store::MemStore;
use serde_json::{Map, Value};

use crate::given::{ENTRIES, add, rows};

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            btree_map(any::<String>(), inner, 0..6).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn text_of(fields: &[(String, Value)]) -> String {
    let store = MemStore::new();
    let event = fields.iter().fold(Event::new("x"), |event, (name, value)| event.field(name, value.clone()));
    add(&store, 1, &event).unwrap();
    String::from_utf8(rows(&store, ENTRIES).remove(0).1).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_text_depends_on_the_fields_and_not_on_their_order(
        fields in btree_map(any::<String>(), value(), 0..8),
        seed in any::<u64>(),
    ) {
        let sorted: Vec<(String, Value)> = fields.into_iter().collect();
        let mut shuffled = sorted.clone();
        shuffled.sort_by_key(|(name, _)| name.bytes().fold(seed, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3)));
        prop_assert_eq!(text_of(&sorted), text_of(&shuffled));
    }

    #[test]
    fn what_is_recorded_is_what_is_read_and_reading_it_twice_is_the_same(
        fields in btree_map(any::<String>(), value(), 0..8),
        at in any::<u64>(),
    ) {
        let fields: Map<String, Value> = fields.into_iter().collect();
        let store = MemStore::new();
        let event = Event { kind: "x", wallet: None, fields: fields.clone() };
        let receipt = add(&store, at, &event).unwrap();
        let entry = entries(&store, 1, 1).unwrap().remove(0);
        prop_assert_eq!(&entry.fields, &fields);
        prop_assert_eq!((entry.at, entry.hash), (at, receipt.hash));
        // Another encoder, over a map that is sorted, writes the same.
        let other = serde_json::to_string(&fields.iter().collect::<std::collections::BTreeMap<_, _>>()).unwrap();
        let member = format!(",\"fields\":{other},\"kind\"");
        prop_assert!(entry.json.contains(&member), "{}", entry.json);
        // Recording what was read gives the same text again.
        let again = MemStore::new();
        let second = add(&again, at, &Event { kind: "x", wallet: None, fields: entry.fields }).unwrap();
        prop_assert_eq!(second.hash, receipt.hash);
        prop_assert_eq!(verify(&store).unwrap().hash, receipt.hash);
    }

    #[test]
    fn other_fields_are_another_text(
        one in btree_map(any::<String>(), value(), 0..4),
        other in btree_map(any::<String>(), value(), 0..4),
    ) {
        let (one, other): (Vec<_>, Vec<_>) = (one.into_iter().collect(), other.into_iter().collect());
        prop_assert_eq!(one == other, text_of(&one) == text_of(&other));
    }
}
