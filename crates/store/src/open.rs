//! Opening the store a server runs on.

use std::path::Path;
use std::sync::Arc;

use crate::redb_store::RedbStore;
use crate::{Binding, Kek, Sealed, Store, StoreError};

/// Opens, or creates, the sealed store in `dir`: redb, values sealed, the directory 0700 and locked, its files 0600.
/// The whole database is read and checked, so this takes time in proportion to it.
///
/// # Errors
/// - the operator's: [`StoreError::Locked`] (open elsewhere), [`StoreError::ReadOnly`], [`StoreError::NotPrivate`],
///   [`StoreError::WrongKek`], [`StoreError::WrongBinding`] (someone else's store), [`StoreError::Missing`] (the
///   database is gone), [`StoreError::RolledBack`] (it is older than what it acknowledged);
/// - the disk's: [`StoreError::Corrupt`], [`StoreError::Io`];
/// - fatal: [`StoreError::Sync`].
pub fn open(dir: &Path, binding: &Binding, kek: &Kek) -> Result<Arc<dyn Store>, StoreError> {
    Ok(Arc::new(Sealed::open(RedbStore::open(dir)?, binding, kek)?))
}

/// As [`open`], over sled, in the same directory layout.
///
/// # Errors
/// As [`open`]. sled notices less: a flipped bit may lose records in silence, so prefer [`open`].
#[cfg(feature = "sled")]
pub fn open_sled(dir: &Path, binding: &Binding, kek: &Kek) -> Result<Arc<dyn Store>, StoreError> {
    Ok(Arc::new(Sealed::open(crate::sled_store::SledStore::open(dir)?, binding, kek)?))
}
