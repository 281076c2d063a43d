//! Whether a policy is surely no looser than the one before: what a change is gated on.
//!
//! [`diff`](crate::diff()) tells people what changed, line by line. This decides, and so it proves: what it cannot show to
//! allow nothing new counts as loosening, also where it would be tighter to a closer look.

use std::collections::BTreeMap;

use crate::{
    Call, Cumulative, Fee, Merchants, Policy, Recipient, TextLine, Tier, Tiers, TypedLine, Velocity,
};

/// The fields of `new` that may allow something `old` did not, by their names; none: whatever `new` allows, `old` allows
/// too, at any time and after any history. What people call something is no change.
pub fn loosened(old: &Policy, new: &Policy) -> Vec<&'static str> {
    // No `..`: a new field does not compile until it is decided about.
    let Policy {
        cluster,
        wallet,
        version: _,
        chains,
        per_transaction,
        max_fee,
        recipients,
        max_authorization_lifetime_s,
        allowances,
        calls,
        typed_data,
        sign_in,
        texts,
        raw_digest,
        merchants,
        conditions,
        blocked,
        cumulative,
        velocity,
        tiers,
        approval: _,
        active_hours,
        not_before,
        not_after,
    } = new;
    let fields = [
        ("cluster", *cluster == old.cluster),
        ("wallet", *wallet == old.wallet),
        ("chains", chains.is_subset(&old.chains)),
        ("per_transaction", within(&old.per_transaction, per_transaction, |old, new| new <= old)),
        ("max_fee", within(&old.max_fee, max_fee, fee)),
        ("recipients", within(&old.recipients, recipients, reaches)),
        // None is signed without a lifetime.
        ("max_authorization_lifetime_s", *max_authorization_lifetime_s <= old.max_authorization_lifetime_s),
        ("allowances", within(&old.allowances, allowances, |old, new| new.max <= old.max)),
        ("calls", within(&old.calls, calls, |old, new| among(old, new, same_call))),
        ("typed_data", among(&old.typed_data, typed_data, same_typed)),
        ("messages.sign_in", among(&old.sign_in, sign_in, PartialEq::eq)),
        ("messages.texts", among(&old.texts, texts, same_text)),
        ("raw_digest", raw_digests_hold(old.raw_digest, *raw_digest)),
        ("merchants", merchants_hold(&old.merchants, merchants)),
        // They only deny.
        ("conditions", old.conditions.is_none() || *conditions == old.conditions),
        // The other way round: each line there was must still be there, and reach as far.
        ("blocked", within(blocked, &old.blocked, reaches)),
        ("cumulative", old.cumulative.iter().all(|line| cumulative.iter().any(|new| caps(line, new)))),
        ("velocity", old.velocity.iter().all(|line| velocity.iter().any(|new| slows(line, new)))),
        ("tiers", people_are_asked(old, tiers)),
        ("approval", !asks_people(old) || new.approval == old.approval),
        ("active_hours", old.active_hours.is_none() || *active_hours == old.active_hours),
        ("not_before", old.not_before <= *not_before),
        ("not_after", old.not_after.is_none_or(|last| not_after.is_some_and(|new| new <= last))),
    ];
    fields.into_iter().filter(|(_, holds)| !holds).map(|(field, _)| field).collect()
}

/// Every line of `new` is in `old`, and there says as much or more.
fn within<K: Ord, V>(old: &BTreeMap<K, V>, new: &BTreeMap<K, V>, holds: impl Fn(&V, &V) -> bool) -> bool {
    new.iter().all(|(key, line)| old.get(key).is_some_and(|before| holds(before, line)))
}

/// Every line of `new` stands in `old`.
fn among<T>(old: &[T], new: &[T], same: impl Fn(&T, &T) -> bool) -> bool {
    new.iter().all(|line| old.iter().any(|before| same(before, line)))
}

/// On every chain of `new`, `old` reaches too.
fn reaches(old: &Recipient, new: &Recipient) -> bool {
    match (&old.chains, &new.chains) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(old), Some(new)) => new.is_subset(old),
    }
}

fn fee(old: &Fee, new: &Fee) -> bool {
    new.max <= old.max
        && old.max_per_gas.is_none_or(|old| new.max_per_gas.is_some_and(|new| new <= old))
        && old.max_gas.is_none_or(|old| new.max_gas.is_some_and(|new| new <= old))
}

fn same_call(old: &Call, new: &Call) -> bool {
    Call { label: old.label.clone(), ..new.clone() } == *old
}

fn same_typed(old: &TypedLine, new: &TypedLine) -> bool {
    TypedLine { label: old.label.clone(), ..new.clone() } == *old
}

fn same_text(old: &TextLine, new: &TextLine) -> bool {
    old.pattern == new.pattern
}

/// Without a line any merchant will do.
fn merchants_hold(old: &Merchants, new: &Merchants) -> bool {
    let named = |domain: &String| old.domains().contains(domain);
    let domains = old.domains().is_empty() || (!new.domains().is_empty() && new.domains().iter().all(named));
    domains && among(new.blocked_categories(), old.blocked_categories(), PartialEq::eq)
}

fn caps(old: &Cumulative, new: &Cumulative) -> bool {
    let same = (old.asset, old.fees, &old.window, old.per) == (new.asset, new.fees, &new.window, new.per);
    same && new.max <= old.max
}

fn slows(old: &Velocity, new: &Velocity) -> bool {
    // What counts more is used up sooner.
    let counts_as_much = new.denied || !old.denied;
    (&old.window, old.per) == (&new.window, new.per) && new.max <= old.max && counts_as_much
}

/// What was signed at once may need anything; where people are told, that must stay. A hold and approvers let pass each what the
/// other does not.
fn raw_digests_hold(old: Option<Tier>, new: Option<Tier>) -> bool {
    match (old, new) {
        (_, None) | (Some(Tier::Instant), Some(_)) => true,
        (Some(Tier::Notify), Some(new)) => new != Tier::Instant,
        (old, new) => old == new,
    }
}

fn asks_people(policy: &Policy) -> bool {
    !policy.tiers.is_empty() || policy.raw_digest == Some(Tier::Approval)
}

/// An asset without a line is signed at once, so a line more asks more. One that is changed could ask less; and where a line
/// has something wait for time, one more could have it wait for people in its stead.
fn people_are_asked(old: &Policy, new: &[Tiers]) -> bool {
    let holds = old.tiers.iter().any(|line| line.delay.is_some());
    among(new, &old.tiers, PartialEq::eq) && (!holds || new.len() == old.tiers.len())
}
