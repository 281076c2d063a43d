//! Denied attempts, for the limits that count them: once each, for their own wallet, in their window, and not without bound.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use proptest::collection::vec;
use proptest::prelude::*;
use quorate_intent::{Action, Intent, Validity, token_by_symbol};
use quorate_ledger::{Before, IdempotencyKey, count_denied, reserve};
use quorate_policy::{Counted, Decision, Facts, History, MAX_DENIED, RuleFailure, SignedPolicy, evaluate};
use quorate_store::{MemStore, Read, Store, update};
use quorate_types::{Address, B256, U256, UnixMillis, WalletId};

use crate::given::{AGENT, key, payload, wallet};
use crate::schedules::signed;

const CHAIN: u64 = 84532;
pub(crate) const SHOP: Address = Address::repeat_byte(0x11);
pub(crate) const STRANGER: Address = Address::repeat_byte(0x22);
pub(crate) const START: UnixMillis = 1_700_000_000_000;

fn denied_at(read: &dyn Read, wallet: &WalletId, since: UnixMillis) -> Vec<UnixMillis> {
    let mut seen = Vec::new();
    let before = Before::request(read, &"another".parse().unwrap(), None);
    let visited = before.visit(wallet, Counted::Denied, since, &mut |past| {
        assert_eq!((past.amount, past.payee), (U256::ONE, None));
        seen.push(past.at);
        ControlFlow::Continue(())
    });
    visited.unwrap();
    seen
}

fn count(store: &dyn Store, w: usize, key: &IdempotencyKey, hash: B256, at: UnixMillis) -> bool {
    update(store, |txn| count_denied(txn, (&AGENT, &wallet(w)), (key, hash), at)).unwrap().0
}

#[test]
fn the_same_request_is_one_attempt_and_every_other_is_another() {
    let store = MemStore::new();
    assert!(count(&store, 0, &key(0), payload(0), 100));
    assert!(!count(&store, 0, &key(0), payload(0), 100), "at once");
    assert!(!count(&store, 0, &key(0), payload(0), 900), "or later");
    assert!(count(&store, 0, &key(0), payload(1), 100), "a denial binds the key to no payload");
    assert!(count(&store, 0, &key(1), payload(0), 50));
    assert_eq!(denied_at(&store, &wallet(0), 0), [50, 100, 100]);
    assert_eq!(denied_at(&store, &wallet(0), 51), [100, 100]);
    assert!(denied_at(&store, &wallet(0), 101).is_empty());
    // The names of the others are its beginning.
    assert!(denied_at(&store, &wallet(1), 0).is_empty());
    assert!(count(&store, 1, &key(0), payload(0), 100));
    assert_eq!((denied_at(&store, &wallet(1), 0), denied_at(&store, &wallet(2), 0)), (vec![100], vec![]));
}

#[test]
fn the_latest_are_kept_and_no_more() {
    let store = MemStore::new();
    let most = MAX_DENIED;
    // One from a clock that ran ahead: it is the last to go.
    assert!(count(&store, 0, &key(0), B256::ZERO, most * 10));
    for n in 1..=most {
        assert!(count(&store, 0, &key(0), B256::from(U256::from(n)), n));
    }
    let kept = denied_at(&store, &wallet(0), 0);
    assert_eq!(kept, (2..=most).chain([most * 10]).collect::<Vec<_>>());
}

#[test]
fn what_is_not_committed_is_not_counted() {
    let store = MemStore::new();
    let mut txn = store.begin().unwrap();
    assert!(count_denied(txn.as_mut(), (&AGENT, &wallet(0)), (&key(0), payload(0)), 1).unwrap());
    assert_eq!(denied_at(txn.as_ref(), &wallet(0), 0), [1]);
    drop(txn);
    assert!(denied_at(&store, &wallet(0), 0).is_empty());
}

#[test]
fn a_malformed_record_stops_it() {
    let store = MemStore::new();
    assert!(count(&store, 0, &key(0), payload(0), 1));
    let mut row = Vec::new();
    store
        .scan("ledger_denied", &[], &[], &mut |key, _| {
            row = key.to_vec();
            ControlFlow::Break(())
        })
        .unwrap();
    let _synced =
        update::<_, quorate_store::StoreError>(&store, |txn| txn.put("ledger_denied", &row, &[9])).unwrap();
    let again = update(&store, |txn| count_denied(txn, (&AGENT, &wallet(0)), (&key(0), payload(0)), 2));
    assert!(again.is_err());
}

/// A wallet may sign so often in a time, and what was denied counts too.
fn policy(w: usize, max: u64, seconds: u64) -> SignedPolicy {
    signed(format!(
        "policy: quorate/v1\ncluster: example\nwallet: {}\nversion: 1\nrules:\n  chains: [base-sepolia]\n  \
         per_transaction: [{{ asset: USDC, chain: base-sepolia, max: \"1\" }}]\n  max_fee: [{{ chain: base-sepolia, max: \
         \"1\" }}]\n  recipients: [{{ address: \"{SHOP}\", label: shop }}]\n  velocity: [{{ max: {max}, denied: true, \
         window: {{ rolling_s: {seconds} }} }}]\n",
        wallet(w)
    ))
}

