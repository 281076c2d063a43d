//! Sums out of running totals are what adding up every record gives, whatever happened in whatever order.

use std::cell::Cell;

use proptest::collection::vec;
use proptest::prelude::*;
use quorate_intent::{AssetId, Charge, Once};
use quorate_ledger::{Before, LedgerError, charge, count_denied, finish, reserve, reserve_releasing, void};
use quorate_policy::{Approval, Counted, Full, History, add_up};
use quorate_store::{MemStore, Read, Store, StoreError, Txn, Value, Visit, update};
use quorate_types::{Address, B256, U256, UnixMillis};

use crate::given::{AGENT, Ledger, PAYEE, asset, charges, key, payload, wallet};
use crate::malformed::{put, rows};

const OTHER: Address = Address::repeat_byte(8);

/// Something that is approved.
#[derive(Debug, Clone)]
struct Asked {
    moved: Vec<Charge>,
    payee: Option<Address>,
    landing: Option<(u64, Once)>,
}

impl Asked {
    fn approval(&self, at: UnixMillis) -> Approval<Full> {
        let approval = Approval::fixture((wallet(0), AGENT.clone()), self.moved.clone(), self.payee, at);
        match self.landing {
            None => approval,
            Some((fee, once)) => {
                approval.landing(Charge { asset: AssetId::native(1), amount: U256::from(fee) }, once)
            }
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Reserve {
        k: usize,
        asked: Asked,
    },
    /// Reserved and answered: it stands.
    Answer {
        k: usize,
        asked: Asked,
    },
    Void {
        k: usize,
    },
    Charge {
        p: u8,
        asked: Asked,
    },
    Deny {
        p: u8,
    },
}

/// What each comes to is tested elsewhere: here one that is refused changes nothing.
fn take(txn: &mut dyn Txn, step: &Step, now: UnixMillis) -> Result<(), LedgerError> {
    match step {
        Step::Reserve { k, asked } => {
            let _reserved = reserve(txn, asked.approval(now), &key(*k), payload(*k as u8))?;
        }
        Step::Answer { k, asked } => {
            let _releasing = reserve_releasing(txn, asked.approval(now), &key(*k), payload(*k as u8))?;
            let _answer = finish(txn, &wallet(0), &key(*k), b"signed", now)?;
        }
        Step::Void { k } => void(txn, &wallet(0), &key(*k))?,
        Step::Charge { p, asked } => {
            let _charged = charge(txn, asked.approval(now), payload(*p))?;
        }
        Step::Deny { p } => {
            count_denied(txn, (&AGENT, &wallet(0)), (&key(0), payload(*p)), now)?;
        }
    }
    Ok(())
}

fn all_counted() -> impl Iterator<Item = Counted> {
    [Counted::Signatures, Counted::Denied, Counted::Fee(1)]
        .into_iter()
        .chain((0..3).map(|n| Counted::Asset(asset(n))))
}

/// Every sum there is, from every moment at which it changes.
fn compare(store: &dyn Store, edges: &[UnixMillis], onces: &[Option<Once>]) {
    let asked = key(0);
    for once in onces {
        let befores = [Before::request(store, &asked, *once), Before::payload(store, payload(0), *once)];
        for before in befores {
            for (counted, since) in all_counted().flat_map(|c| edges.iter().map(move |at| (c, *at))) {
                for payee in [None, Some(PAYEE), Some(OTHER)] {
                    let sum = before.sum(&wallet(0), counted, payee, since).unwrap();
                    let slow = add_up(&before, (&wallet(0), counted), payee, since).unwrap();
                    assert_eq!(sum, slow, "{counted:?} since {since} for {payee:?}");
                }
            }
        }
    }
}

fn once() -> impl Strategy<Value = Once> {
    (0u8..2, 0u8..2).prop_map(|(place, effect)| Once {
        place: B256::repeat_byte(place),
        effect: B256::repeat_byte(effect),
    })
}

fn asked() -> impl Strategy<Value = Asked> {
    let amount = prop_oneof![6 => (0u64..100).prop_map(U256::from), 1 => Just(U256::MAX)];
    let moved = vec((0usize..3, amount).prop_map(|(a, amount)| Charge { asset: asset(a), amount }), 0..3);
    let payee = prop_oneof![Just(None), Just(Some(PAYEE)), Just(Some(OTHER))];
    (moved, payee, prop::option::of((0u64..50, once()))).prop_map(|(moved, payee, landing)| Asked {
        moved,
        payee,
        landing,
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0usize..3, asked()).prop_map(|(k, asked)| Step::Reserve { k, asked }),
        2 => (0usize..3, asked()).prop_map(|(k, asked)| Step::Answer { k, asked }),
        3 => (0usize..3).prop_map(|k| Step::Void { k }),
        4 => (0u8..4, asked()).prop_map(|(p, asked)| Step::Charge { p, asked }),
        1 => (0u8..3).prop_map(|p| Step::Deny { p }),
    ]
}

/// Time goes on, or back, before each step.
fn timed() -> impl Strategy<Value = (Step, u64, u64)> {
    let back = prop_oneof![4 => Just(0u64), 1 => 0u64..300];
    (step(), 0u64..100, back)
}

/// As software wrote it that kept no totals: the records alone, of the versions before.
fn forget_totals(store: &dyn Store) {
    for (table, version) in [("ledger_spend", 2), ("ledger_signature", 1), ("ledger_denied", 1)] {
        for (key, mut record) in rows(store, table) {
            record[0] = version;
            put(store, table, &key, &record);
        }
    }
    without_totals(store);
}

pub(crate) fn without_totals(store: &dyn Store) {
    for table in ["ledger_total", "ledger_origin"] {
        let gone = rows(store, table);
        let forget = |txn: &mut dyn Txn| gone.iter().try_for_each(|(key, _)| txn.delete(table, key));
        let ((), _synced) = update::<_, StoreError>(store, forget).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_sum_is_what_adding_up_gives(
        history in vec(timed(), 1..20),
        upgraded_at in prop::option::of(0usize..20),
        place in once(),
    ) {
        let (store, mut now, mut edges) = (MemStore::new(), 1000, vec![0, UnixMillis::MAX]);
        for (nth, (step, later, back)) in history.iter().enumerate() {
            now = now + later - back;
            edges.extend([now, now + 1]);
            let _refused_or_synced = update(&store, |txn| take(txn, step, now));
            if upgraded_at == Some(nth) {
                forget_totals(&store);
            }
        }
        compare(&store, &edges, &[None, Some(place)]);
    }
}

/// A policy reads the sum of what it never had a reason to count before.
#[test]
fn what_an_older_version_counted_is_in_the_sums_after_the_next_count() {
    let store = MemStore::new();
    let sum = |payee, since| {
        let before = Before::payload(&store, payload(9), None);
        before.sum(&wallet(0), Counted::Asset(asset(0)), payee, since).unwrap().unwrap()
    };
    Ledger(&store).charge(payload(0), &charges(&[(0, 5)]), 100).unwrap();
    Ledger(&store).charge(payload(1), &charges(&[(0, 7)]), 200).unwrap();
    forget_totals(&store);
    assert_eq!(sum(None, 0), U256::from(12), "before anything is counted");
    Ledger(&store).charge(payload(2), &charges(&[(0, 11)]), 300).unwrap();
    assert_eq!((sum(None, 0), sum(None, 101)), (U256::from(23), U256::from(18)));
    assert_eq!((sum(Some(PAYEE), 0), sum(Some(OTHER), 0)), (U256::from(23), U256::ZERO));
    assert!(rows(&store, "ledger_total").len() > 3);
}

#[test]
fn a_malformed_total_stops_it() {
    let store = MemStore::new();
    Ledger(&store).charge(payload(0), &charges(&[(0, 5)]), 100).unwrap();
    for (place, record) in rows(&store, "ledger_total") {
        for bad in [&[][..], &record[..record.len() - 1], &[record.as_slice(), &[0]].concat()] {
            put(&store, "ledger_total", &place, bad);
            let before = Before::payload(&store, payload(9), None);
            let sum = |counted| before.sum(&wallet(0), counted, Some(PAYEE), 0);
            let read = sum(Counted::Asset(asset(0))).and_then(|_| sum(Counted::Signatures));
            // The payee's chains are read where a limit is for each payee, and the others where it is not.
            let read = read.and_then(|_| before.sum(&wallet(0), Counted::Asset(asset(0)), None, 0));
            let read = read.and_then(|_| before.sum(&wallet(0), Counted::Signatures, None, 0));
            assert_eq!(read.unwrap_err().to_string(), "ledger: malformed record in table ledger_total");
            put(&store, "ledger_total", &place, &record);
        }
    }
}

/// The sum is told from a few records, however many there are: no scan of a window.
#[test]
fn a_sum_is_read_from_two_records() {
    let store = MemStore::new();
    for n in 0..100u8 {
        Ledger(&store).charge(payload(n), &charges(&[(0, 1)]), 100 + u64::from(n)).unwrap();
    }
    let counting = Counting { store: &store, seen: Cell::new(0) };
    let before = Before::payload(&counting, payload(200), None);
    let sum = before.sum(&wallet(0), Counted::Asset(asset(0)), None, 0).unwrap();
    assert_eq!((sum, counting.seen.get()), (Some(U256::from(100)), 3));
}

/// Counts the records that are read.
struct Counting<'a> {
    store: &'a MemStore,
    seen: Cell<usize>,
}

impl Read for Counting<'_> {
    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Value>, StoreError> {
        let found = self.store.get(table, key)?;
        self.seen.set(self.seen.get() + usize::from(found.is_some()));
        Ok(found)
    }

    fn scan(&self, table: &str, prefix: &[u8], from: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.store.scan(table, prefix, from, &mut |key, value| {
            self.seen.set(self.seen.get() + 1);
            visit(key, value)
        })
    }
}
