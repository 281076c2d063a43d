//! Limits of an agent: what all its wallets did counts, each request once, and nothing of another agent's.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use quorate_ledger::{Before, IdempotencyKey, LedgerError, charge, count_denied, reserve, void};
use quorate_policy::{Approval, Counted, Decision, Facts, Full, History, SignedPolicy, evaluate};
use quorate_store::{MemStore, Store, Txn, update};
use quorate_types::{Address, AgentId, B256, U256, UnixMillis};

use crate::denied::{SHOP, START, STRANGER, pay};
use crate::given::{asset, charges, key, payload, wallet};
use crate::malformed::{put, rows};
use crate::schedules::signed;

/// The first two wallets are one agent's, and the third is another's, whose name is the beginning of the first's.
fn agent(w: usize) -> AgentId {
    ["bot", "bot", "bo"][w].parse().unwrap()
}

fn approved(w: usize, amount: u64, at: UnixMillis) -> Approval<Full> {
    Approval::fixture((wallet(w), agent(w)), charges(&[(0, amount)]), None, at)
}

fn sum(
    before: &Before<'_>,
    w: usize,
    counted: Counted,
    since: UnixMillis,
) -> Result<Option<U256>, LedgerError> {
    before.sum_of_agent((&agent(w), &wallet(w)), counted, since)
}

/// Signatures, and what was spent, as a request of each wallet reads them that is under no key and of no payload there is.
fn sums(store: &dyn Store, since: UnixMillis) -> [(u64, u64); 3] {
    let before = Before::payload(store, payload(99), None);
    [0, 1, 2].map(|w| {
        let of = |counted| sum(&before, w, counted, since).unwrap().unwrap().to::<u64>();
        (of(Counted::Signatures), of(Counted::Asset(asset(0))))
    })
}

fn reserved(store: &dyn Store, w: usize, k: usize, amount: u64, at: UnixMillis) {
    let approval = approved(w, amount, at);
    let (pending, durable) = update(store, |txn| reserve(txn, approval, &key(k), payload(0))).unwrap();
    pending.confirm(&durable);
}

#[test]
fn each_wallet_of_an_agent_reads_what_all_of_them_did() {
    let store = MemStore::new();
    reserved(&store, 0, 0, 5, 100);
    assert_eq!(sums(&store, 0), [(1, 5), (1, 5), (0, 0)], "also one for which nothing was counted yet");
    reserved(&store, 1, 0, 7, 200);
    reserved(&store, 2, 0, 11, 300);
    assert_eq!(sums(&store, 0), [(2, 12), (2, 12), (1, 11)]);
    assert_eq!(sums(&store, 101), [(1, 7), (1, 7), (1, 11)]);
    assert_eq!(sums(&store, 201), [(0, 0), (0, 0), (1, 11)]);
    // What is given back is given back to all of them.
    let ((), _synced) = update(&store, |txn| void(txn, &wallet(0), &key(0))).unwrap();
    assert_eq!(sums(&store, 0), [(1, 7), (1, 7), (1, 11)]);
}

/// Two wallets may use one idempotency key, and sign one payload.
#[test]
fn only_the_request_itself_is_excepted_and_not_its_double_in_another_wallet() {
    let store = MemStore::new();
    reserved(&store, 0, 0, 5, 100);
    reserved(&store, 1, 0, 7, 100);
    let again = Before::request(&store, &key(0), None);
    assert_eq!(sum(&again, 0, Counted::Signatures, 0).unwrap(), Some(U256::from(1)));
    assert_eq!(sum(&again, 0, Counted::Asset(asset(0)), 0).unwrap(), Some(U256::from(7)));
    assert_eq!(sum(&again, 1, Counted::Asset(asset(0)), 0).unwrap(), Some(U256::from(5)));

    let store = MemStore::new();
    for w in [0, 1] {
        let _charged = update(&store, |txn| charge(txn, approved(w, 5, 100), payload(0))).unwrap();
    }
    let again = Before::payload(&store, payload(0), None);
    assert_eq!(sum(&again, 0, Counted::Signatures, 0).unwrap(), Some(U256::from(1)));
}

