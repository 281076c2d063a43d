//! By amount: signed at once, signed and told, held back for a while, or approved by people.

use std::collections::BTreeSet;

use quorate_intent::{Action, AssetId};
use quorate_types::{U256, UnixMillis};

use crate::{Facts, Policy};

/// For how long after its end a hold still lets its request pass, in milliseconds: a day. Who let it pass in silence did
/// not let it pass for ever.
pub const HOLD_LAPSES_MS: u64 = 24 * 60 * 60 * 1000;

/// What a request needs before it is signed. Ordered: each needs more than the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// Nothing.
    Instant,
    /// Nothing, and people are told.
    Notify,
    /// To wait for so many seconds, in which people may stop it.
    Delay(u64),
    /// Enough approvers.
    Approval,
}

impl Tier {
    /// Its name in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Tier::Instant => "instant",
            Tier::Notify => "notify",
            Tier::Delay(_) => "delay",
            Tier::Approval => "approval",
        }
    }
}

/// One asset's tiers: the most of each, in base units, ascending. What is above the last needs approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tiers {
    /// Which asset.
    pub asset: AssetId,
    /// The most that is signed at once.
    pub instant: Option<U256>,
    /// The most that is signed and told.
    pub notify: Option<U256>,
    /// The most that is signed after a hold, and the hold's seconds.
    pub delay: Option<(U256, u64)>,
}

impl Tiers {
    fn of(&self, amount: U256) -> Tier {
        let within = |most: Option<U256>| most.is_some_and(|most| amount <= most);
        match self.delay {
            _ if within(self.instant) => Tier::Instant,
            _ if within(self.notify) => Tier::Notify,
            Some((most, seconds)) if amount <= most => Tier::Delay(seconds),
            _ => Tier::Approval,
        }
    }
}

/// Whose approval is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approvers {
    /// How many must say yes.
    pub threshold: usize,
    /// Only these, by their names in the manifest; empty: all approvers of the manifest.
    pub names: BTreeSet<String>,
    /// For how long they are asked, in seconds.
    pub timeout_s: u64,
}

/// What `facts` needs under `policy`: what raw digests do, or the most that any of its charges does. An amount that cannot be told needs approval.
pub fn tier(policy: &Policy, facts: &Facts<'_>) -> Tier {
    if matches!(facts.intent.action, Action::RawDigest { .. }) {
        // Without a line the rule about them denies it.
        return policy.raw_digest.unwrap_or(Tier::Instant);
    }
    if policy.tiers.is_empty() {
        return Tier::Instant;
    }
    let Ok(charges) = facts.intent.charges() else { return Tier::Approval };
    let of = |charge: &quorate_intent::Charge| {
        let line = policy.tiers.iter().find(|line| line.asset == charge.asset);
        line.map_or(Tier::Instant, |line| line.of(sum(&charges, charge.asset)))
    };
    charges.iter().map(of).max().unwrap_or(Tier::Instant)
}

/// All of one asset that a request moves. A sum beyond 256 bits is above every tier.
fn sum(charges: &[quorate_intent::Charge], asset: AssetId) -> U256 {
    let of_asset = charges.iter().filter(|charge| charge.asset == asset);
    of_asset.fold(U256::ZERO, |sum, charge| sum.saturating_add(charge.amount))
}

/// When a request was, or is now, put on hold, and when it may be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// In Unix milliseconds.
    pub since: UnixMillis,
    /// In Unix milliseconds.
    pub until: UnixMillis,
}

/// The hold that `facts` needs under `policy`, if any. It runs from `held_since`; where there was none, or it lapsed, a new
/// one begins now.
pub fn hold(policy: &Policy, facts: &Facts<'_>) -> Option<Hold> {
    let Tier::Delay(seconds) = tier(policy, facts) else { return None };
    let length = seconds.saturating_mul(1000);
    let lapses = |since: UnixMillis| since.saturating_add(length).saturating_add(HOLD_LAPSES_MS);
    let running = |since: &UnixMillis| *since <= facts.now && facts.now <= lapses(*since);
    let since = facts.held_since.filter(running).unwrap_or(facts.now);
    Some(Hold { since, until: since.saturating_add(length) })
}
