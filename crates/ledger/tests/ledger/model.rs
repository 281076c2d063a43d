//! Random histories against a model that keeps everything and adds it up the slow way.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use quorate_intent::Charge;
use quorate_ledger::{
    Before, Claim, LedgerError, NothingReleased, Reservation, State, charge, claim, finish, in_flight,
    lookup, releasing, reserve, spent, void, void_releasing,
};
use quorate_policy::{Counted, History};
use quorate_store::{MemStore, Store, Txn};
use quorate_types::{B256, U256, UnixMillis};

use crate::given::{approved, asset, key, payload, wallet};

#[derive(Debug, Clone)]
enum Step {
    Reserve {
        w: usize,
        k: usize,
        p: u8,
        charges: Vec<Charge>,
    },
    /// releases the n-th reservation ever made, however stale
    Release {
        n: usize,
    },
    Finish {
        w: usize,
        k: usize,
        answer: u8,
    },
    Void {
        w: usize,
        k: usize,
    },
    VoidReleasing {
        w: usize,
        k: usize,
        attempt: u32,
    },
    Charge {
        w: usize,
        p: u8,
        charges: Vec<Charge>,
    },
    Tick {
        millis: u64,
    },
    /// the clock was set back
    Back {
        millis: u64,
    },
}

#[derive(Debug, Clone, PartialEq)]
struct Recorded {
    p: u8,
    state: State,
    attempt: u32,
    at: UnixMillis,
    charges: Vec<Charge>,
    answer: Option<u8>,
}

type Spends<'a> = Box<dyn Iterator<Item = (usize, UnixMillis, &'a Charge)> + 'a>;

/// What should be true, and who holds which reservation: (wallet, key, attempt).
#[derive(Debug, Clone, Default, PartialEq)]
struct Model {
    now: UnixMillis,
    requests: BTreeMap<(usize, usize), Recorded>,
    charged: BTreeMap<(usize, u8), (UnixMillis, Vec<Charge>)>,
    held: Vec<(usize, usize, u32)>,
}

/// What a step came to, by name; errors too.
type Outcome = Result<(), &'static str>;

fn sums(charges: &[Charge]) -> bool {
    (0..3).all(|a| {
        let mut of_asset = charges.iter().filter(|c| c.asset == asset(a));
        of_asset.try_fold(U256::ZERO, |sum, c| sum.checked_add(c.amount)).is_some()
    })
}

impl Model {
    fn apply(&mut self, step: &Step) -> Outcome {
        match step {
            Step::Reserve { w, k, p, charges } => self.reserve((*w, *k), *p, charges),
            Step::Release { n } => {
                let Some((w, k, attempt)) = self.held.get(n % self.held.len().max(1)).copied() else {
                    return Ok(());
                };
                let recorded = self.requests.get_mut(&(w, k)).ok_or("not found")?;
                match recorded.state {
                    _ if recorded.attempt != attempt => Err("attempt"),
                    State::Reserved => {
                        recorded.state = State::Releasing;
                        Ok(())
                    }
                    _ => Err("state"),
                }
            }
            Step::Finish { w, k, answer } => {
                let recorded = self.requests.get_mut(&(*w, *k)).ok_or("not found")?;
                match (recorded.state, recorded.answer) {
                    (State::Releasing, _) => {
                        (recorded.state, recorded.answer) = (State::Done, Some(*answer));
                        Ok(())
                    }
                    (State::Done, Some(given)) if given == *answer => Ok(()),
                    (State::Done, _) => Err("answered"),
                    _ => Err("state"),
                }
            }
            Step::Void { w, k } => self.void((*w, *k), &[State::Reserved, State::Void]),
            Step::VoidReleasing { w, k, attempt } => match self.requests.get(&(*w, *k)) {
                Some(recorded) if recorded.attempt != *attempt => Err("attempt"),
                _ => self.void((*w, *k), &[State::Releasing]),
            },
            Step::Charge { w, p, charges } => match self.charged.get(&(*w, *p)) {
                Some((_, first)) if first == charges => Ok(()),
                Some(_) => Err("charges"),
                None if !sums(charges) => Err("overflow"),
                None => {
                    self.charged.insert((*w, *p), (self.now, charges.clone()));
                    Ok(())
                }
            },
            Step::Tick { millis } => {
                self.now += millis;
                Ok(())
            }
            Step::Back { millis } => {
                self.now = self.now.saturating_sub(*millis);
                Ok(())
            }
        }
    }

    fn reserve(&mut self, place: (usize, usize), p: u8, charges: &[Charge]) -> Outcome {
        let attempt = match self.requests.get(&place) {
            None => 1,
            Some(recorded) if recorded.p != p => return Err("conflict"),
            Some(recorded) if recorded.state != State::Void => return Err("state"),
            Some(recorded) => recorded.attempt + 1,
        };
        if !sums(charges) {
            return Err("overflow");
        }
        let (state, at, charges) = (State::Reserved, self.now, charges.to_vec());
        self.requests.insert(place, Recorded { p, state, attempt, at, charges, answer: None });
        self.held.push((place.0, place.1, attempt));
        Ok(())
    }

