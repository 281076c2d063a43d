//! A policy tried on requests one after the other, by whoever drafts it. It makes no approval: nothing is signed by it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::ControlFlow;

use quorate_intent::{Charge, Intent, Once};
use quorate_types::{Address, AgentId, U256, UnixMillis, WalletId};

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
    /// What the agent's other wallets were allowed.
    beside: BTreeMap<WalletId, Vec<Passed>>,
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
    beside: &'a BTreeMap<WalletId, Vec<Passed>>,
    /// Of the request; none: nothing is it.
    key: Option<&'a str>,
    once: Option<Once>,
}

impl Trial {
    /// Nothing has passed yet.
    pub const fn new(policy: Policy) -> Self {
        Self { policy, passed: Vec::new(), denied: Vec::new(), beside: BTreeMap::new() }
    }

    /// Every rule that fails; where none does, the request has passed, and counts from now on. Asked again under its key,
    /// it counts once.
    pub fn ask(&mut self, key: &str, facts: &Facts<'_>) -> Vec<RuleFailure> {
        let once = facts.intent.once();
        let Self { passed, denied, beside, .. } = &*self;
        let before = Before { passed, denied, beside, key: Some(key), once };
        let Ok(Weighed { failures: failed, .. }) = weigh(&self.policy, facts, &before);
        self.count_denied(key, facts, &failed);
        if failed.is_empty()
            && let Some(passed) = Passed::of(key, facts.intent, facts.now)
        {
            self.give_up(key);
            self.passed.push(passed);
        }
        failed
    }

    /// Another wallet of the agent was allowed this at `at`: it counts where all of them count together, and is asked nothing.
    pub fn beside(&mut self, wallet: &WalletId, key: &str, (intent, at): (&Intent, UnixMillis)) {
        if let Some(passed) = Passed::of(key, intent, at) {
            self.give_up_beside(wallet, key);
            self.beside.entry(wallet.clone()).or_default().push(passed);
        }
    }

    /// What another wallet was allowed under this key was given up.
    pub fn give_up_beside(&mut self, wallet: &WalletId, key: &str) {
        if let Some(beside) = self.beside.get_mut(wallet) {
            beside.retain(|passed| passed.key != key);
        }
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
    /// None where what it moves cannot be told: nothing lets that pass.
    fn of(key: &str, intent: &Intent, at: UnixMillis) -> Option<Self> {
        let (charges, fee, once, payee) = (intent.charges().ok()?, fee(intent), intent.once(), payee(intent));
        Some(Self { key: key.to_owned(), at, charges, fee, once, payee })
    }

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
        Ok(self
            .passed
            .iter()
            .any(|passed| self.key != Some(&passed.key) && passed.once.as_ref().is_some_and(other)))
    }

    fn visit(
        &self,
        _: &WalletId,
        counted: Counted,
        since: UnixMillis,
        each: &mut dyn FnMut(Past) -> ControlFlow<()>,
    ) -> Result<(), Infallible> {
        let rows = self.passed.iter().enumerate().filter(|(at, passed)| {
            passed.at >= since && self.key != Some(&passed.key) && self.counts(*at, passed, counted)
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

    fn sum_of_agent(
        &self,
        (_, wallet): (&AgentId, &WalletId),
        counted: Counted,
        since: UnixMillis,
    ) -> Result<Option<U256>, Infallible> {
        let mut sum = self.sum(wallet, counted, None, since)?;
        for (other, passed) in self.beside {
            // Nothing of it is the request that is asked about, whatever its key and its place.
            let all = Before { passed, denied: &[], key: None, once: None, ..*self };
            let more = all.sum(other, counted, None, since)?;
            sum = sum.zip(more).and_then(|(sum, more)| sum.checked_add(more));
        }
        Ok(sum)
    }
}
