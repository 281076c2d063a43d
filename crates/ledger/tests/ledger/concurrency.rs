//! Two requests against one limit.

use std::sync::Barrier;
use std::thread;

use quorate_ledger::{IdempotencyKey, LedgerError, Reservation, reserve, spent};
use quorate_store::{MemStore, Store};
use quorate_types::U256;

use crate::given::{approved, asset, charges, payload, wallet};

const LIMIT: u64 = 100;
const AMOUNT: u64 = 30;

/// What a gate does: the check and the reservation in one transaction.
fn within_limit(store: &dyn Store, key: &IdempotencyKey) -> Result<Option<Reservation>, LedgerError> {
    let mut txn = store.begin()?;
    let before = spent(txn.as_ref(), &wallet(0), &asset(0), 0)?;
    if before + U256::from(AMOUNT) > U256::from(LIMIT) {
        return Ok(None);
    }
    // Room for another thread to slip in, were it let.
    thread::yield_now();
    let approval = approved(0, &charges(&[(0, AMOUNT)]), 100);
    let pending = reserve(txn.as_mut(), approval, key, payload(0))?;
    Ok(Some(pending.confirm(&txn.commit()?)))
}

#[test]
fn two_threads_never_both_take_the_last_of_a_limit() {
    for round in 0..50 {
        let store = MemStore::new();
        let start = Barrier::new(8);
        let passed: usize = thread::scope(|scope| {
            let spawn = |n: usize| {
                let (store, start) = (&store, &start);
                scope.spawn(move || {
                    start.wait();
                    let key = format!("request-{n}").parse().unwrap();
                    usize::from(within_limit(store, &key).unwrap().is_some())
                })
            };
            let threads: Vec<_> = (0..8).map(spawn).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(passed, 3, "round {round}");
        assert_eq!(spent(&store, &wallet(0), &asset(0), 0).unwrap(), U256::from(90));
    }
}

#[test]
fn of_two_identical_requests_at_once_one_is_reserved() {
    for _ in 0..50 {
        let store = MemStore::new();
        let start = Barrier::new(2);
        let outcomes: Vec<_> = thread::scope(|scope| {
            let spawn = |_| {
                let (store, start) = (&store, &start);
                scope.spawn(move || {
                    start.wait();
                    within_limit(store, &"same".parse().unwrap())
                })
            };
            let threads: Vec<_> = (0..2).map(spawn).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let reserved = outcomes.iter().filter(|o| matches!(o, Ok(Some(_)))).count();
        let told = outcomes.iter().filter(|o| matches!(o, Err(LedgerError::State { .. }))).count();
        assert_eq!((reserved, told), (1, 1));
        assert_eq!(spent(&store, &wallet(0), &asset(0), 0).unwrap(), U256::from(AMOUNT));
    }
}
