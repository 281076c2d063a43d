//! How many presignatures a wallet should have ready: what it used of late says what it will use next.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quorate_types::{GroupId, WalletId};
use tokio::time::Instant;

use crate::config::PoolsConfig;

/// After so long without use, a wallet's rate counts half.
const HALF_LIFE: Duration = Duration::from_secs(60);
/// Presignatures are kept for the signatures of so long at the present rate.
const HORIZON: Duration = Duration::from_secs(10);
/// A wallet is hot so long after its last use,
const HOT: Duration = Duration::from_secs(10 * 60);
/// and remembered so long.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);
/// Most wallets remembered: a bound on memory.
const MAX_WALLETS: usize = 1 << 16;

/// What was used, by wallet.
#[derive(Default)]
pub(crate) struct Demand(Mutex<HashMap<WalletId, Used>>);

#[derive(Debug, Clone)]
struct Used {
    group: GroupId,
    /// Signatures a second, smoothed.
    rate: f64,
    last: Instant,
}

impl Used {
    fn rate_at(&self, now: Instant) -> f64 {
        let halvings = now.saturating_duration_since(self.last).as_secs_f64() / HALF_LIFE.as_secs_f64();
        self.rate * (-halvings).exp2()
    }

    fn target(&self, config: &PoolsConfig, now: Instant) -> usize {
        let idle = now.saturating_duration_since(self.last);
        let floor = match idle {
            idle if idle < HOT => config.hot,
            idle if idle < REMEMBERED => config.idle,
            _ => return 0,
        };
        let expected = (self.rate_at(now) * HORIZON.as_secs_f64()).round();
        // A float above the range is the range's end.
        floor.max(expected as usize).min(config.per_wallet)
    }
}

impl Demand {
    fn wallets(&self) -> MutexGuard<'_, HashMap<WalletId, Used>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a signature.
    pub(crate) fn used(&self, wallet: &WalletId, group: &GroupId, now: Instant) {
        let mut wallets = self.wallets();
        if wallets.len() >= MAX_WALLETS {
            wallets.retain(|_, used| now.saturating_duration_since(used.last) < HOT);
        }
        // At a steady rate this sums up to it.
        let one = std::f64::consts::LN_2 / HALF_LIFE.as_secs_f64();
        let rate = wallets.get(wallet).map_or(0.0, |used| used.rate_at(now)) + one;
        wallets.insert(wallet.clone(), Used { group: group.clone(), rate, last: now });
    }

    /// How many each wallet should have ready now. A wallet nobody has used for long is forgotten.
    pub(crate) fn targets(&self, config: &PoolsConfig, now: Instant) -> Vec<(WalletId, GroupId, usize)> {
        let mut wallets = self.wallets();
        wallets.retain(|_, used| now.saturating_duration_since(used.last) < REMEMBERED);
        let target = |(wallet, used): (&WalletId, &Used)| {
            (wallet.clone(), used.group.clone(), used.target(config, now))
        };
        wallets.iter().map(target).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: PoolsConfig = PoolsConfig { per_wallet: 16, hot: 4, idle: 1, sessions: 2 };

    fn target(demand: &Demand, now: Instant) -> Option<usize> {
        demand.targets(&CONFIG, now).first().map(|(_, _, target)| *target)
    }

    fn used(demand: &Demand, times: u32, apart: Duration, from: Instant) -> Instant {
        let (wallet, group) = ("w".parse().unwrap(), "g".parse().unwrap());
        let at = |n: u32| from + apart * n;
        (0..times).for_each(|n| demand.used(&wallet, &group, at(n)));
        at(times - 1)
    }

    #[test]
    fn a_wallet_nobody_used_has_none_and_one_use_makes_it_hot() {
        let (demand, now) = (Demand::default(), Instant::now());
        assert_eq!(target(&demand, now), None);
        let now = used(&demand, 1, Duration::ZERO, now);
        assert_eq!(target(&demand, now), Some(4));
        assert_eq!(target(&demand, now + HOT - Duration::from_secs(1)), Some(4));
        assert_eq!(target(&demand, now + HOT), Some(1));
        assert_eq!(target(&demand, now + REMEMBERED), None);
        assert!(demand.wallets().is_empty());
    }

    #[test]
    fn the_rate_says_how_many_up_to_the_most() {
        let (demand, now) = (Demand::default(), Instant::now());
        let now = used(&demand, 600, Duration::from_secs(1), now);
        assert_eq!(target(&demand, now), Some(10), "one a second, for ten seconds");
        assert_eq!(target(&demand, now + HALF_LIFE), Some(5));
        assert_eq!(target(&demand, now + HALF_LIFE * 2), Some(4), "the floor of a hot wallet");
        let now = used(&demand, 1000, Duration::from_millis(100), now);
        assert_eq!(target(&demand, now), Some(16));
    }
}
