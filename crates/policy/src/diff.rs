//! What changes from one policy to another, and which way.

use std::collections::{BTreeMap, BTreeSet};

use quorate_conditions::Conditions;
use quorate_intent::ChainId;
use quorate_types::U256;
use serde::Serialize;

use crate::{Policy, Recipient, Tiers, words};

/// Which way a change goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Something is allowed that was not.
    Looser,
    /// Neither can be said, or both.
    Changed,
    /// Nothing is allowed that was not.
    Tighter,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Which way it goes.
    pub direction: Direction,
    /// The field, and what in it.
    pub field: String,
    /// What it was; empty where it was not there.
    pub old: String,
    /// What it is; empty where it is not there any more.
    pub new: String,
}

/// Every change from `old` to `new`, looser ones first. What people call something is no change.
pub fn diff(old: &Policy, new: &Policy) -> Vec<Change> {
    let mut changes = Changes(Vec::new());
    changes.identity(old, new);
    changes.allowed(old, new);
    changes.addressed(old, new);
    changes.limits(old, new);
    changes.times(old, new);
    changes.people(old, new);
    let Changes(mut found) = changes;
    found.sort_by_key(|change| change.direction);
    found
}

/// What a line does by being there.
#[derive(Clone, Copy)]
enum Line {
    Allows,
    Limits,
}

impl Line {
    const fn added(self) -> Direction {
        match self {
            Self::Allows => Direction::Looser,
            Self::Limits => Direction::Tighter,
        }
    }

    const fn removed(self) -> Direction {
        match self {
            Self::Allows => Direction::Tighter,
            Self::Limits => Direction::Looser,
        }
    }
}

/// A line by its name: how much it allows, and how it is told.
type Lines<V> = BTreeMap<String, (V, String)>;

struct Changes(Vec<Change>);

impl Changes {
    fn push(&mut self, direction: Direction, field: impl Into<String>, old: String, new: String) {
        self.0.push(Change { direction, field: field.into(), old, new });
    }

    /// Lines of a field. `order` says which way a line goes that is in both.
    fn lines<V>(
        &mut self,
        (field, line): (&str, Line),
        (old, new): (Lines<V>, Lines<V>),
        order: impl Fn(&V, &V) -> Option<Direction>,
    ) {
        for (name, (value, told)) in &old {
            match new.get(name) {
                None => self.push(line.removed(), format!("{field} {name}"), told.clone(), String::new()),
                Some((other, now)) => {
                    if let Some(direction) = order(value, other) {
                        self.push(direction, format!("{field} {name}"), told.clone(), now.clone());
                    }
                }
            }
        }
        for (name, (_, told)) in new.iter().filter(|(name, _)| !old.contains_key(*name)) {
            self.push(line.added(), format!("{field} {name}"), String::new(), told.clone());
        }
    }

    /// Lines that are there or not, and nothing more.
    fn set(&mut self, field: (&str, Line), old: Vec<String>, new: Vec<String>) {
        let lines =
            |names: Vec<String>| names.into_iter().map(|name| (name, ((), "listed".to_owned()))).collect();
        self.lines(field, (lines(old), lines(new)), |(), ()| None);
    }

    fn identity(&mut self, old: &Policy, new: &Policy) {
        for (field, old, new) in [
            ("cluster", old.cluster.to_string(), new.cluster.to_string()),
            ("wallet", old.wallet.to_string(), new.wallet.to_string()),
        ] {
            if old != new {
                self.push(Direction::Changed, field, old, new);
            }
        }
    }

