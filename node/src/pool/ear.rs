//! What one coordinator has not been told yet of the presignatures made through it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};

use quorate_types::{B256, WalletId};
use tokio::sync::Notify;

/// Which came (true) and which went, by wallet and id.
pub(crate) type News = BTreeMap<(WalletId, B256), bool>;

/// Collects news until somebody asks for them. What comes and goes in between is never said at all, so there are never more
/// than there are presignatures, and were when it was asked last.
pub(crate) struct Ear {
    coordinator: String,
    news: Mutex<News>,
    rung: Notify,
}

impl Ear {
    pub(super) fn new(coordinator: &str, there: News) -> Self {
        let rung = Notify::new();
        rung.notify_one();
        Self { coordinator: coordinator.to_owned(), news: Mutex::new(there), rung }
    }

    pub(super) fn hear(&self, coordinator: &str, (wallet, id, came): (&WalletId, B256, bool)) {
        if self.coordinator != coordinator {
            return;
        }
        match self.news().entry((wallet.clone(), id)) {
            Entry::Occupied(untold) if *untold.get() != came => {
                untold.remove();
            }
            Entry::Occupied(_) => {}
            Entry::Vacant(news) => {
                news.insert(came);
            }
        }
        self.rung.notify_one();
    }

    /// Returns once there may be news.
    pub(crate) async fn rung(&self) {
        self.rung.notified().await;
    }

    /// The news since this was called last.
    pub(crate) fn take(&self) -> News {
        std::mem::take(&mut *self.news())
    }

    fn news(&self) -> MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_and_goes_in_between_is_never_said() {
        let wallet: WalletId = "w".parse().unwrap();
        let [old, new, short] = [1, 2, 3].map(B256::repeat_byte);
        let ear = Ear::new("c", News::from([((wallet.clone(), old), true)]));
        assert_eq!(ear.take().len(), 1);
        ear.hear("c", (&wallet, new, true));
        ear.hear("c", (&wallet, short, true));
        ear.hear("c", (&wallet, short, false));
        ear.hear("c", (&wallet, old, false));
        ear.hear("another", (&wallet, B256::ZERO, true));
        assert_eq!(ear.take(), News::from([((wallet.clone(), old), false), ((wallet, new), true)]));
        assert!(ear.take().is_empty());
    }
}
