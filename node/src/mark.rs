//! A mark beside the identity key that this node has a store.
//!
//! Without it, a node whose store directory was emptied would start as a new one: it would have forgotten its shares and
//! everything it counted, and say nothing.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use quorate_store::StoreError;

/// The mark's name in the data directory.
const FILE_NAME: &str = "store.made";

/// Refuses a data directory whose store is gone.
///
/// # Errors
/// [`StoreError::Missing`] where there was a store and there is none; otherwise the disk.
pub(crate) fn check(data_dir: &Path, store: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::Io { action: "look for", path: store.to_owned(), source };
    if !data_dir.join(FILE_NAME).try_exists().map_err(failed)? || !is_empty(store).map_err(failed)? {
        return Ok(());
    }
    let reason = "this node had a store, and it is gone".to_owned();
    Err(StoreError::Missing { path: store.to_owned(), reason })
}

/// Leaves the mark, synced. Called once the store is open.
///
/// # Errors
/// The disk.
pub(crate) fn leave(data_dir: &Path) -> Result<(), StoreError> {
    let path = data_dir.join(FILE_NAME);
    let failed = |source| StoreError::Io { action: "write", path: path.clone(), source };
    if path.try_exists().map_err(failed)? {
        return Ok(());
    }
    File::create_new(&path).and_then(|mark| mark.sync_all()).map_err(failed)?;
    File::open(data_dir).and_then(|directory| directory.sync_all()).map_err(failed)
}

fn is_empty(directory: &Path) -> io::Result<bool> {
    match fs::read_dir(directory) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_vanished_is_not_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("store");
        check(dir.path(), &store).unwrap();
        fs::create_dir(&store).unwrap();
        fs::write(store.join("db"), b"x").unwrap();
        leave(dir.path()).unwrap();
        leave(dir.path()).unwrap();
        check(dir.path(), &store).unwrap();
        fs::remove_file(store.join("db")).unwrap();
        assert!(matches!(check(dir.path(), &store), Err(StoreError::Missing { .. })), "emptied");
        fs::remove_dir(&store).unwrap();
        assert!(matches!(check(dir.path(), &store), Err(StoreError::Missing { .. })), "deleted");
    }
}
