//! The data directory: private to its owner, and used by one process at a time.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};

use crate::StoreError;

const LOCK: &str = "LOCK";
const OTHERS: u32 = 0o077;

/// An open data directory. The lock is the file description's: it ends with this value, or with the process.
pub(crate) struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Creates the directory (0700) if it is not there, and locks it. One that is open to others is made private the
    /// first time, when nothing of ours is in it yet; later on it is refused, for somebody opened it.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|err| StoreError::io("creating data directory", path, err))?;
        let meta = || path.metadata().map_err(|err| StoreError::io("reading data directory", path, err));
        if is_lax(&meta()?) && !path.join(LOCK).exists() {
            make_private(path, 0o700)?;
        }
        check_private(path, &meta()?, "chmod 700 it")?;
        let lock = private_file(&path.join(LOCK))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(err) if io::Error::from(err).kind() == io::ErrorKind::WouldBlock => {
                Err(StoreError::Locked { path: path.to_owned() })
            }
            Err(err) => Err(StoreError::io("locking", &path.join(LOCK), err.into())),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A file of this directory, created 0600 if it is not there, opened to read and write.
    pub(crate) fn file(&self, name: &str) -> Result<File, StoreError> {
        private_file(&self.path.join(name))
    }

    /// Makes new names in the directory, and the directory's own name in its parent, durable.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        sync_dir(&self.path)?;
        match self.path.canonicalize() {
            Ok(full) => full.parent().map_or(Ok(()), sync_dir),
            Err(err) => Err(StoreError::io("resolving", &self.path, err)),
        }
    }
}

/// Fsyncs a directory. One whose parent may not be opened is left to the file system: its name is older than us.
pub(crate) fn sync_dir(path: &Path) -> Result<(), StoreError> {
    match File::open(path) {
        Ok(dir) => {
            dir.sync_all().map_err(|err| StoreError::Sync(format!("directory {}: {err}", path.display())))
        }
        Err(err) if err.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Err(err) => Err(StoreError::io("opening directory", path, err)),
    }
}

/// Opens a private file of ours to read and write; no link is followed, none is created lax.
pub(crate) fn private_file(path: &Path) -> Result<File, StoreError> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(flags(OFlags::NOFOLLOW | OFlags::NONBLOCK))
        .open(path)
        .map_err(|err| StoreError::io("opening", path, err))?;
    let meta = file.metadata().map_err(|err| StoreError::io("reading", path, err))?;
    if !meta.is_file() {
        return Err(not_private(path, "not a regular file"));
    }
    check_private(path, &meta, "chmod 600 it")?;
    Ok(file)
}

/// Makes a file or directory that someone else created private.
pub(crate) fn make_private(path: &Path, mode: u32) -> Result<(), StoreError> {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        .map_err(|err| StoreError::io("making private", path, err))
}

/// Open flags as the standard library takes them.
pub(crate) fn flags(flags: OFlags) -> i32 {
    flags.bits().cast_signed()
}

pub(crate) fn not_private(path: &Path, reason: impl Into<String>) -> StoreError {
    StoreError::NotPrivate { path: path.to_owned(), reason: reason.into() }
}

/// Ours, or root's: another owner could change it under us.
pub(crate) fn check_owner(path: &Path, meta: &std::fs::Metadata) -> Result<(), StoreError> {
    let us = rustix::process::geteuid().as_raw();
    if meta.uid() != us && meta.uid() != 0 {
        return Err(not_private(
            path,
            format!("owned by user {}, but this process runs as {us}", meta.uid()),
        ));
    }
    Ok(())
}

fn check_private(path: &Path, meta: &std::fs::Metadata, remedy: &str) -> Result<(), StoreError> {
    check_owner(path, meta)?;
    if is_lax(meta) {
        let mode = meta.permissions().mode() & 0o7777;
        return Err(not_private(path, format!("open to group or others (mode {mode:o}); {remedy}")));
    }
    Ok(())
}

fn is_lax(meta: &std::fs::Metadata) -> bool {
    meta.permissions().mode() & OTHERS != 0
}
