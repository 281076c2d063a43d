//! What every backend promises, run on each of them, in clear and sealed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeMap;
use std::ops::ControlFlow::{Break, Continue};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use proptest::prelude::*;
use quorate_store::{
    Binding, Durable, Kek, MemStore, Read, RedbStore, Sealed, SledStore, Store, StoreError, Txn, open,
    open_sled, update,
};

/// A place a store can be opened at again and again.
struct Place {
    kind: Kind,
    dir: tempfile::TempDir,
    mem: MemStore,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Mem,
    Redb,
    Sled,
    SealedMem,
    SealedRedb,
    SealedSled,
}

impl Place {
    fn new(kind: Kind) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Kek::generate_file(&dir.path().join("kek")).unwrap();
        Self { kind, dir, mem: MemStore::new() }
    }

    fn open(&self) -> Arc<dyn Store> {
        let data = self.dir.path().join("data");
        let kek = Kek::from_file(&self.dir.path().join("kek")).ok().unwrap();
        let binding = Binding { cluster: "test".parse().unwrap(), owner: "node-1".to_owned(), epoch: 1 };
        match self.kind {
            Kind::Mem => Arc::new(self.mem.clone()),
            Kind::Redb => Arc::new(RedbStore::open(&data).unwrap()),
            Kind::Sled => Arc::new(SledStore::open(&data).unwrap()),
            Kind::SealedMem => Arc::new(Sealed::open(self.mem.clone(), &binding, &kek).unwrap()),
            Kind::SealedRedb => open(&data, &binding, &kek).unwrap(),
            Kind::SealedSled => open_sled(&data, &binding, &kek).unwrap(),
        }
    }
}

fn put(store: &dyn Store, records: &[(&str, &[u8], &[u8])]) -> Durable {
    update::<_, StoreError>(store, |txn| records.iter().try_for_each(|(t, k, v)| txn.put(t, k, v))).unwrap().1
}

fn scan(from: &dyn Read, table: &str, prefix: &[u8], start: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    from.scan(table, prefix, start, &mut |key, value| {
        found.push((key.to_vec(), value.to_vec()));
        Continue(())
    })
    .unwrap();
    found
}

fn keys(from: &dyn Read, table: &str, prefix: &[u8], start: &[u8]) -> Vec<Vec<u8>> {
    scan(from, table, prefix, start).into_iter().map(|(key, _)| key).collect()
}

fn get(from: &dyn Read, table: &str, key: &[u8]) -> Option<Vec<u8>> {
    from.get(table, key).unwrap().map(|value| value.to_vec())
}

fn a_new_store_is_empty(place: &Place) {
    let store = place.open();
    assert_eq!(get(&*store, "t", b"k"), None);
    assert!(keys(&*store, "t", b"", b"").is_empty());
}

fn a_commit_is_read_back_and_a_second_put_replaces(place: &Place) {
    let store = place.open();
    let _durable = put(&*store, &[("t", b"k", b"one"), ("t", b"", b"empty key"), ("t", b"e", b"")]);
    assert_eq!(get(&*store, "t", b"k").unwrap(), b"one");
    assert_eq!(get(&*store, "t", b"").unwrap(), b"empty key");
    assert_eq!(get(&*store, "t", b"e").unwrap(), b"", "an empty value is not an absent one");
    let _durable = put(&*store, &[("t", b"k", b"two")]);
    assert_eq!(get(&*store, "t", b"k").unwrap(), b"two");
}

fn tables_are_apart(place: &Place) {
    let store = place.open();
    let _durable = put(&*store, &[("a", b"bc", b"1"), ("ab", b"c", b"2"), ("b", b"", b"3")]);
    assert_eq!(keys(&*store, "a", b"", b""), [b"bc"]);
    assert_eq!(keys(&*store, "ab", b"", b""), [b"c"]);
    assert_eq!(get(&*store, "abc", b""), None);
    assert!(keys(&*store, "abc", b"", b"").is_empty());
}

fn a_refused_table_name_is_an_error(place: &Place) {
    let store = place.open();
    let long = "t".repeat(256);
    for bad in ["", long.as_str()] {
        assert!(matches!(store.get(bad, b""), Err(StoreError::Table { .. })));
        assert!(store.scan(bad, b"", b"", &mut |_, _| Continue(())).is_err());
        let mut txn = store.begin().unwrap();
        assert!(txn.put(bad, b"", b"").is_err() && txn.delete(bad, b"").is_err());
    }
    let _durable = put(&*store, &[(&"t".repeat(255), b"", b"")]);
}