pub(crate) fn pay(recipient: Address) -> Intent {
    Intent {
        chain: Some(CHAIN),
        signer: None,
        action: Action::TokenTransfer {
            token: token_by_symbol(CHAIN, "USDC").unwrap().address,
            recipient,
            amount: U256::ONE,
            authorization: None,
        },
        native_value: U256::ZERO,
        max_native_fee: U256::ZERO,
        transaction: None,
        validity: Validity::default(),
    }
}

#[derive(Debug, Clone)]
struct Ask {
    w: usize,
    /// Names a denied request: few, so that some are asked again.
    nth: u8,
    good: bool,
    later_ms: u64,
    earlier_ms: u64,
    /// The process dies before the commit.
    lost: bool,
}

/// The same, kept and added up the slow way.
#[derive(Default)]
struct Model {
    signed: Vec<UnixMillis>,
    denied: Vec<(u8, UnixMillis)>,
}

/// One transaction, as the gate has it: evaluate, and count what came of it.
fn gate(
    store: &MemStore,
    policy: &SignedPolicy,
    ask: &Ask,
    step: usize,
    now: UnixMillis,
) -> Vec<RuleFailure> {
    let (wallet, intent) = (wallet(ask.w), pay(if ask.good { SHOP } else { STRANGER }));
    let nth = if ask.good { step + 1000 } else { usize::from(ask.nth) };
    let (key, hash): (IdempotencyKey, _) = (format!("k{nth}").parse().unwrap(), B256::from(U256::from(nth)));
    let mut txn = store.begin().unwrap();
    let facts = Facts::of(&wallet, &AGENT, Address::ZERO, &intent, now);
    let decision = evaluate(Some(policy), &facts, &Before::request(txn.as_ref(), &key, None)).unwrap();
    let (pending, failures) = match decision {
        Decision::Allow(approval) => (Some(reserve(txn.as_mut(), approval, &key, hash).unwrap()), Vec::new()),
        Decision::Deny(denial) => {
            if denial.is_attempt() {
                count_denied(txn.as_mut(), (&AGENT, &wallet), (&key, hash), now).unwrap();
            }
            (None, denial.failures)
        }
    };
    if !ask.lost {
        let durable = txn.commit().unwrap();
        pending.map(|pending| pending.confirm(&durable));
    }
    failures
}

fn play(max: u64, seconds: u64, asks: &[Ask]) {
    let (store, mut now) = (MemStore::new(), START);
    let policies = [policy(0, max, seconds), policy(1, max, seconds)];
    let mut models = [Model::default(), Model::default()];
    for (step, ask) in asks.iter().enumerate() {
        now = now + ask.later_ms - ask.earlier_ms;
        let model = &mut models[ask.w];
        let within = |at: &UnixMillis| *at + seconds * 1000 > now;
        let counted = model.signed.iter().filter(|at| within(at)).count()
            + model.denied.iter().filter(|(_, at)| within(at)).count();
        let full = counted as u64 >= max;
        let failures = gate(&store, &policies[ask.w], ask, step, now);
        let rules: Vec<_> = failures.iter().map(|failure| failure.rule.as_str()).collect();
        let expected = [("recipients", !ask.good), ("velocity", full)];
        assert_eq!(
            rules,
            expected.iter().filter(|(_, fails)| *fails).map(|(rule, _)| *rule).collect::<Vec<_>>()
        );
        if ask.lost {
            continue;
        }
        match (ask.good, full) {
            (true, false) => model.signed.push(now),
            (false, false) if model.denied.iter().all(|(nth, _)| *nth != ask.nth) => {
                model.denied.push((ask.nth, now));
            }
            _ => {}
        }
        for (w, model) in models.iter().enumerate() {
            let mut kept: Vec<_> = model.denied.iter().map(|(_, at)| *at).collect();
            kept.sort_unstable();
            assert_eq!(denied_at(&store, &wallet(w), 0), kept, "wallet {w}");
        }
    }
}

fn ask() -> impl Strategy<Value = Ask> {
    let later = prop_oneof![2 => Just(0u64), 3 => 0u64..40_000, 1 => Just(60_000u64), 1 => Just(59_999u64)];
    (0usize..2, 0u8..12, prop::bool::weighted(0.4), later, 0u64..2_000, prop::bool::weighted(0.1)).prop_map(
        |(w, nth, good, later_ms, earlier_ms, lost)| Ask { w, nth, good, later_ms, earlier_ms, lost },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn denied_attempts_and_signatures_share_a_window(max in 0u64..6, seconds in 60u64..90, asks in vec(ask(), 1..40)) {
        play(max, seconds, &asks);
    }
}

/// Whoever is denied for coming too often and goes on asking is let through when the window has passed all the same.
#[test]
fn asking_on_does_not_lock_a_wallet_out() {
    let asks =
        (0..200u8).map(|nth| Ask { w: 0, nth, good: false, later_ms: 1_000, earlier_ms: 0, lost: false });
    let wait = Ask { w: 0, nth: 0, good: true, later_ms: 60_000, earlier_ms: 0, lost: false };
    let distinct: BTreeSet<_> = asks.clone().map(|ask| ask.nth).collect();
    assert_eq!(distinct.len(), 200);
    let store = MemStore::new();
    let (policy, mut now) = (policy(0, 3, 60), START);
    for (step, ask) in asks.enumerate() {
        now += ask.later_ms;
        gate(&store, &policy, &ask, step, now);
    }
    assert!(denied_at(&store, &wallet(0), 0).len() <= 12, "three in each minute at most");
    assert_eq!(gate(&store, &policy, &wait, 500, now + wait.later_ms), []);
}