    fn void(&mut self, place: (usize, usize), from: &[State]) -> Outcome {
        let recorded = self.requests.get_mut(&place).ok_or("not found")?;
        if !from.contains(&recorded.state) {
            return Err("state");
        }
        recorded.state = State::Void;
        Ok(())
    }

    fn spends(&self) -> Spends<'_> {
        let live = self.requests.iter().filter(|(_, recorded)| recorded.state != State::Void);
        let reserved = live.flat_map(|((w, _), r)| r.charges.iter().map(move |c| (*w, r.at, c)));
        let charged = self.charged.iter();
        let charged = charged.flat_map(|((w, _), (at, all))| all.iter().map(move |c| (*w, *at, c)));
        Box::new(reserved.chain(charged))
    }

    fn signed(&self, w: usize, since: UnixMillis) -> usize {
        let live = self
            .requests
            .iter()
            .filter(|((of, _), recorded)| *of == w && recorded.state != State::Void && recorded.at >= since);
        let charged = self.charged.iter().filter(|((of, _), (at, _))| *of == w && *at >= since);
        live.count() + charged.count()
    }

    /// `None` where the sum is beyond 256 bits.
    fn spent(&self, w: usize, a: usize, since: UnixMillis) -> Option<U256> {
        let counts = self.spends().filter(|(of, at, c)| *of == w && *at >= since && c.asset == asset(a));
        let mut amounts = counts.map(|(_, _, c)| c.amount);
        amounts.try_fold(U256::ZERO, |sum, amount| sum.checked_add(amount))
    }
}

fn name(error: &LedgerError) -> &'static str {
    match error {
        LedgerError::Conflict => "conflict",
        LedgerError::Overflow { .. } => "overflow",
        LedgerError::NotFound => "not found",
        LedgerError::State { .. } => "state",
        LedgerError::Attempt { .. } => "attempt",
        LedgerError::Answered => "answered",
        LedgerError::Charges => "charges",
        LedgerError::Malformed { .. } => "malformed",
        LedgerError::Store(_) => "store",
    }
}

/// What a step gives once it is synced.
enum Written {
    Reserved(quorate_ledger::Pending<Reservation>),
    Charged { pending: quorate_ledger::Pending<quorate_ledger::Charged>, at: UnixMillis, first: bool },
    Nothing,
}

fn write(
    txn: &mut dyn Txn,
    step: &Step,
    before: &Model,
    held: &[Reservation],
) -> Result<Written, LedgerError> {
    let now = before.now;
    match step {
        Step::Reserve { w, k, p, charges } => {
            let approval = approved(*w, charges, now);
            return reserve(txn, approval, &key(*k), payload(*p)).map(Written::Reserved);
        }
        Step::Release { n } => {
            if let Some(reservation) = held.get(n % held.len().max(1)) {
                let _mark = releasing(txn, reservation)?;
            }
        }
        Step::Finish { w, k, answer } => {
            let _answer = finish(txn, &wallet(*w), &key(*k), &[*answer], now)?;
        }
        Step::Void { w, k } => void(txn, &wallet(*w), &key(*k))?,
        Step::VoidReleasing { w, k, attempt } => {
            let nodes = vec!["service-1".parse().unwrap()];
            let proof = NothingReleased::said_by(nodes, wallet(*w), key(*k), *attempt).unwrap();
            void_releasing(txn, proof)?;
        }
        Step::Charge { w, p, charges } => {
            let earlier = before.charged.get(&(*w, *p)).map(|(at, _)| *at);
            let pending = charge(txn, approved(*w, charges, now), payload(*p))?;
            return Ok(Written::Charged { pending, at: earlier.unwrap_or(now), first: earlier.is_none() });
        }
        Step::Tick { .. } | Step::Back { .. } => {}
    }
    Ok(Written::Nothing)
}

