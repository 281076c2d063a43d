//! The node's Ed25519 identity key on disk: made once by `init`, pinned in the manifest, never shown.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use quorate_session::{NodeKey, NodePublicKey};
use rand_core::OsRng;
use zeroize::Zeroizing;

/// The key's name in the data directory.
pub const FILE_NAME: &str = "identity.key";

/// Why the identity key could not be made or used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// There is one already. It is never overwritten: the manifest pins it.
    #[error("identity {}: exists already, and is never overwritten", .0.display())]
    Exists(PathBuf),
    /// There is none.
    #[error("identity {}: not found; make one with `quorate-node init`", .0.display())]
    Missing(PathBuf),
    /// Others than the owner may read or change it, or the owner is someone else.
    #[error("identity {}: must be a file of the user who runs the node, with mode 0600; it has mode {mode:04o}", .path.display())]
    Permissions {
        /// which file
        path: PathBuf,
        /// its permission bits
        mode: u32,
    },
    /// Not 32 bytes.
    #[error("identity {}: expected 32 bytes", .0.display())]
    Malformed(PathBuf),
    /// The disk.
    #[error("identity {}: {source}", .path.display())]
    Disk {
        /// which file
        path: PathBuf,
        /// why
        source: io::Error,
    },
}

/// Makes the identity key of a new node, and the data directory (0700) where there is none.
///
/// # Errors
/// [`IdentityError::Exists`] where there is one already; otherwise the disk.
pub fn create(data_dir: &Path) -> Result<NodePublicKey, IdentityError> {
    let key = NodeKey::generate(&mut OsRng);
    write(data_dir, &key)?;
    Ok(key.public())
}

/// Writes a node's identity key. The file appears whole, synced, with mode 0600, or not at all.
///
/// # Errors
/// [`IdentityError::Exists`] where there is one already; otherwise the disk.
pub(crate) fn write(data_dir: &Path, key: &NodeKey) -> Result<(), IdentityError> {
    let path = data_dir.join(FILE_NAME);
    let disk = |source| IdentityError::Disk { path: path.clone(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(data_dir).map_err(disk)?;
    let draft = data_dir.join(format!(".{FILE_NAME}.{:016x}", rand::random::<u64>()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).map_err(disk)?;
    let written = file.write_all(&*key.to_bytes()).and_then(|()| file.sync_all());
    // A hard link, unlike a rename, refuses a name that is taken.
    let linked = written.and_then(|()| fs::hard_link(&draft, &path));
    let removed = fs::remove_file(&draft);
    linked.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => IdentityError::Exists(path.clone()),
        _ => disk(source),
    })?;
    removed.and_then(|()| File::open(data_dir)?.sync_all()).map_err(disk)
}

/// Loads the identity key.
///
/// # Errors
/// [`IdentityError`] where there is none, where others could have read it, or where it is not a key.
pub fn load(data_dir: &Path) -> Result<NodeKey, IdentityError> {
    let path = data_dir.join(FILE_NAME);
    let disk = |source| IdentityError::Disk { path: path.clone(), source };
    let file = File::open(&path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => IdentityError::Missing(path.clone()),
        _ => disk(source),
    })?;
    // Asked of the open file, so that nobody can swap it in between.
    let metadata = file.metadata().map_err(disk)?;
    let mode = metadata.permissions().mode() & 0o7777;
    let owner = rustix::process::geteuid().as_raw();
    if !metadata.is_file() || mode & 0o077 != 0 || metadata.uid() != owner {
        return Err(IdentityError::Permissions { path, mode });
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(64));
    file.take(64).read_to_end(&mut bytes).map_err(disk)?;
    let mut seed = Zeroizing::new([0; 32]);
    if bytes.len() != seed.len() {
        return Err(IdentityError::Malformed(path));
    }
    seed.copy_from_slice(&bytes);
    Ok(NodeKey::from_bytes(seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_once_and_loaded_again() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let public = create(&data).unwrap();
        assert_eq!(load(&data).unwrap().public(), public);
        assert_eq!(fs::metadata(data.join(FILE_NAME)).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(matches!(create(&data), Err(IdentityError::Exists(_))));
        assert_eq!(load(&data).unwrap().public(), public);
        let names: Vec<_> = fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, [FILE_NAME], "drafts are removed");
    }

    #[test]
    fn loose_permissions_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        create(dir.path()).unwrap();
        let file = dir.path().join(FILE_NAME);
        for mode in [0o640, 0o604, 0o620, 0o601] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            assert!(matches!(load(dir.path()), Err(IdentityError::Permissions { .. })), "{mode:o}");
        }
        fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
        assert!(load(dir.path()).is_ok());
    }

    #[test]
    fn missing_and_malformed_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(load(dir.path()), Err(IdentityError::Missing(_))));
        for len in [0, 31, 33, 100] {
            let file = dir.path().join(FILE_NAME);
            fs::write(&file, vec![1; len]).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
            assert!(matches!(load(dir.path()), Err(IdentityError::Malformed(_))), "{len}");
        }
    }
}
