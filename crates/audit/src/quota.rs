//! How many entries somebody may cause by asking in vain: nobody fills the disk with what comes to nothing.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use quorate_types::UnixMillis;

/// Entries about one thing in any minute.
pub const MOST_OF_ONE: usize = 10;
/// Entries about all of them together in any minute: no list of names makes more of them.
pub const MOST_OF_ALL: usize = 100;

const MINUTE_MS: u64 = 60_000;

/// Room for [`MOST_OF_ONE`] entries about each `K`, and [`MOST_OF_ALL`] together, in any minute. In memory: a process that
/// is started again begins anew.
#[derive(Debug)]
pub struct Quota<K>(Mutex<Recent<K>>);

#[derive(Debug)]
struct Recent<K> {
    all: VecDeque<UnixMillis>,
    each: BTreeMap<K, One>,
}

#[derive(Debug, Default)]
struct One {
    at: VecDeque<UnixMillis>,
    left_out: u64,
}

impl<K> Default for Quota<K> {
    fn default() -> Self {
        Self(Mutex::new(Recent { all: VecDeque::new(), each: BTreeMap::new() }))
    }
}

impl<K: Ord> Quota<K> {
    /// Takes room for an entry about `what`, of which there must be finitely many: how many about it were left out since the
    /// last one, for that entry to say. `None` where there is no room; then it counts as left out.
    pub fn take(&self, what: K, now: UnixMillis) -> Option<u64> {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Recent { all, each } = &mut *recent;
        let one = each.entry(what).or_default();
        forget(all, now);
        forget(&mut one.at, now);
        if one.at.len() >= MOST_OF_ONE || all.len() >= MOST_OF_ALL {
            one.left_out = one.left_out.saturating_add(1);
            return None;
        }
        one.at.push_back(now);
        all.push_back(now);
        Some(std::mem::take(&mut one.left_out))
    }
}

fn forget(at: &mut VecDeque<UnixMillis>, now: UnixMillis) {
    while at.front().is_some_and(|at| now.saturating_sub(*at) >= MINUTE_MS) {
        at.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_in_any_minute_and_the_next_says_how_many_were_left_out() {
        let quota = Quota::default();
        let many = MOST_OF_ONE as u64;
        for now in 0..many {
            assert_eq!(quota.take("w", now), Some(0));
        }
        assert_eq!([many, 59_999].map(|now| quota.take("w", now)), [None, None]);
        assert_eq!([60_000, 60_000].map(|now| quota.take("w", now)), [Some(2), None]);
        assert_eq!([60_001, 60_001].map(|now| quota.take("w", now)), [Some(1), None]);
        assert_eq!(quota.take("other", 60_001), Some(0), "each has its own");
        // A clock that was set back makes no room.
        assert_eq!(quota.take("w", 0), None);
        assert_eq!(quota.take("w", 200_000), Some(2));
    }

    #[test]
    fn no_list_of_names_makes_more_of_them() {
        let quota = Quota::default();
        let written = (0..10 * MOST_OF_ALL).filter(|name| quota.take(*name, 7).is_some()).count();
        assert_eq!(written, MOST_OF_ALL);
        assert_eq!(quota.take(10 * MOST_OF_ALL - 1, 60_007), Some(1));
    }
}