    fn allowed(&mut self, old: &Policy, new: &Policy) {
        let chains = |policy: &Policy| policy.chains.iter().map(|id| words::chain(*id)).collect();
        self.set(("chains", Line::Allows), chains(old), chains(new));
        let caps = |policy: &Policy| {
            let lines = policy.per_transaction.iter();
            lines.map(|(asset, max)| (words::asset(*asset), (*max, words::quantity(*asset, *max)))).collect()
        };
        self.lines(("per_transaction", Line::Allows), (caps(old), caps(new)), higher);
        let allowances = |policy: &Policy| {
            let lines = policy.allowances.iter();
            lines
                .map(|((asset, spender), line)| {
                    let name = format!("{} to {spender}", words::asset(*asset));
                    (name, (line.max, words::quantity(*asset, line.max)))
                })
                .collect()
        };
        self.lines(("allowances", Line::Allows), (allowances(old), allowances(new)), |old, new| {
            higher(old, new)
        });
        self.fees(old, new);
        let lifetime = |policy: &Policy| {
            let line = policy.max_authorization_lifetime_s;
            line.map(|limit| ("limit".to_owned(), (limit, format!("{limit} s")))).into_iter().collect()
        };
        let field = ("max_authorization_lifetime_s", Line::Allows);
        self.lines(field, (lifetime(old), lifetime(new)), higher);
    }

    /// Three limits a chain, of which an absent one limits nothing.
    fn fees(&mut self, old: &Policy, new: &Policy) {
        let max = |policy: &Policy| {
            let lines = policy.max_fee.iter();
            lines
                .map(|(chain, line)| {
                    let coin = quorate_intent::AssetId::native(*chain);
                    (words::chain(*chain), (line.max, words::quantity(coin, line.max)))
                })
                .collect()
        };
        self.lines(("max_fee", Line::Allows), (max(old), max(new)), higher);
        // A line that comes or goes was told above.
        let both = |chain: &ChainId| old.max_fee.contains_key(chain) && new.max_fee.contains_key(chain);
        let price = |policy: &Policy| {
            let lines = policy.max_fee.iter().filter(|(chain, _)| both(chain));
            let lines = lines.filter_map(|(chain, line)| Some((chain, line.max_per_gas?)));
            lines
                .map(|(chain, max)| (format!("{} per gas", words::chain(*chain)), (max, words::gwei(max))))
                .collect()
        };
        self.lines(("max_fee", Line::Limits), (price(old), price(new)), higher);
        let gas = |policy: &Policy| {
            let lines = policy.max_fee.iter().filter(|(chain, _)| both(chain));
            let lines = lines.filter_map(|(chain, line)| Some((chain, line.max_gas?)));
            lines
                .map(|(chain, max)| (format!("{} gas", words::chain(*chain)), (max, format!("{max} gas"))))
                .collect()
        };
        self.lines(("max_fee", Line::Limits), (gas(old), gas(new)), higher);
    }

    fn addressed(&mut self, old: &Policy, new: &Policy) {
        let people = |lines: &BTreeMap<_, Recipient>| -> Lines<Option<BTreeSet<_>>> {
            lines.iter().map(|(who, line)| (format!("{who}"), (line.chains.clone(), on(line)))).collect()
        };
        let wider = |old: &Option<BTreeSet<_>>, new: &Option<_>| match (old, new) {
            (old, new) if old == new => None,
            (_, None) => Some(Direction::Looser),
            (None, _) => Some(Direction::Tighter),
            (Some(old), Some(new)) if old.is_subset(new) => Some(Direction::Looser),
            (Some(old), Some(new)) if new.is_subset(old) => Some(Direction::Tighter),
            _ => Some(Direction::Changed),
        };
        let paid = (people(&old.recipients), people(&new.recipients));
        self.lines(("recipients", Line::Allows), paid, wider);
        let blocked = (people(&old.blocked), people(&new.blocked));
        self.lines(("blocked", Line::Limits), blocked, |old, new| wider(old, new).map(Direction::opposite));
        let calls = |policy: &Policy| {
            let lines = policy
                .calls
                .iter()
                .flat_map(|(function, lines)| lines.iter().map(move |line| (function, line)));
            lines
                .map(|((chain, contract, _), line)| format!("{} {contract} {line}", words::chain(*chain)))
                .collect()
        };
        self.set(("calls", Line::Allows), calls(old), calls(new));
        let typed = |policy: &Policy| policy.typed_data.iter().map(ToString::to_string).collect();
        self.set(("typed_data", Line::Allows), typed(old), typed(new));
        let sign_in = |policy: &Policy| policy.sign_in.iter().map(ToString::to_string).collect();
        self.set(("messages.sign_in", Line::Allows), sign_in(old), sign_in(new));
        let texts =
            |policy: &Policy| policy.texts.iter().map(|line| line.pattern.as_str().to_owned()).collect();
        self.set(("messages.texts", Line::Allows), texts(old), texts(new));
        let raw_digest = |policy: &Policy| {
            let line = policy.raw_digest.map(|tier| ("tier".to_owned(), (tier, words::tier(tier))));
            line.into_iter().collect()
        };
        // What needs more allows less.
        let field = ("raw_digest", Line::Allows);
        self.lines(field, (raw_digest(old), raw_digest(new)), |old, new| higher(new, old));
        self.merchants(old, new);
        self.conditions(old, new);
    }