/// Everything a reader can ask, against the model.
fn compare(store: &dyn Store, model: &Model) {
    let mut open = 0;
    for (w, k) in (0..2).flat_map(|w| (0..3).map(move |k| (w, k))) {
        let recorded = model.requests.get(&(w, k));
        let entry = lookup(store, &wallet(w), &key(k)).unwrap();
        let found = entry.map(|e| Recorded {
            p: (0..3).find(|p| payload(*p) == e.payload_hash).unwrap(),
            state: e.state,
            attempt: e.attempt,
            at: e.at,
            charges: e.charges,
            answer: e.answer.map(|answer| answer[0]),
        });
        assert_eq!(found.as_ref(), recorded);
        open += usize::from(recorded.is_some_and(|r| matches!(r.state, State::Reserved | State::Releasing)));
        for p in 0..3 {
            let expected = match recorded {
                None => Claim::Fresh,
                Some(r) if r.p != p => Claim::Conflict,
                Some(Recorded { state: State::Void, .. }) => Claim::Fresh,
                Some(Recorded { answer: Some(answer), .. }) => Claim::Done(vec![*answer]),
                Some(r) => Claim::InFlight(r.state),
            };
            assert_eq!(claim(store, &wallet(w), &key(k), payload(p)).unwrap(), expected);
        }
    }
    assert_eq!(in_flight(store).unwrap().len(), open);
    let mut edges: Vec<UnixMillis> = model.spends().flat_map(|(_, at, _)| [at, at + 1]).collect();
    edges.extend([0, model.now]);
    for (w, a) in (0..2).flat_map(|w| (0..3).map(move |a| (w, a))) {
        for since in &edges {
            let found = match spent(store, &wallet(w), &asset(a), *since) {
                Ok(sum) => Some(sum),
                Err(LedgerError::Overflow { asset: of }) if of == asset(a) => None,
                Err(error) => panic!("{error}"),
            };
            assert_eq!(found, model.spent(w, a, *since), "wallet {w} asset {a} since {since}");
        }
    }
    for (w, since) in (0..2).flat_map(|w| edges.iter().map(move |since| (w, since))) {
        let (before, mut signed) = (Before::payload(store, B256::ZERO, None), 0);
        let visited = before.visit(&wallet(w), Counted::Signatures, *since, &mut |_| {
            signed += 1;
            std::ops::ControlFlow::Continue(())
        });
        visited.unwrap();
        assert_eq!(signed, model.signed(w, *since), "wallet {w} signatures since {since}");
    }
}

/// Runs a history; the second of each pair says whether the process died before the commit.
fn run(history: &[(Step, bool)]) {
    let store = MemStore::new();
    let (mut model, mut held) = (Model::default(), Vec::new());
    for (step, lost) in history {
        let mut after = model.clone();
        let expected = after.apply(step);
        let mut txn = store.begin().unwrap();
        let written = write(txn.as_mut(), step, &model, &held);
        assert_eq!(written.as_ref().map(|_| ()).map_err(name), expected, "{step:?}");
        if let (Ok(written), false) = (written, *lost) {
            let durable = txn.commit().unwrap();
            match written {
                Written::Reserved(pending) => held.push(pending.confirm(&durable)),
                Written::Charged { pending, at, first } => {
                    let charged = pending.confirm(&durable);
                    assert_eq!((charged.at(), charged.is_first()), (at, first));
                }
                Written::Nothing => {}
            }
            model = after;
        }
        compare(&store, &model);
    }
}

fn amount() -> impl Strategy<Value = U256> {
    let huge = (0u64..3).prop_map(|less| U256::MAX - U256::from(less));
    prop_oneof![8 => (0u64..1000).prop_map(U256::from), 1 => huge, 1 => Just(U256::MAX >> 1)]
}

fn any_charges() -> impl Strategy<Value = Vec<Charge>> {
    vec((0usize..3, amount()).prop_map(|(a, amount)| Charge { asset: asset(a), amount }), 0..4)
}

/// Mostly what one payload always reads as, sometimes something else.
fn payload_and_charges() -> impl Strategy<Value = (u8, Vec<Charge>)> {
    let reads_as = |p: u8| {
        let amount = U256::from(10 + u64::from(p));
        vec![Charge { asset: asset(0), amount }, Charge { asset: asset(usize::from(p)), amount }]
    };
    prop_oneof![3 => (0u8..3).prop_map(move |p| (p, reads_as(p))), 1 => (0u8..3, any_charges())]
}

fn step() -> impl Strategy<Value = Step> {
    let place = || (0usize..2, 0usize..3);
    prop_oneof![
        4 => (place(), 0u8..2, any_charges())
            .prop_map(|((w, k), p, charges)| Step::Reserve { w, k, p, charges }),
        4 => (0usize..8).prop_map(|n| Step::Release { n }),
        2 => (place(), 0u8..2).prop_map(|((w, k), answer)| Step::Finish { w, k, answer }),
        2 => place().prop_map(|(w, k)| Step::Void { w, k }),
        2 => (place(), 1u32..4).prop_map(|((w, k), attempt)| Step::VoidReleasing { w, k, attempt }),
        3 => (0usize..2, payload_and_charges())
            .prop_map(|(w, (p, charges))| Step::Charge { w, p, charges }),
        2 => (0u64..1000).prop_map(|millis| Step::Tick { millis }),
        1 => (0u64..1000).prop_map(|millis| Step::Back { millis }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_history_is_the_models(history in vec((step(), prop::bool::weighted(0.15)), 0..50)) {
        run(&history);
    }
}
