//! Deadlines of a session, and who it waits for. Reads no clock.

use std::collections::BTreeMap;

use quorate_types::{PartyIndex, UnixMillis};

use crate::Fault;

/// How long a session may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// Longest stay in one round, in milliseconds.
    pub round_ms: u64,
    /// Longest session, in milliseconds.
    pub session_ms: u64,
}

/// Which deadline has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deadline {
    /// The current round's.
    Round,
    /// The session's.
    Session,
}

/// A session that ran out of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{which:?} deadline passed in round {round}, waiting for parties {waiting:?}")]
pub struct Expired {
    /// Which deadline.
    pub which: Deadline,
    /// The round this node was in.
    pub round: u8,
    /// Parties not heard from in that round, ascending.
    pub waiting: Vec<PartyIndex>,
}

impl Expired {
    /// The network's: a relay that holds a party's messages back looks like a party that does not speak.
    pub const fn fault(&self) -> Fault {
        Fault::Network
    }
}

/// Follows a session's progress against its deadlines. It begins in round 0.
#[derive(Debug, Clone)]
pub struct Watch {
    deadlines: Deadlines,
    began: UnixMillis,
    round_began: UnixMillis,
    round: u8,
    heard: BTreeMap<PartyIndex, Option<u8>>,
}

impl Watch {
    /// Starts watching a session with `peers` at time `now`.
    pub fn start(now: UnixMillis, deadlines: Deadlines, peers: impl IntoIterator<Item = PartyIndex>) -> Self {
        let heard = peers.into_iter().map(|peer| (peer, None)).collect();
        Self { deadlines, began: now, round_began: now, round: 0, heard }
    }

    /// This node went on to `round`. The round's clock starts again only if that is a later one.
    pub fn progress(&mut self, now: UnixMillis, round: u8) {
        if round > self.round {
            self.round = round;
            self.round_began = now;
        }
    }

    /// `party` sent a message of `round`. A peer may be rounds ahead.
    pub fn heard(&mut self, party: PartyIndex, round: u8) {
        if let Some(latest) = self.heard.get_mut(&party) {
            *latest = (*latest).max(Some(round));
        }
    }

    /// Parties not heard from in the current round or a later one, ascending.
    pub fn waiting(&self) -> Vec<PartyIndex> {
        let silent = self.heard.iter().filter(|(_, latest)| **latest < Some(self.round));
        silent.map(|(party, _)| *party).collect()
    }

    /// When the next deadline passes, for the caller's timer.
    pub fn deadline(&self) -> UnixMillis {
        self.round_deadline().min(self.session_deadline())
    }

    /// The deadline that has passed by `now`, if one has: the session's before the round's.
    pub fn expired(&self, now: UnixMillis) -> Option<Expired> {
        let which = if now >= self.session_deadline() {
            Deadline::Session
        } else if now >= self.round_deadline() {
            Deadline::Round
        } else {
            return None;
        };
        Some(Expired { which, round: self.round, waiting: self.waiting() })
    }

    fn round_deadline(&self) -> UnixMillis {
        self.round_began.saturating_add(self.deadlines.round_ms)
    }

    fn session_deadline(&self) -> UnixMillis {
        self.began.saturating_add(self.deadlines.session_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch() -> Watch {
        Watch::start(1000, Deadlines { round_ms: 10, session_ms: 25 }, [0, 2])
    }

    #[test]
    fn round_deadline_moves_with_progress_only() {
        let mut watch = watch();
        assert_eq!(watch.expired(1009), None);
        watch.progress(1009, 0);
        watch.heard(0, 0);
        assert_eq!(watch.deadline(), 1010);
        let expired = watch.expired(1010).unwrap();
        assert_eq!(expired, Expired { which: Deadline::Round, round: 0, waiting: vec![2] });
        assert_eq!(expired.fault(), Fault::Network);
        watch.progress(1009, 1);
        assert_eq!(watch.expired(1018), None);
        assert_eq!(watch.expired(1019).map(|expired| expired.waiting), Some(vec![0, 2]));
    }

    #[test]
    fn session_deadline_does_not_move() {
        let mut watch = watch();
        watch.progress(1024, 3);
        assert_eq!(watch.deadline(), 1025);
        assert_eq!(watch.expired(1024), None);
        assert_eq!(watch.expired(1025).map(|expired| expired.which), Some(Deadline::Session));
    }

    #[test]
    fn waits_for_nobody_who_is_ahead_and_for_no_stranger() {
        let mut watch = watch();
        watch.heard(0, 2);
        watch.heard(0, 0);
        watch.heard(7, 0);
        watch.progress(1001, 2);
        assert_eq!(watch.waiting(), [2]);
        watch.progress(1002, 3);
        assert_eq!(watch.waiting(), [0, 2]);
        watch.progress(1003, 1);
        assert_eq!(watch.waiting(), [0, 2]);
    }

    #[test]
    fn endless_deadlines_do_not_overflow() {
        let watch = Watch::start(u64::MAX, Deadlines { round_ms: u64::MAX, session_ms: 1 }, []);
        assert_eq!(watch.deadline(), u64::MAX);
    }
}
