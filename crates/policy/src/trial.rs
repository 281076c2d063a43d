//! A policy tried on requests one after the other, by whoever drafts it. It makes no approval: nothing is signed by it.

use std::convert::Infallible;
use std::ops::ControlFlow;

use quorate_intent::{Charge, Intent, Once};
use quorate_types::{Address, U256, UnixMillis, WalletId};

use crate::decision::{is_attempt, waits};
use crate::evaluate::weigh;
use crate::rules::{Weighed, fee, payee};
use crate::{Counted, Facts, History, Past, Policy, RuleFailure};

/// A policy, and what it would have let pass so far. It counts as a coordinator's ledger does whose requests are all
/// answered.
#[derive(Debug)]
pub struct Trial {
    policy: Policy,
    passed: Vec<Passed>,
    denied: Vec<Denied>,
}

/// A request that was denied, and counts as an attempt.
#[derive(Debug)]
struct Denied {
    key: String,
    intent: Intent,
    at: UnixMillis,
}

#[derive(Debug)]
struct Passed {
    key: String,
    at: UnixMillis,
    charges: Vec<Charge>,
    fee: Option<Charge>,
    once: Option<Once>,
    payee: Option<Address>,
}

/// What passed, as the rules see it for one request.
struct Before<'a> {
    passed: &'a [Passed],
    denied: &'a [Denied],
    key: &'a str,
    once: Option<Once>,
}

impl Trial {
    /// Nothing has passed yet.
    pub const fn new(policy: Policy) -> Self {
        Self { policy, passed: Vec::new(), denied: Vec::new() }
    }

    /// Every rule that fails; where none does, the request has passed, and counts from now on. Asked again under its key,
    /// it counts once.
    pub fn ask(&mut self, key: &str, facts: &Facts<'_>) -> Vec<RuleFailure> {
        let once = facts.intent.once();
        let before = Before { passed: &self.passed, denied: &self.denied, key, once };
        let Ok(Weighed { failures: failed, .. }) = weigh(&self.policy, facts, &before);
        self.count_denied(key, facts, &failed);
        let Ok(charges) = facts.intent.charges() else { return failed };
        if failed.is_empty() {
            let (fee, payee) = (fee(facts.intent), payee(facts.intent));
            self.passed.retain(|passed| passed.key != key);
            self.passed.push(Passed { key: key.to_owned(), at: facts.now, charges, fee, once, payee });
        }
        failed
    }

    /// Asked again under its key, it is the same attempt. What only waits is not denied.
    fn count_denied(&mut self, key: &str, facts: &Facts<'_>, failed: &[RuleFailure]) {
        let counts = self.policy.counts_denied() && is_attempt(failed) && !waits(failed);
        let same = |denied: &Denied| denied.key == key && denied.intent == *facts.intent;
        if counts && !self.denied.iter().any(same) {
            self.denied.push(Denied { key: key.to_owned(), intent: facts.intent.clone(), at: facts.now });
        }
    }

    /// What passed under this key was given up: it no longer counts.
    pub fn give_up(&mut self, key: &str) {
        self.passed.retain(|passed| passed.key != key);
    }
}

impl Passed {
    fn amount(&self, counted: Counted) -> Option<U256> {
        match counted {
            Counted::Asset(asset) => {
                let of = self.charges.iter().filter(|charge| charge.asset == asset);
                of.map(|charge| charge.amount).reduce(U256::saturating_add)
            }
            Counted::Fee(chain) => self.fee.filter(|fee| fee.asset.chain == chain).map(|fee| fee.amount),
            Counted::Signatures => Some(U256::ONE),
            Counted::Denied => None,
        }
    }
}

impl Before<'_> {
    /// Where several have one place and one effect, the first of them counts what they move, and the one with the highest
    /// fee what they burn.
    fn counts(&self, at: usize, passed: &Passed, counted: Counted) -> bool {
        let Some(once) = passed.once else { return true };
        let mut same = self.passed.iter().enumerate().filter(|(_, other)| other.once == Some(once));
        let fee = |passed: &Passed| passed.fee.map_or(U256::ZERO, |fee| fee.amount);
        match counted {
            Counted::Signatures | Counted::Denied => true,
            _ if self.once == Some(once) => false,
            Counted::Asset(_) => same.next().is_none_or(|(first, _)| first == at),
            Counted::Fee(_) => {
                same.all(|(nth, other)| fee(other) < fee(passed) || (fee(other) == fee(passed) && nth >= at))
            }
        }
    }
}

impl History for Before<'_> {
    type Error = Infallible;

    fn place_is_taken(&self, _: &WalletId, once: &Once) -> Result<bool, Infallible> {
        let other = |passed: &Once| passed.place == once.place && passed.effect != once.effect;
        Ok(self.passed.iter().any(|passed| passed.key != self.key && passed.once.as_ref().is_some_and(other)))
    }

    fn visit(
        &self,
        _: &WalletId,
        counted: Counted,
        since: UnixMillis,
        each: &mut dyn FnMut(Past) -> ControlFlow<()>,
    ) -> Result<(), Infallible> {
        let rows = self.passed.iter().enumerate().filter(|(at, passed)| {
            passed.at >= since && passed.key != self.key && self.counts(*at, passed, counted)
        });
        let rows = rows.filter_map(|(_, passed)| {
            Some(Past { at: passed.at, amount: passed.amount(counted)?, payee: passed.payee })
        });
        let denied = self.denied.iter().filter(|one| counted == Counted::Denied && one.at >= since);
        let denied = denied.map(|one| Past { at: one.at, amount: U256::ONE, payee: None });
        let mut rows: Vec<Past> = rows.chain(denied).collect();
        rows.sort_by_key(|past| past.at);
        let _all_seen = rows.into_iter().try_for_each(each);
        Ok(())
    }
}
