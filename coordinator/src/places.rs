//! Places for what takes a while: bounded together, and for each caller, so that no caller takes them all from the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quorate_transport::SpiffeId;

use crate::access::Caller;
use crate::error::OpError;

/// The places of one kind.
pub(crate) struct Places {
    what: &'static str,
    all: usize,
    each: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    by: HashMap<SpiffeId, usize>,
}

/// One place. Dropped, it is free again.
pub(crate) struct Place {
    caller: SpiffeId,
    taken: Arc<Mutex<Taken>>,
}

impl Places {
    /// `all` places for `what`, of which one caller gets `each` at most.
    pub(crate) fn new(what: &'static str, all: usize, each: usize) -> Self {
        Self { what, all, each, taken: Arc::default() }
    }

    /// A place, where there is one for this caller.
    ///
    /// # Errors
    /// [`OpError::Unavailable`], saying whose places are taken.
    pub(crate) fn take(&self, Caller(caller): &Caller) -> Result<Place, OpError> {
        let mut taken = lock(&self.taken);
        let (what, mine) = (self.what, taken.by.get(caller).copied().unwrap_or_default());
        let reason = if mine >= self.each {
            format!("{mine} {what} of {caller} are open already, and a caller has {} at most", self.each)
        } else if taken.all >= self.all {
            format!("{} {what} are open already", self.all)
        } else {
            taken.all += 1;
            taken.by.insert(caller.clone(), mine + 1);
            return Ok(Place { caller: caller.clone(), taken: Arc::clone(&self.taken) });
        };
        Err(OpError::Unavailable { reason, nodes: Vec::new() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        taken.all = taken.all.saturating_sub(1);
        let left = taken.by.get(&self.caller).copied().unwrap_or_default().saturating_sub(1);
        // Who has none takes no memory.
        if left == 0 {
            taken.by.remove(&self.caller);
        } else {
            taken.by.insert(self.caller.clone(), left);
        }
    }
}

fn lock(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_transport::PeerRole;

    fn caller(id: &str) -> Caller {
        Caller(SpiffeId::new("demo".parse().unwrap(), PeerRole::Gateway, id).unwrap())
    }

    fn refused(places: &Places, id: &str) -> String {
        match places.take(&caller(id)) {
            Err(OpError::Unavailable { reason, .. }) => reason,
            _ => panic!("not refused"),
        }
    }

    #[test]
    fn one_caller_leaves_places_to_the_others_and_what_is_dropped_comes_back() {
        let places = Places::new("streams", 3, 2);
        let mut taken: Vec<_> = (0..2).map(|_| places.take(&caller("a")).unwrap()).collect();
        let mine = "2 streams of spiffe://demo/gateway/a are open already, and a caller has 2 at most";
        assert_eq!(refused(&places, "a"), mine);
        taken.push(places.take(&caller("b")).unwrap());
        assert_eq!(refused(&places, "b"), "3 streams are open already");
        drop(taken.remove(0));
        taken.push(places.take(&caller("b")).unwrap());
        taken.clear();
        assert!(lock(&places.taken).by.is_empty(), "who has none takes no memory");
        assert!((0..2).map(|_| places.take(&caller("a"))).collect::<Vec<_>>().iter().all(Result::is_ok));
    }
}
