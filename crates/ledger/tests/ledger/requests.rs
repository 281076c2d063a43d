//! A request's life, step by step.

use quorate_ledger::{Claim, Entry, LedgerError, NothingReleased, NothingReleasedError, State, in_flight};
use quorate_store::MemStore;
use quorate_types::U256;

use crate::given::{Ledger, charges, key, payload, wallet};

#[test]
fn one_answer_for_ever() {
    let store = MemStore::new();
    let ledger = Ledger(&store);
    assert_eq!(ledger.claim(payload(0)), Claim::Fresh);
    let reservation = ledger.reserve(payload(0), &charges(&[(0, 5)]), 100).unwrap();
    assert_eq!((reservation.wallet(), reservation.key()), (&wallet(0), &key(0)));
    assert_eq!((reservation.payload_hash(), reservation.at(), reservation.attempt()), (payload(0), 100, 1));
    assert_eq!(ledger.claim(payload(0)), Claim::InFlight(State::Reserved));
    let releasing = ledger.releasing(&reservation).unwrap();
    assert_eq!((releasing.wallet(), releasing.key(), releasing.attempt()), (&wallet(0), &key(0), 1));
    assert_eq!(ledger.claim(payload(0)), Claim::InFlight(State::Releasing));
    assert_eq!(ledger.finish(b"signature", 200).unwrap(), b"signature");

    assert_eq!(ledger.claim(payload(0)), Claim::Done(b"signature".to_vec()));
    assert_eq!(ledger.claim(payload(1)), Claim::Conflict);
    let done = Entry {
        state: State::Done,
        payload_hash: payload(0),
        answer: Some(b"signature".to_vec()),
        answered_at: Some(200),
        charges: charges(&[(0, 5)]),
        at: 100,
        attempt: 1,
    };
    assert_eq!(ledger.entry(), Some(done.clone()));

    // The same answer again is the same answer; every other step is refused and changes nothing.
    assert_eq!(ledger.finish(b"signature", 900).unwrap(), b"signature");
    assert!(matches!(ledger.finish(b"another", 900), Err(LedgerError::Answered)));
    let refused = |result: Result<(), LedgerError>, step: &str| {
        let error = result.unwrap_err().to_string();
        assert_eq!(error, format!("request: cannot {step} while it is done"));
    };
    refused(ledger.reserve(payload(0), &[], 900).map(drop), "reserve");
    refused(ledger.releasing(&reservation).map(drop), "release");
    refused(ledger.void(), "void");
    refused(ledger.void_releasing(1), "void");
    assert!(matches!(ledger.reserve(payload(1), &[], 900), Err(LedgerError::Conflict)));
    assert_eq!(ledger.entry(), Some(done));
    assert_eq!(ledger.spent(0, 0), U256::from(5));
}

#[test]
fn budget_comes_back_before_release_and_after_only_on_the_word_of_the_nodes() {
    let store = MemStore::new();
    let ledger = Ledger(&store);
    ledger.reserve(payload(0), &charges(&[(0, 5), (2, 7)]), 100).unwrap();
    ledger.void().unwrap();
    assert_eq!((ledger.spent(0, 0), ledger.spent(2, 0)), (U256::ZERO, U256::ZERO));
    assert_eq!(ledger.claim(payload(0)), Claim::Fresh);
    // A void does not free the key for another payload, and voiding twice gives nothing back twice.
    assert_eq!(ledger.claim(payload(1)), Claim::Conflict);
    assert!(matches!(ledger.reserve(payload(1), &[], 150), Err(LedgerError::Conflict)));
    ledger.void().unwrap();

    let second = ledger.reserve(payload(0), &charges(&[(0, 5)]), 200).unwrap();
    assert_eq!(second.attempt(), 2);
    ledger.releasing(&second).unwrap();
    let error = ledger.void().unwrap_err();
    assert_eq!(error.to_string(), "request: cannot void while it is releasing");
    assert_eq!(ledger.spent(0, 0), U256::from(5));
    assert!(matches!(ledger.void_releasing(1), Err(LedgerError::Attempt { found: 2, proof: 1 })));
    assert_eq!(ledger.spent(0, 0), U256::from(5));
    ledger.void_releasing(2).unwrap();
    assert_eq!(ledger.spent(0, 0), U256::ZERO);
    assert_eq!(ledger.entry().unwrap().state, State::Void);
}

#[test]
fn the_word_of_no_node_is_no_word() {
    assert_eq!(NothingReleased::said_by(vec![], wallet(0), key(0), 1), Err(NothingReleasedError));
    let nodes = vec!["service-1".parse().unwrap()];
    assert_eq!(NothingReleased::said_by(nodes.clone(), wallet(0), key(0), 1).unwrap().nodes(), nodes);
}

#[test]
fn a_word_about_a_reserved_request_gives_nothing_back() {
    let store = MemStore::new();
    let ledger = Ledger(&store);
    ledger.reserve(payload(0), &charges(&[(0, 5)]), 100).unwrap();
    let found = State::Reserved;
    assert!(matches!(ledger.void_releasing(1), Err(LedgerError::State { found: f, .. }) if f == found));
    assert_eq!(ledger.spent(0, 0), U256::from(5));
}

#[test]
fn the_reservation_of_a_voided_attempt_releases_nothing() {
    let store = MemStore::new();
    let ledger = Ledger(&store);
    let stale = ledger.reserve(payload(0), &charges(&[(0, 5)]), 100).unwrap();
    ledger.void().unwrap();
    assert!(matches!(ledger.releasing(&stale), Err(LedgerError::State { found: State::Void, .. })));
    let fresh = ledger.reserve(payload(0), &charges(&[(0, 5)]), 100).unwrap();
    assert!(matches!(ledger.releasing(&stale), Err(LedgerError::Attempt { found: 2, proof: 1 })));
    ledger.releasing(&fresh).unwrap();
    // One release for one reservation.
    assert!(matches!(ledger.releasing(&fresh), Err(LedgerError::State { found: State::Releasing, .. })));
}

#[test]
fn an_answer_needs_a_release() {
    let store = MemStore::new();
    let ledger = Ledger(&store);
    assert!(matches!(ledger.finish(b"x", 1), Err(LedgerError::NotFound)));
    assert!(matches!(ledger.void(), Err(LedgerError::NotFound)));
    assert!(matches!(ledger.void_releasing(1), Err(LedgerError::NotFound)));
    ledger.reserve(payload(0), &[], 1).unwrap();
    assert!(matches!(ledger.finish(b"x", 1), Err(LedgerError::State { found: State::Reserved, .. })));
    ledger.void().unwrap();
    assert!(matches!(ledger.finish(b"x", 1), Err(LedgerError::State { found: State::Void, .. })));
    assert_eq!(ledger.claim(payload(0)), Claim::Fresh);
}

#[test]
fn what_a_restart_has_to_settle_is_listed() {
    let store = MemStore::new();
    let ledger = Ledger(&store);
    assert_eq!(in_flight(&store).unwrap(), []);
    let reservation = ledger.reserve(payload(0), &charges(&[(0, 5)]), 100).unwrap();
    let listed = || in_flight(&store).unwrap();
    assert_eq!(listed(), [(wallet(0), key(0), ledger.entry().unwrap())]);
    ledger.releasing(&reservation).unwrap();
    assert_eq!(listed(), [(wallet(0), key(0), ledger.entry().unwrap())]);
    assert_eq!(listed()[0].2.state, State::Releasing);
    ledger.finish(b"x", 200).unwrap();
    assert_eq!(listed(), []);
}