fn a_scan_is_ascending_within_its_prefix_from_its_start(place: &Place) {
    let store = place.open();
    let all: [&[u8]; 9] = [b"", b"\x00", b"a", b"a\x00", b"a\xff", b"a\xff\xff", b"b", b"\xff", b"\xff\xff"];
    let mut shuffled: Vec<_> = all.iter().rev().map(|key| ("t", *key, *key)).collect();
    shuffled.swap(2, 6);
    shuffled.extend([("s", &b"a"[..], &b"other"[..]), ("u", b"a", b"other")]);
    let _durable = put(&*store, &shuffled);
    let txn = store.begin().unwrap();
    for from in [&*store as &dyn Read, &*txn as &dyn Read] {
        assert_eq!(keys(from, "t", b"", b""), all);
        assert_eq!(keys(from, "t", b"a", b""), [&b"a"[..], b"a\x00", b"a\xff", b"a\xff\xff"]);
        assert_eq!(keys(from, "t", b"a", b"a\x01"), [&b"a\xff"[..], b"a\xff\xff"]);
        assert_eq!(keys(from, "t", b"a\xff", b""), [&b"a\xff"[..], b"a\xff\xff"]);
        assert_eq!(keys(from, "t", b"\xff", b"\xff\x00"), [b"\xff\xff"]);
        assert_eq!(keys(from, "t", b"", b"b"), [&b"b"[..], b"\xff", b"\xff\xff"]);
        assert_eq!(keys(from, "t", b"b", b"a"), [b"b"], "a start before the prefix is the prefix's start");
        assert!(keys(from, "t", b"a", b"b").is_empty(), "a start after the prefix finds nothing");
        assert!(keys(from, "t", b"c", b"").is_empty());
    }
}

fn a_scan_stops_where_told(place: &Place) {
    let store = place.open();
    let _durable = put(&*store, &[("t", b"1", b""), ("t", b"2", b""), ("t", b"3", b"")]);
    let txn = store.begin().unwrap();
    for from in [&*store as &dyn Read, &*txn as &dyn Read] {
        let mut seen = 0;
        from.scan("t", b"", b"", &mut |_, _| {
            seen += 1;
            if seen == 2 { Break(()) } else { Continue(()) }
        })
        .unwrap();
        assert_eq!(seen, 2);
    }
}

fn a_visitor_may_read_the_same_store(place: &Place) {
    let store = place.open();
    let records: Vec<[u8; 2]> = (0..100u16).map(u16::to_be_bytes).collect();
    let records: Vec<_> = records.iter().map(|key| ("t", &key[..], &key[..])).collect();
    let _durable = put(&*store, &records);
    let mut txn = store.begin().unwrap();
    txn.put("t", b"zz", b"zz").unwrap();
    for (from, expected) in [(&*store as &dyn Read, 100), (&*txn as &dyn Read, 101)] {
        let mut seen = 0;
        from.scan("t", b"", b"", &mut |key, value| {
            assert_eq!(get(from, "t", key).unwrap(), value);
            assert_eq!(keys(from, "t", key, b"").len(), 1);
            seen += 1;
            Continue(())
        })
        .unwrap();
        assert_eq!(seen, expected);
    }
}

fn a_scan_sees_one_moment(place: &Place) {
    let store = place.open();
    let _durable = put(&*store, &[("t", b"1", b"old"), ("t", b"2", b"old")]);
    let mut seen = Vec::new();
    store
        .scan("t", b"", b"", &mut |key, value| {
            let _durable = put(&*store, &[("t", b"2", b"new"), ("t", b"3", b"new")]);
            seen.push((key.to_vec(), value.to_vec()));
            Continue(())
        })
        .unwrap();
    assert_eq!(seen, [(b"1".to_vec(), b"old".to_vec()), (b"2".to_vec(), b"old".to_vec())]);
    assert_eq!(keys(&*store, "t", b"", b"").len(), 3);
}

