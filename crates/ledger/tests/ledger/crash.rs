//! A disk that fails while the ledger commits.

use std::sync::Arc;

use quorate_ledger::{LedgerError, State, in_flight};
use quorate_store::{Aftermath, FailingStore, MemStore, StoreError};
use quorate_types::U256;

use crate::given::{Ledger, charges, payload};

fn synced<T: std::fmt::Debug>(result: Result<T, LedgerError>) {
    match result {
        Err(LedgerError::Store(error)) => assert!(error.is_fatal(), "{error}"),
        other => panic!("expected a failed sync, got {other:?}"),
    }
}

/// What a restart finds, where the commit of a step failed: (state, spent).
fn found(store: &FailingStore) -> (Option<State>, U256) {
    let ledger = Ledger(store);
    let listed = in_flight(store).unwrap().len();
    let state = ledger.entry().map(|entry| entry.state);
    assert_eq!(listed, usize::from(matches!(state, Some(State::Reserved | State::Releasing))));
    (state, ledger.spent(0, 0))
}

type Step = fn(&Ledger<'_>) -> Result<(), LedgerError>;

/// Runs `before`, then `step` on a disk that fails, and looks after a restart.
fn fail_at(before: Step, step: Step, aftermath: Aftermath) -> (Option<State>, U256) {
    let store = FailingStore::new(Arc::new(MemStore::new()));
    before(&Ledger(&store)).unwrap();
    store.fail_commit_after(0, aftermath);
    synced(step(&Ledger(&store)));
    found(&store.restart())
}

const NOTHING: Step = |_| Ok(());
const RESERVE: Step = |ledger| ledger.reserve(payload(0), &charges(&[(0, 5)]), 100).map(drop);
const RESERVE_AND_RELEASE: Step = |ledger| {
    let reservation = ledger.reserve(payload(0), &charges(&[(0, 5)]), 100)?;
    ledger.releasing(&reservation).map(drop)
};

#[test]
fn a_failed_commit_leaves_nothing_or_everything_and_never_less_than_what_was_released() {
    let (five, zero) = (U256::from(5), U256::ZERO);
    let finish: Step = |ledger| ledger.finish(b"x", 200).map(drop);
    let void: Step = |ledger| ledger.void();
    let void_releasing: Step = |ledger| ledger.void_releasing(1);
    // before, step, what is found where the write was lost, and where it was kept
    let cases: [(Step, Step, _, _); 4] = [
        (NOTHING, RESERVE, (None, zero), (Some(State::Reserved), five)),
        (RESERVE, void, (Some(State::Reserved), five), (Some(State::Void), zero)),
        (RESERVE_AND_RELEASE, finish, (Some(State::Releasing), five), (Some(State::Done), five)),
        (RESERVE_AND_RELEASE, void_releasing, (Some(State::Releasing), five), (Some(State::Void), zero)),
    ];
    for (n, (before, step, lost, kept)) in cases.into_iter().enumerate() {
        assert_eq!(fail_at(before, step, Aftermath::Lost), lost, "case {n}");
        assert_eq!(fail_at(before, step, Aftermath::Kept), kept, "case {n}");
    }
}

#[test]
fn a_release_that_was_not_synced_is_no_release() {
    for (aftermath, state) in [(Aftermath::Lost, State::Reserved), (Aftermath::Kept, State::Releasing)] {
        let store = FailingStore::new(Arc::new(MemStore::new()));
        let reservation = Ledger(&store).reserve(payload(0), &charges(&[(0, 5)]), 100).unwrap();
        store.fail_commit_after(0, aftermath);
        synced(Ledger(&store).releasing(&reservation));
        assert_eq!(found(&store.restart()), (Some(state), U256::from(5)));
    }
}

#[test]
fn a_lost_charge_is_charged_afresh_and_a_kept_one_is_not_charged_twice() {
    for (aftermath, first, at) in [(Aftermath::Lost, true, 200), (Aftermath::Kept, false, 100)] {
        let store = FailingStore::new(Arc::new(MemStore::new()));
        store.fail_commit_after(0, aftermath);
        synced(Ledger(&store).charge(payload(0), &charges(&[(0, 5)]), 100));
        let restarted = store.restart();
        let ledger = Ledger(&restarted);
        let charged = ledger.charge(payload(0), &charges(&[(0, 5)]), 200).unwrap();
        assert_eq!((charged.is_first(), charged.at()), (first, at));
        assert_eq!(ledger.spent(0, 0), U256::from(5));
    }
}

#[test]
fn an_unreadable_disk_is_an_error_not_an_empty_ledger() {
    let store = FailingStore::new(Arc::new(MemStore::new()));
    let ledger = Ledger(&store);
    ledger.reserve(payload(0), &charges(&[(0, 5)]), 100).unwrap();
    store.fail_reads(true);
    let unreadable = |result: Result<(), LedgerError>| {
        assert!(matches!(result, Err(LedgerError::Store(StoreError::Corrupt(_)))));
    };
    use crate::given::{asset, key, wallet};
    unreadable(quorate_ledger::spent(&store, &wallet(0), &asset(0), 0).map(drop));
    unreadable(quorate_ledger::claim(&store, &wallet(0), &key(0), payload(0)).map(drop));
    unreadable(quorate_ledger::charged(&store, &wallet(0), payload(0)).map(drop));
    unreadable(ledger.reserve(payload(0), &[], 200).map(drop));
    unreadable(ledger.charge(payload(0), &[], 200).map(drop));
    unreadable(in_flight(&store).map(drop));
}