    /// Each is one more thing that must hold. What must be said limits too: under another type it is another line.
    fn conditions(&mut self, old: &Policy, new: &Policy) {
        let said = |policy: &Policy| {
            let kinds = policy.conditions().map(|conditions| conditions.kinds().iter());
            kinds.into_iter().flatten().map(|(name, kind)| format!("{name}, {kind}")).collect()
        };
        self.set(("conditions.metadata", Line::Limits), said(old), said(new));
        let texts = |policy: &Policy| {
            let lines = policy.conditions().map_or_else(Default::default, Conditions::conditions);
            lines.iter().map(|line| line.text.clone()).collect()
        };
        self.set(("conditions.require", Line::Limits), texts(old), texts(new));
    }

    /// Without a line any merchant will do, so the first line tightens and the last one that goes loosens.
    fn merchants(&mut self, old: &Policy, new: &Policy) {
        let (old, new) = (old.merchants(), new.merchants());
        match (old.domains.is_empty(), new.domains.is_empty()) {
            (false, false) => {
                self.set(("merchants.domains", Line::Allows), old.domains.clone(), new.domains.clone());
            }
            _ => self.set(("merchants.domains", Line::Limits), old.domains.clone(), new.domains.clone()),
        }
        let field = ("merchants.blocked_categories", Line::Limits);
        self.set(field, old.blocked_categories.clone(), new.blocked_categories.clone());
    }

    fn limits(&mut self, old: &Policy, new: &Policy) {
        let cumulative = |policy: &Policy| {
            let lines = policy.cumulative.iter();
            lines
                .map(|line| {
                    let fees = if line.fees { " fees included" } else { "" };
                    let name =
                        format!("{}{fees} {}{}", words::asset(line.asset), line.window, line.per.in_words());
                    (name, (line.max, words::quantity(line.asset, line.max)))
                })
                .collect()
        };
        let lines = (cumulative(old), cumulative(new));
        self.lines(("cumulative", Line::Limits), lines, higher);
        let lines = (rates(old), rates(new));
        self.lines(("velocity", Line::Limits), lines, |old, new| {
            match (higher(&old.signatures, &new.signatures), higher(&old.attempts, &new.attempts)) {
                (one, None) | (None, one) => one,
                (one, other) if one == other => one,
                _ => Some(Direction::Changed),
            }
        });
    }

    /// How people are asked first. Which way a line goes that is in both is for a reader to say.
    fn people(&mut self, old: &Policy, new: &Policy) {
        let tiers = |policy: &Policy| {
            policy
                .tiers
                .iter()
                .map(|line| (words::asset(line.asset), (line.clone(), tiers_in_words(line))))
                .collect()
        };
        let changed = |same: bool| (!same).then_some(Direction::Changed);
        self.lines(("tiers", Line::Limits), (tiers(old), tiers(new)), |old, new| changed(old == new));
        let approval = |policy: &Policy| {
            let line = policy.approval.as_ref().map(|line| {
                let names = line.names.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
                let of = if names.is_empty() { "all approvers".to_owned() } else { names };
                (
                    "approvers".to_owned(),
                    (line.clone(), format!("{} of {of} in {} s", line.threshold, line.timeout_s)),
                )
            });
            line.into_iter().collect()
        };
        self.lines(("approval", Line::Limits), (approval(old), approval(new)), |old, new| {
            changed(old == new)
        });
    }