fn a_transaction_reads_its_own_writes_and_others_do_not(place: &Place) {
    let store = place.open();
    let _durable = put(&*store, &[("t", b"a", b"1"), ("t", b"b", b"2"), ("t", b"d", b"4")]);
    let mut txn = store.begin().unwrap();
    txn.put("t", b"b", b"20").unwrap();
    txn.put("t", b"c", b"30").unwrap();
    txn.delete("t", b"d").unwrap();
    txn.delete("t", b"never was").unwrap();
    let pairs = |from: &dyn Read| {
        scan(from, "t", b"", b"")
            .into_iter()
            .map(|(k, v)| format!("{}={}", txt(&k), txt(&v)))
            .collect::<Vec<_>>()
    };
    assert_eq!(pairs(&*txn), ["a=1", "b=20", "c=30"]);
    assert_eq!((get(&*txn, "t", b"b"), get(&*txn, "t", b"d")), (Some(b"20".to_vec()), None));
    assert_eq!(pairs(&*store), ["a=1", "b=2", "d=4"]);
    assert_eq!(get(&*store, "t", b"c"), None);
    txn.put("t", b"d", b"40").unwrap();
    assert_eq!(get(&*txn, "t", b"d").unwrap(), b"40", "what was deleted can be written again");
    let _durable = txn.commit().unwrap();
    assert_eq!(pairs(&*store), ["a=1", "b=20", "c=30", "d=40"]);
}

fn txt(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn a_dropped_transaction_never_happened(place: &Place) {
    let store = place.open();
    let _durable = put(&*store, &[("t", b"k", b"kept")]);
    {
        let mut txn = store.begin().unwrap();
        txn.put("t", b"k", b"gone").unwrap();
        txn.put("t", b"l", b"gone").unwrap();
        txn.delete("t", b"k").unwrap();
    }
    let failed: Result<((), Durable), StoreError> = update(&*store, |txn| {
        txn.put("t", b"m", b"gone")?;
        Err(StoreError::TooLarge(0))
    });
    assert!(failed.is_err());
    assert_eq!(scan(&*store, "t", b"", b""), [(b"k".to_vec(), b"kept".to_vec())]);
    drop(store);
    assert_eq!(scan(&*place.open(), "t", b"", b""), [(b"k".to_vec(), b"kept".to_vec())]);
}

fn what_is_committed_and_only_that_is_there_on_reopening(place: &Place) {
    let big = vec![0xa5; 1 << 20];
    for round in 0..3u8 {
        let store = place.open();
        for earlier in 0..round {
            assert_eq!(get(&*store, "t", &[earlier]).unwrap(), [earlier]);
            assert_eq!(get(&*store, "u", &[earlier]), None, "deleted stays deleted");
            assert_eq!(get(&*store, "v", &[earlier]), None);
        }
        let _durable = put(&*store, &[("t", &[round], &[round]), ("u", &[round], b"x"), ("big", b"", &big)]);
        let _durable = update::<_, StoreError>(&*store, |txn| txn.delete("u", &[round])).unwrap().1;
        store.begin().unwrap().put("v", &[round], b"never committed").unwrap();
    }
    assert_eq!(get(&*place.open(), "big", b"").unwrap(), big);
}

fn one_writer_at_a_time(place: &Place) {
    let store = place.open();
    let mut first = store.begin().unwrap();
    let (turn, turns) = mpsc::channel();
    std::thread::scope(|scope| {
        let store = &store;
        scope.spawn(move || {
            let txn = store.begin().unwrap();
            turn.send(get(&*txn, "t", b"k")).unwrap();
        });
        assert!(turns.recv_timeout(Duration::from_millis(50)).is_err(), "the second writer waits");
        first.put("t", b"k", b"first").unwrap();
        let _durable = first.commit().unwrap();
        assert_eq!(turns.recv().unwrap().unwrap(), b"first", "and then sees what the first one wrote");
    });
}

fn concurrent_increments_all_count(place: &Place) {
    let store = place.open();
    let value =
        |read: &dyn Read| get(read, "t", b"n").map_or(0, |v| u32::from_be_bytes(v.try_into().unwrap()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let add = |txn: &mut dyn Txn| txn.put("t", b"n", &(value(&*txn) + 1).to_be_bytes());
                    let _durable = update::<_, StoreError>(&*store, add).unwrap().1;
                }
            });
        }
    });
    assert_eq!(value(&*store), 40);
}

#[derive(Clone, Debug)]
enum Step {
    Put(u8, Vec<u8>, Vec<u8>),
    Delete(u8, Vec<u8>),
    Scan(u8, Vec<u8>, Vec<u8>),
    Commit,
    Rollback,
    Reopen,
}