#[test]
fn sums_that_are_too_much_together_are_none() {
    let store = MemStore::new();
    for (w, amount) in [(0, U256::MAX), (1, U256::ONE)] {
        let charges = vec![quorate_intent::Charge { asset: asset(0), amount }];
        let approval = Approval::fixture((wallet(w), agent(w)), charges, None, 100);
        let _charged = update(&store, |txn| charge(txn, approval, payload(0))).unwrap();
    }
    let before = Before::payload(&store, payload(9), None);
    assert_eq!(sum(&before, 0, Counted::Asset(asset(0)), 0).unwrap(), None);
    assert_eq!(sum(&before, 2, Counted::Asset(asset(0)), 0).unwrap(), Some(U256::ZERO));
}

/// What takes too long to add up is denied, and not what other agents ask.
#[test]
fn an_agent_of_more_wallets_than_are_added_up_is_told_no_sum() {
    let store = MemStore::new();
    let count = |number: usize| {
        let wallet = format!("wallet-{number}").parse().unwrap();
        let approval = Approval::fixture((wallet, agent(0)), charges(&[(0, 1)]), None, 100);
        let _charged = update(&store, |txn| charge(txn, approval, payload(0))).unwrap();
    };
    let read = |w| sum(&Before::payload(&store, payload(9), None), w, Counted::Signatures, 0).unwrap();
    (0..64).for_each(count);
    assert_eq!(read(0), Some(U256::from(64)));
    count(64);
    assert_eq!((read(0), read(2)), (None, Some(U256::ZERO)));
}

/// A wallet that is told to be another's would be missing from its own agent's count.
#[test]
fn a_malformed_record_stops_it() {
    let store = MemStore::new();
    reserved(&store, 0, 0, 5, 100);
    let [(place, record)] = &rows(&store, "ledger_agent")[..] else { panic!("one wallet, one record") };
    let renamed = [&record[..record.len() - 1], b"x"].concat();
    for bad in [&[][..], &record[..record.len() - 1], &[record.as_slice(), &[0]].concat(), &renamed] {
        put(&store, "ledger_agent", place, bad);
        let read = sum(&Before::payload(&store, payload(9), None), 1, Counted::Signatures, 0);
        assert_eq!(read.unwrap_err().to_string(), "ledger: malformed record in table ledger_agent");
    }
}

/// What is not committed is no wallet of the agent's either.
#[test]
fn a_wallet_is_noted_in_the_transaction_that_counts() {
    let store = MemStore::new();
    let mut txn = store.begin().unwrap();
    let of = (&agent(0), &wallet(0));
    assert!(count_denied(txn.as_mut(), of, (&key(0), payload(0)), 1).unwrap());
    assert_eq!(rows_of(txn.as_ref()), 1);
    drop(txn);
    assert!(rows(&store, "ledger_agent").is_empty());
}

fn rows_of(read: &dyn quorate_store::Read) -> usize {
    let before = Before::payload(read, payload(9), None);
    sum(&before, 1, Counted::Denied, 0).unwrap().unwrap().to()
}

/// All of its agent's wallets may sign so often in a time, and what was denied counts too.
fn policy(w: usize, max: u64, denied: bool) -> SignedPolicy {
    signed(format!(
        "policy: quorate/v1\ncluster: example\nwallet: {}\nversion: 1\nrules:\n  chains: [base-sepolia]\n  \
         per_transaction: [{{ asset: USDC, chain: base-sepolia, max: \"1\" }}]\n  max_fee: [{{ chain: base-sepolia, max: \
         \"1\" }}]\n  recipients: [{{ address: \"{SHOP}\", label: shop }}]\n  velocity: [{{ max: {max}, per: agent, denied: \
         {denied}, window: {{ rolling_s: 60 }} }}]\n",
        wallet(w)
    ))
}

/// Whose ledger it is: the coordinator's, by key and with requests that are given up, or the service node's, by payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Coordinator,
    Service,
}

#[derive(Debug, Clone)]
enum Step {
    /// Few names, which all wallets use.
    Ask {
        w: usize,
        nth: u8,
        good: bool,
    },
    GiveUp {
        w: usize,
        nth: u8,
    },
    /// Time goes on, or back.
    Wait {
        later_ms: u64,
        earlier_ms: u64,
    },
}

fn name(nth: u8) -> (IdempotencyKey, B256) {
    (format!("k{nth}").parse().unwrap(), B256::repeat_byte(nth))
}

/// The same, kept and added up the slow way, by wallet and name.
#[derive(Default)]
struct Model {
    signed: BTreeMap<(usize, u8), UnixMillis>,
    denied: BTreeMap<(usize, u8), UnixMillis>,
}

