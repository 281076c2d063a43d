//! Remembering that a sync failed. The kernel may drop the pages of a failed fsync and report the next one as fine,
//! so a store whose sync failed once never speaks again.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::StoreError;

#[derive(Default)]
pub(crate) struct Poison(AtomicBool);

impl Poison {
    /// Refuses once a sync has failed.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        if self.0.load(Ordering::SeqCst) { Err(StoreError::Poisoned) } else { Ok(()) }
    }

    /// From now on, every call is refused.
    pub(crate) fn fail(&self, reason: impl Display) -> StoreError {
        self.0.store(true, Ordering::SeqCst);
        StoreError::Sync(reason.to_string())
    }
}
