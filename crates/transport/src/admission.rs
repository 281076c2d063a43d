//! How many strangers may be in a handshake at once, in all and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Counts handshakes under way. One address cannot take every place.
#[derive(Clone)]
pub(crate) struct Admission {
    places: Arc<Semaphore>,
    per_source: usize,
    sources: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One handshake's place; dropping it frees the place.
pub(crate) struct Place {
    source: IpAddr,
    sources: Arc<Mutex<HashMap<IpAddr, usize>>>,
    _permit: OwnedSemaphorePermit,
}

impl Admission {
    pub(crate) fn new(total: usize, per_source: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(total)), per_source, sources: Arc::default() }
    }

    /// Waits until there is room in all. `None` only if the semaphore is closed, which nobody does.
    pub(crate) async fn room(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).acquire_owned().await.ok()
    }

    /// Turns room into a place for one source; `None` where that source has all it may have.
    pub(crate) fn admit(&self, source: IpAddr, permit: OwnedSemaphorePermit) -> Option<Place> {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let count = sources.entry(source).or_insert(0);
        if *count >= self.per_source {
            return None;
        }
        *count += 1;
        Some(Place { source, sources: Arc::clone(&self.sources), _permit: permit })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = sources.get_mut(&self.source) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                sources.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_source_cannot_take_every_place() {
        let admission = Admission::new(3, 2);
        let [busy, other] = [IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2])];
        let first = admission.admit(busy, admission.room().await.unwrap()).unwrap();
        let _second = admission.admit(busy, admission.room().await.unwrap()).unwrap();
        assert!(admission.admit(busy, admission.room().await.unwrap()).is_none());
        let _third = admission.admit(other, admission.room().await.unwrap()).unwrap();
        assert_eq!(admission.places.available_permits(), 0);
        drop(first);
        assert!(admission.admit(busy, admission.room().await.unwrap()).is_some());
        assert_eq!(admission.sources.lock().unwrap().get(&busy), Some(&1), "each drop gives its place back");
    }
}
