//! Who may be in conversation with the node, and how many at once: one agent's process leaves the others their places.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::answer::Refusal;
use super::config::AskingConfig;

/// Conversations at once: all together, and of one user.
const ALL: usize = 16;
const OF_ONE: usize = 4;

/// The places there are. Only users that are listed have any.
pub(super) struct Places {
    all: Arc<Semaphore>,
    users: HashMap<u32, Arc<Semaphore>>,
}

/// A place that is taken, until it is dropped.
pub(super) struct Place {
    _of_user: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Places {
    pub(super) fn of(config: &AskingConfig) -> Self {
        let place = |uid| (uid, Arc::new(Semaphore::new(OF_ONE)));
        let users = config.agents.iter().map(|listed| place(listed.uid)).collect();
        Self { all: Arc::new(Semaphore::new(ALL)), users }
    }

    /// A place for this user.
    ///
    /// # Errors
    /// Names `uid` for who is not listed, and `connections` for who must come back.
    pub(super) fn take(&self, uid: u32) -> Result<Place, Refusal> {
        let of_user = self.users.get(&uid).ok_or_else(|| Refusal::unlisted(uid))?;
        let taken = |semaphore: &Arc<Semaphore>, reason: String| {
            Arc::clone(semaphore).try_acquire_owned().map_err(|_| Refusal::new("connections", reason))
        };
        Ok(Place {
            _of_user: taken(of_user, format!("{OF_ONE} of user {uid} are open: come back"))?,
            _of_all: taken(&self.all, format!("{ALL} are open: come back"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asking::AskingAgent;

    #[test]
    fn one_user_leaves_the_others_their_places() {
        let agent = |uid| AskingAgent { agent: format!("bot-{uid}").parse().unwrap(), uid };
        let agents = (1..=5).map(agent).collect();
        let places = Places::of(&AskingConfig { socket: "s".into(), open_to_group: false, agents });
        let refused = |uid| places.take(uid).err().unwrap().field();
        assert_eq!(refused(6), "uid");
        let mut taken: Vec<_> = (0..OF_ONE).map(|_| places.take(1).ok().unwrap()).collect();
        assert_eq!(refused(1), "connections");
        let others: Vec<_> =
            (2..=4).flat_map(|uid| [uid; OF_ONE]).map(|uid| places.take(uid).ok().unwrap()).collect();
        assert_eq!((others.len() + OF_ONE, refused(5)), (ALL, "connections"));
        taken.pop();
        let back = places.take(5).ok().unwrap();
        assert_eq!(refused(1), "connections");
        drop(back);
        assert!(places.take(1).is_ok());
    }
}