impl Model {
    /// What counts against one request.
    fn used(&self, (w, nth): (usize, u8), denied: bool, now: UnixMillis) -> usize {
        let counts = |(at, time): (&(usize, u8), &UnixMillis)| agent(at.0) == agent(w) && time + 60_000 > now;
        let signed = self.signed.iter().filter(|(at, _)| **at != (w, nth)).filter(|row| counts(*row)).count();
        signed + if denied { self.denied.iter().filter(|row| counts(*row)).count() } else { 0 }
    }
}

/// One transaction: evaluate, and count what came of it. The rules that failed.
fn ask(
    txn: &mut dyn Txn,
    at: At,
    policy: &SignedPolicy,
    step: (usize, u8, bool),
    now: UnixMillis,
) -> Vec<String> {
    let (w, nth, good) = step;
    let ((key, hash), of, intent) =
        (name(nth), (wallet(w), agent(w)), pay(if good { SHOP } else { STRANGER }));
    let facts = Facts::of(&of.0, &of.1, Address::ZERO, &intent, now);
    let decision = match at {
        At::Coordinator => evaluate(Some(policy), &facts, &Before::request(txn, &key, None)),
        At::Service => evaluate(Some(policy), &facts, &Before::payload(txn, hash, None)),
    };
    match (decision.unwrap(), at) {
        (Decision::Allow(approval), At::Coordinator) => drop(reserve(txn, approval, &key, hash).unwrap()),
        (Decision::Allow(approval), At::Service) => drop(charge(txn, approval, hash).unwrap()),
        (Decision::Deny(denial), _) => {
            if denial.is_attempt() {
                count_denied(txn, (&of.1, &of.0), (&key, hash), now).unwrap();
            }
            return denial.failures.into_iter().map(|failure| failure.rule).collect();
        }
    }
    Vec::new()
}

fn play(at: At, (max, denied): (u64, bool), steps: &[Step]) {
    let (store, mut model, mut now) = (MemStore::new(), Model::default(), START);
    let policies = [0, 1, 2].map(|w| policy(w, max, denied));
    for step in steps {
        match *step {
            Step::Wait { later_ms, earlier_ms } => now = now + later_ms - earlier_ms,
            Step::GiveUp { w, nth } => {
                if at == At::Coordinator && model.signed.remove(&(w, nth)).is_some() {
                    let ((), _synced) = update(&store, |txn| void(txn, &wallet(w), &name(nth).0)).unwrap();
                }
            }
            // It is under way, and not asked about again.
            Step::Ask { w, nth, .. } if at == At::Coordinator && model.signed.contains_key(&(w, nth)) => {}
            Step::Ask { w, nth, good } => {
                let full = model.used((w, nth), denied, now) as u64 >= max;
                let (failed, _synced) = update(&store, |txn| {
                    Ok::<_, LedgerError>(ask(txn, at, &policies[w], (w, nth, good), now))
                })
                .unwrap();
                let expected = [("recipients", !good), ("velocity", full)];
                let expected: Vec<_> =
                    expected.iter().filter(|(_, fails)| *fails).map(|(rule, _)| *rule).collect();
                assert_eq!(failed, expected, "{step:?} at {now}");
                match (good, full) {
                    (true, false) => drop(model.signed.entry((w, nth)).or_insert(now)),
                    (false, false) => drop(model.denied.entry((w, nth)).or_insert(now)),
                    _ => {}
                }
            }
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let later = prop_oneof![2 => 0u64..40_000, 1 => Just(60_000u64), 1 => Just(59_999u64)];
    prop_oneof![
        8 => (0usize..3, 0u8..4, prop::bool::weighted(0.7)).prop_map(|(w, nth, good)| Step::Ask { w, nth, good }),
        2 => (0usize..3, 0u8..4).prop_map(|(w, nth)| Step::GiveUp { w, nth }),
        2 => (later, 0u64..2_000).prop_map(|(later_ms, earlier_ms)| Step::Wait { later_ms, earlier_ms }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn all_wallets_of_an_agent_share_a_window(
        at in prop_oneof![Just(At::Coordinator), Just(At::Service)],
        limit in (0u64..6, any::<bool>()),
        steps in vec(step(), 1..40),
    ) {
        play(at, limit, &steps);
    }
}