/// Short keys of few letters, so that they meet.
fn key() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(prop_oneof![Just(0u8), Just(b'a'), Just(b'b'), Just(0xff)], 0..4)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let value = proptest::collection::vec(any::<u8>(), 0..40);
    let step = prop_oneof![
        6 => (0..2u8, key(), value).prop_map(|(t, k, v)| Step::Put(t, k, v)),
        3 => (0..2u8, key()).prop_map(|(t, k)| Step::Delete(t, k)),
        3 => (0..2u8, key(), key()).prop_map(|(t, p, f)| Step::Scan(t, p, f)),
        2 => Just(Step::Commit),
        1 => Just(Step::Rollback),
        1 => Just(Step::Reopen),
    ];
    proptest::collection::vec(step, 1..60)
}

type Model = BTreeMap<(u8, Vec<u8>), Vec<u8>>;
const TABLES: [&str; 2] = ["t", "tt"];

fn expected(model: &Model, table: u8, prefix: &[u8], from: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let matches = |(t, k): &(u8, Vec<u8>)| *t == table && k.starts_with(prefix) && k.as_slice() >= from;
    model.iter().filter(|(at, _)| matches(at)).map(|((_, k), v)| (k.clone(), v.clone())).collect()
}

/// Runs the transactions of `steps` on a store and on a map, and compares all there is to see after every step.
fn agrees_with_the_model(place: &Place, steps: &[Step]) {
    let (mut committed, mut store) = (Model::new(), place.open());
    for transaction in
        steps.split_inclusive(|step| matches!(step, Step::Commit | Step::Rollback | Step::Reopen))
    {
        let mut model = committed.clone();
        let mut txn = store.begin().unwrap();
        for step in transaction {
            match step {
                Step::Put(t, k, v) => {
                    txn.put(TABLES[usize::from(*t)], k, v).unwrap();
                    model.insert((*t, k.clone()), v.clone());
                }
                Step::Delete(t, k) => {
                    txn.delete(TABLES[usize::from(*t)], k).unwrap();
                    model.remove(&(*t, k.clone()));
                }
                Step::Scan(t, p, f) => {
                    let table = TABLES[usize::from(*t)];
                    assert_eq!(scan(&*txn, table, p, f), expected(&model, *t, p, f));
                    assert_eq!(scan(&*store, table, p, f), expected(&committed, *t, p, f));
                    assert_eq!(get(&*txn, table, p), model.get(&(*t, p.clone())).cloned());
                    assert_eq!(get(&*store, table, p), committed.get(&(*t, p.clone())).cloned());
                }
                Step::Commit | Step::Rollback | Step::Reopen => {}
            }
        }
        match transaction.last() {
            Some(Step::Commit) => {
                let _durable = txn.commit().unwrap();
                committed = model;
            }
            last => {
                drop(txn);
                if matches!(last, Some(Step::Reopen)) {
                    drop(store);
                    store = place.open();
                }
            }
        }
        for (t, table) in (0..).zip(TABLES) {
            assert_eq!(scan(&*store, table, b"", b""), expected(&committed, t, b"", b""));
        }
    }
}

macro_rules! conformance {
    ($($backend:ident: $kind:ident, $cases:literal cases;)*) => {
        $(mod $backend {
            use super::*;
            conformance!(@each $kind:
                a_new_store_is_empty
                a_commit_is_read_back_and_a_second_put_replaces
                tables_are_apart
                a_refused_table_name_is_an_error
                a_scan_is_ascending_within_its_prefix_from_its_start
                a_scan_stops_where_told
                a_visitor_may_read_the_same_store
                a_scan_sees_one_moment
                a_transaction_reads_its_own_writes_and_others_do_not
                a_dropped_transaction_never_happened
                what_is_committed_and_only_that_is_there_on_reopening
                one_writer_at_a_time
                concurrent_increments_all_count
            );

            proptest! {
                #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases($cases) })]
                #[test]
                fn agrees_with_a_map(steps in steps()) {
                    agrees_with_the_model(&Place::new(Kind::$kind), &steps);
                }
            }
        })*
    };
    (@each $kind:ident: $($test:ident)*) => {
        $(#[test]
        fn $test() {
            super::$test(&Place::new(Kind::$kind));
        })*
    };
}

conformance! {
    mem: Mem, 256 cases;
    redb: Redb, 24 cases;
    sled: Sled, 12 cases;
    sealed_mem: SealedMem, 128 cases;
    sealed_redb: SealedRedb, 24 cases;
    sealed_sled: SealedSled, 12 cases;
}
