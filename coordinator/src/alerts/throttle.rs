//! One alert of a kind for a wallet at a time: more are counted, and told together when the time is over. Where a request waits
//! for people, or was signed and told, each request counts for itself: a decoy must not hide the one that matters.

use std::collections::HashMap;

use quorate_alert::{Alert, Kind};
use quorate_types::{UnixMillis, WalletId};

/// Kinds and wallets that are told apart: a bound on memory. Beyond it wallets are thrown together.
const MAX_OPEN: usize = 10_000;

/// What people decide, which is seldom, and what must not be missed.
const ALWAYS: [Kind; 3] = [Kind::Freeze, Kind::PolicyWaiting, Kind::Manifest];

type Name = (Kind, Option<WalletId>, Option<String>);

pub(super) struct Throttle {
    window_ms: u64,
    open: HashMap<Name, Window>,
}

struct Window {
    until: UnixMillis,
    /// The last one that was not told, and how many were not.
    last: Option<Alert>,
    count: u64,
}

impl Throttle {
    pub(super) fn new(window_ms: u64) -> Self {
        Self { window_ms, open: HashMap::new() }
    }

    /// The alert, where none of its kind was told for its wallet of late.
    pub(super) fn pass(&mut self, alert: Alert, now: UnixMillis) -> Option<Alert> {
        if self.window_ms == 0 || ALWAYS.contains(&alert.kind) {
            return Some(alert);
        }
        let mut name = (alert.kind, alert.wallet.clone(), alert.request.clone());
        if self.open.len() >= MAX_OPEN && !self.open.contains_key(&name) {
            (name.1, name.2) = (None, None);
        }
        if let Some(window) = self.open.get_mut(&name) {
            window.count = window.count.saturating_add(1);
            window.last = Some(alert);
            return None;
        }
        let until = now.saturating_add(self.window_ms);
        self.open.insert(name, Window { until, last: None, count: 0 });
        Some(alert)
    }

    /// What was held back, where its time is over: the last of each, with the number of the others.
    pub(super) fn due(&mut self, now: UnixMillis) -> Vec<Alert> {
        let mut due = Vec::new();
        let window_ms = self.window_ms;
        self.open.retain(|_, window| {
            if now < window.until {
                return true;
            }
            let Some(alert) = window.last.take() else { return false };
            due.push(Alert { suppressed: window.count.saturating_sub(1), ..alert });
            (window.until, window.count) = (now.saturating_add(window_ms), 0);
            true
        });
        due.sort_by_key(|alert| alert.sequence);
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(kind: Kind, wallet: &str, sequence: u64) -> Alert {
        Alert {
            id: sequence.to_string(),
            kind,
            cluster: "dev".parse().unwrap(),
            coordinator: "c".to_owned(),
            at_ms: 0,
            sequence,
            wallet: Some(wallet.parse().unwrap()),
            text: String::new(),
            rules: Vec::new(),
            suppressed: 0,
            request: None,
        }
    }

    #[test]
    fn the_first_is_told_at_once_and_the_rest_together() {
        let mut throttle = Throttle::new(1000);
        assert!(throttle.pass(alert(Kind::Velocity, "w", 1), 0).is_some());
        for sequence in 2..=900 {
            assert!(throttle.pass(alert(Kind::Velocity, "w", sequence), 1).is_none());
        }
        assert!(throttle.pass(alert(Kind::Velocity, "v", 901), 2).is_some(), "another wallet's own");
        assert!(throttle.pass(alert(Kind::Limit, "w", 902), 2).is_some(), "another kind's own");
        assert!(throttle.due(999).is_empty());
        let due = throttle.due(1002);
        assert_eq!(
            due.iter().map(|alert| (alert.sequence, alert.suppressed)).collect::<Vec<_>>(),
            [(900, 898)]
        );
        // Telling the rest begins anew.
        assert!(throttle.pass(alert(Kind::Velocity, "w", 903), 1003).is_none());
        assert_eq!(throttle.due(2002).len(), 1);
        assert!(throttle.due(3002).is_empty() && throttle.open.is_empty(), "nothing is kept of what is over");
        assert!(throttle.pass(alert(Kind::Velocity, "w", 904), 3003).is_some());
    }

    #[test]
    fn no_decoy_hides_a_request_that_waits_nor_an_order() {
        let mut throttle = Throttle::new(1000);
        let hold = |request: &str, sequence| Alert {
            request: Some(request.to_owned()),
            ..alert(Kind::Hold, "w", sequence)
        };
        assert!(throttle.pass(hold("decoy", 1), 0).is_some());
        assert!(throttle.pass(hold("real", 2), 1).is_some());
        assert!(throttle.pass(hold("decoy", 3), 2).is_none(), "told before");
        for kind in ALWAYS {
            assert!(
                throttle.pass(alert(kind, "w", 4), 3).is_some()
                    && throttle.pass(alert(kind, "w", 5), 3).is_some()
            );
        }
    }

    #[test]
    fn a_crowd_of_wallets_takes_no_more_memory() {
        let mut throttle = Throttle::new(1000);
        for n in 0..20_000_u64 {
            throttle.pass(alert(Kind::Denied, &format!("w-{n}"), n), 0);
        }
        assert!(throttle.open.len() <= MAX_OPEN + 1, "{}", throttle.open.len());
        let due = throttle.due(1000);
        assert_eq!(due.iter().map(|alert| alert.suppressed + 1).sum::<u64>(), 20_000 - MAX_OPEN as u64 - 1);
    }
}