    fn times(&mut self, old: &Policy, new: &Policy) {
        let hours =
            |policy: &Policy| policy.active_hours.as_ref().map_or_else(String::new, ToString::to_string);
        match (&old.active_hours, &new.active_hours) {
            (None, None) => {}
            (None, Some(_)) => self.push(Direction::Tighter, "active_hours", hours(old), hours(new)),
            (Some(_), None) => self.push(Direction::Looser, "active_hours", hours(old), hours(new)),
            (Some(before), Some(after)) if before == after => {}
            _ => self.push(Direction::Changed, "active_hours", hours(old), hours(new)),
        }
        let told = |at: Option<u64>| at.map_or_else(String::new, words::instant);
        // Absent is the earliest beginning and the latest end.
        let (first, then) = (old.not_before.unwrap_or(0), new.not_before.unwrap_or(0));
        if let Some(direction) = higher(&first, &then) {
            self.push(direction.opposite(), "not_before", told(old.not_before), told(new.not_before));
        }
        let (last, then) = (old.not_after.unwrap_or(u64::MAX), new.not_after.unwrap_or(u64::MAX));
        if let Some(direction) = higher(&last, &then) {
            self.push(direction, "not_after", told(old.not_after), told(new.not_after));
        }
    }
}

impl Direction {
    const fn opposite(self) -> Self {
        match self {
            Self::Looser => Self::Tighter,
            Self::Tighter => Self::Looser,
            Self::Changed => Self::Changed,
        }
    }
}

/// What all `velocity` lines of one window and scope leave room for.
struct Rate {
    signatures: u64,
    /// Denied attempts counted; the highest number where no line counts them.
    attempts: u64,
}

impl Rate {
    fn in_words(&self) -> String {
        match *self {
            Self { signatures, attempts: u64::MAX } => format!("{signatures} signatures"),
            Self { signatures, attempts } if signatures < attempts => {
                format!("{signatures} signatures, {attempts} with denied attempts")
            }
            Self { attempts, .. } => format!("{attempts} signatures or denied attempts"),
        }
    }
}

fn rates(policy: &Policy) -> Lines<Rate> {
    let mut rates: BTreeMap<String, Rate> = BTreeMap::new();
    for line in &policy.velocity {
        let none = Rate { signatures: u64::MAX, attempts: u64::MAX };
        let rate = rates.entry(format!("{}{}", line.window, line.per.in_words())).or_insert(none);
        rate.signatures = rate.signatures.min(line.max);
        if line.denied {
            rate.attempts = rate.attempts.min(line.max);
        }
    }
    let told = |(name, rate): (String, Rate)| {
        let words = rate.in_words();
        (name, (rate, words))
    };
    rates.into_iter().map(told).collect()
}

fn higher<V: Ord>(old: &V, new: &V) -> Option<Direction> {
    match old.cmp(new) {
        std::cmp::Ordering::Less => Some(Direction::Looser),
        std::cmp::Ordering::Equal => None,
        std::cmp::Ordering::Greater => Some(Direction::Tighter),
    }
}

fn tiers_in_words(line: &Tiers) -> String {
    let up_to = |what: &str, most: Option<U256>| {
        most.map(|most| format!("{what} up to {}", words::quantity(line.asset, most)))
    };
    let delay = line.delay.and_then(|(most, seconds)| up_to(&format!("held {seconds} s"), Some(most)));
    let parts = [up_to("at once", line.instant), up_to("told", line.notify), delay];
    let parts: Vec<String> = parts.into_iter().flatten().chain(["approved above".to_owned()]).collect();
    parts.join(", ")
}

fn on(recipient: &Recipient) -> String {
    recipient.chains.as_ref().map_or_else(|| "every chain".to_owned(), words::chains)
}
