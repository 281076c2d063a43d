//! Points in a build for tests.

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use crate::Point;

/// The variable of the environment that names the point at which a process is to die. An optimised build does not look at it,
/// whatever its features.
pub const VARIABLE: &str = "QUORATE_FAILPOINT";

static OF_THE_PROCESS: LazyLock<Option<Point>> = LazyLock::new(|| {
    let name = std::env::var(VARIABLE).ok().filter(|_| cfg!(debug_assertions))?;
    Point::ALL.into_iter().find(|point| point.name() == name)
});

/// Passes a point. Where this process is to die at it, nothing runs after it: no destructor, no answer, no sync.
pub fn pass(point: Point) {
    if *OF_THE_PROCESS == Some(point) {
        tracing::error!(point = point.name(), "dies at a failpoint");
        std::process::abort();
    }
}

/// The points of one node of several in a process.
#[derive(Debug, Default)]
pub struct Failpoints(Mutex<State>);

#[derive(Debug, Clone, Copy, Default)]
enum State {
    #[default]
    Alive,
    DiesAt(Point),
    DiedAt(Point),
}

/// The node is dead: nothing more of it may leave, or be committed.
#[derive(Debug, thiserror::Error)]
#[error("died at failpoint {}", .0.name())]
pub struct Died(Point);

impl Failpoints {
    /// None of them kills.
    pub const fn new() -> Self {
        Self(Mutex::new(State::Alive))
    }

    /// Has the node die at `point`, the next time it passes it.
    pub fn arm(&self, point: Point) {
        let mut state = self.state();
        if !matches!(*state, State::DiedAt(_)) {
            *state = State::DiesAt(point);
        }
    }

    /// Where it died.
    pub fn died_at(&self) -> Option<Point> {
        match *self.state() {
            State::DiedAt(point) => Some(point),
            State::Alive | State::DiesAt(_) => None,
        }
    }

    /// Passes a point, as [`pass`] does.
    ///
    /// # Errors
    /// [`Died`] where the node dies here, or is dead.
    pub fn pass(&self, point: Point) -> Result<(), Died> {
        pass(point);
        let mut state = self.state();
        let at = match *state {
            State::DiedAt(at) => at,
            State::DiesAt(at) if at == point => at,
            State::Alive | State::DiesAt(_) => return Ok(()),
        };
        *state = State::DiedAt(at);
        Err(Died(at))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_dies_at_its_point_and_stays_dead_at_every_other() {
        let node = Failpoints::new();
        assert!(node.pass(Point::AgentOnlineSynced).is_ok());
        node.arm(Point::AgentOnlineSynced);
        assert!(node.pass(Point::AgentOnlineUnsynced).is_ok());
        assert_eq!(node.died_at(), None);
        assert!(node.pass(Point::AgentOnlineSynced).is_err());
        node.arm(Point::AgentSessionSynced);
        let died = node.pass(Point::AgentOnlineUnsynced).unwrap_err();
        assert_eq!(died.to_string(), "died at failpoint agent.online.synced");
        assert_eq!(node.died_at(), Some(Point::AgentOnlineSynced));
    }
}
