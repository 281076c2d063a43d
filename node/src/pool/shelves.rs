//! Things that wait to be taken once: at most so many of a kind, so many in all, and for so long.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use quorate_types::B256;

/// Things of several kinds, each with an id. The oldest goes first, whether for age or for room.
pub(super) struct Shelves<K, T: Labelled> {
    per_kind: usize,
    total: usize,
    ttl: Duration,
    /// By order of arrival, which is the order of age.
    things: BTreeMap<u64, Thing<K, T>>,
    by_id: HashMap<B256, u64>,
    arrived: u64,
    gone: Vec<(B256, T::Label)>,
}

/// What is said of a thing that is gone.
pub(super) trait Labelled {
    /// What it is.
    type Label;

    /// Of this thing.
    fn label(&self) -> Self::Label;
}

struct Thing<K, T> {
    id: B256,
    kind: K,
    since: Duration,
    thing: T,
}

impl<K: PartialEq, T: Labelled> Shelves<K, T> {
    /// Empty shelves for `per_kind` things of one kind and `total` in all, for `ttl_ms` milliseconds each.
    pub(super) fn new(per_kind: usize, total: usize, ttl_ms: u64) -> Self {
        Self {
            per_kind,
            total,
            ttl: Duration::from_millis(ttl_ms),
            things: BTreeMap::new(),
            by_id: HashMap::new(),
            arrived: 0,
            gone: Vec::new(),
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.things.len()
    }

    /// What went since this was called last.
    pub(super) fn gone(&mut self) -> Vec<(B256, T::Label)> {
        std::mem::take(&mut self.gone)
    }

    /// Everything, the oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&B256, &T)> {
        self.things.values().map(|thing| (&thing.id, &thing.thing))
    }

    /// Puts a thing in at the time `now`, and says whether it is there. What is there under its id stays: one id is one
    /// thing.
    pub(super) fn put(&mut self, (id, kind): (B256, K), thing: T, now: Duration) -> bool {
        self.expire(now);
        if self.by_id.contains_key(&id) || self.per_kind == 0 || self.total == 0 {
            return false;
        }
        let of_kind = self.things.iter().filter(|(_, other)| other.kind == kind);
        if of_kind.clone().count() >= self.per_kind {
            let oldest = of_kind.map(|(at, _)| *at).next();
            self.drop_at(oldest);
        }
        if self.things.len() >= self.total {
            let oldest = self.things.keys().next().copied();
            self.drop_at(oldest);
        }
        self.by_id.insert(id, self.arrived);
        self.things.insert(self.arrived, Thing { id, kind, since: now, thing });
        self.arrived = self.arrived.wrapping_add(1);
        true
    }

    /// Moves the thing out, where it is of this kind. Of another kind it stays.
    pub(super) fn take(&mut self, id: &B256, kind: &K, now: Duration) -> Option<T> {
        self.expire(now);
        let at = *self.by_id.get(id)?;
        if self.things.get(&at).is_none_or(|thing| thing.kind != *kind) {
            return None;
        }
        self.drop_at(Some(at))
    }

    /// Drops what is not to be kept.
    pub(super) fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        let gone: Vec<_> =
            self.things.iter().filter(|(_, thing)| !keep(&thing.thing)).map(|(at, _)| *at).collect();
        for at in gone {
            self.drop_at(Some(at));
        }
    }

    /// Drops what has been here too long.
    pub(super) fn expire(&mut self, now: Duration) {
        while let Some(oldest) = self.things.first_entry()
            && now.saturating_sub(oldest.get().since) >= self.ttl
        {
            let at = *oldest.key();
            self.drop_at(Some(at));
        }
    }

    fn drop_at(&mut self, at: Option<u64>) -> Option<T> {
        let thing = self.things.remove(&at?)?;
        self.by_id.remove(&thing.id);
        self.gone.push((thing.id, thing.thing.label()));
        Some(thing.thing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);

    impl Labelled for u8 {
        type Label = Self;

        fn label(&self) -> Self {
            *self
        }
    }

    fn id(n: u8) -> B256 {
        B256::repeat_byte(n)
    }

    fn ids(shelves: &Shelves<char, u8>) -> Vec<u8> {
        shelves.iter().map(|(_, thing)| *thing).collect()
    }

    fn shelves(per_kind: usize, total: usize, things: &[(char, u8)]) -> Shelves<char, u8> {
        let mut shelves = Shelves::new(per_kind, total, 1_000);
        for (kind, n) in things {
            shelves.put((id(*n), *kind), *n, NOW);
        }
        shelves
    }

    #[test]
    fn a_thing_is_taken_once_and_only_as_what_it_is() {
        let mut shelves = shelves(8, 8, &[('a', 1), ('b', 2)]);
        assert_eq!(shelves.take(&id(1), &'b', NOW), None);
        assert_eq!(shelves.take(&id(3), &'a', NOW), None);
        assert_eq!(shelves.take(&id(1), &'a', NOW), Some(1));
        assert_eq!(shelves.take(&id(1), &'a', NOW), None);
        assert_eq!(ids(&shelves), [2]);
    }

    #[test]
    fn one_id_is_one_thing() {
        let mut shelves = shelves(8, 8, &[('a', 1)]);
        assert!(!shelves.put((id(1), 'a'), 9, NOW));
        assert_eq!(shelves.take(&id(1), &'a', NOW), Some(1));
        assert_eq!(shelves.len(), 0);
    }

    #[test]
    fn what_is_too_old_is_gone() {
        let mut shelves = shelves(8, 8, &[('a', 1)]);
        let later = |ms| NOW + Duration::from_millis(ms);
        shelves.put((id(2), 'a'), 2, later(500));
        shelves.expire(later(999));
        assert_eq!((ids(&shelves), shelves.gone()), (vec![1, 2], vec![]));
        assert_eq!(shelves.take(&id(1), &'a', later(1_000)), None, "expired without a sweep");
        assert_eq!((ids(&shelves), shelves.gone()), (vec![2], vec![(id(1), 1)]));
        shelves.expire(later(1_500));
        assert_eq!(shelves.len(), 0);
        assert!(shelves.by_id.is_empty());
    }

    #[test]
    fn the_oldest_of_its_kind_makes_room() {
        let full = shelves(2, 8, &[('a', 1), ('b', 2), ('a', 3), ('a', 4)]);
        assert_eq!(ids(&full), [2, 3, 4]);
    }

    #[test]
    fn the_oldest_of_all_makes_room() {
        let full = shelves(2, 3, &[('a', 1), ('b', 2), ('c', 3), ('d', 4)]);
        assert_eq!(ids(&full), [2, 3, 4]);
        assert_eq!(ids(&shelves(0, 3, &[('a', 1)])), [0; 0]);
        assert_eq!(ids(&shelves(3, 0, &[('a', 1)])), [0; 0]);
    }

    #[test]
    fn what_is_not_kept_goes() {
        let mut shelves = shelves(8, 8, &[('a', 1), ('a', 2), ('b', 3)]);
        shelves.retain(|thing| *thing != 2);
        assert_eq!(ids(&shelves), [1, 3]);
        assert_eq!(shelves.take(&id(2), &'a', NOW), None);
    }
}
