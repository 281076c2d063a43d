//! One at a time, per name.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

/// A lock for each key. Those nobody holds or waits for take no memory.
pub(crate) struct KeyedLocks<K>(Mutex<HashMap<K, Arc<tokio::sync::Mutex<()>>>>);

impl<K> Default for KeyedLocks<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Hash + Eq + Clone> KeyedLocks<K> {
    /// Waits until nobody else holds `key`. First come, first served.
    pub(crate) async fn lock(&self, key: &K) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            locks.retain(|_, lock| Arc::strong_count(lock) > 1);
            locks.entry(key.clone()).or_default().clone()
        };
        lock.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    #[tokio::test]
    async fn excludes_per_key_and_forgets() {
        let locks = KeyedLocks::default();
        let held = locks.lock(&"a").await;
        let other = timeout(Duration::from_millis(20), locks.lock(&"b")).await;
        assert!(other.is_ok(), "another key is free");
        assert!(timeout(Duration::from_millis(20), locks.lock(&"a")).await.is_err());
        drop((held, other));
        drop(locks.lock(&"a").await);
        let _c = locks.lock(&"c").await;
        assert_eq!(locks.0.lock().unwrap().len(), 1);
    }
}
