//! What can go wrong, sorted by whose fault it is.

use std::io;
use std::path::{Path, PathBuf};

/// Why the store refused or failed. No variant carries a value or key material.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    // ---- the caller's
    /// A table name that is empty, too long or reserved.
    #[error("table {table:?}: {reason}")]
    Table {
        /// the name given
        table: String,
        /// what is wrong with it
        reason: &'static str,
    },

    /// A value the backend cannot hold.
    #[error("value: {0} bytes are too many")]
    TooLarge(usize),

    // ---- the operator's
    /// A key-encryption key that cannot be used.
    #[error("kek {origin}: {reason}")]
    Kek {
        /// the file, credential or passphrase it was to come from
        origin: String,
        /// what is wrong with it
        reason: String,
    },
    /// The key-encryption key is not this store's.
    #[error(
        "kek: it does not open this store: either it is the wrong key, or the store's header was altered"
    )]
    WrongKek,
    /// The store belongs to someone else.
    #[error("store binding, {field}: this store belongs to {found}, but was opened as {expected}")]
    WrongBinding {
        /// `cluster`, `owner` or `epoch`
        field: &'static str,
        /// who asked
        expected: String,
        /// whose it is
        found: String,
    },
    /// Another process, or another part of this one, has it open.
    #[error("data directory {}: already open; only one process may use it", path.display())]
    Locked {
        /// the directory
        path: PathBuf,
    },
    /// The directory or a file in it cannot be written.
    #[error("data directory {}: not writable ({reason})", path.display())]
    ReadOnly {
        /// what could not be written
        path: PathBuf,
        /// what the system said
        reason: String,
    },
    /// Others can get at what must be private, or it is not a file or directory of ours.
    #[error("{}: {reason}", path.display())]
    NotPrivate {
        /// the file or directory
        path: PathBuf,
        /// what is wrong, and what to do
        reason: String,
    },
    /// The directory was in use, and its database is gone.
    #[error("data directory {}: {reason}; put it back, or set its owner up anew", path.display())]
    Missing {
        /// the directory
        path: PathBuf,
        /// what is missing
        reason: String,
    },

    /// The database is older than what it acknowledged: an old copy was put in its place, or it was damaged. What it
    /// acknowledged since, such as spending, would be forgotten.
    #[error("data directory {}: the database holds {counted} commits, but acknowledged {noted}; put the newest one back, \
             or set its owner up anew", path.display())]
    RolledBack {
        /// the directory
        path: PathBuf,
        /// commits in the database
        counted: u64,
        /// commits it acknowledged, at least
        noted: u64,
    },

    // ---- the disk's
    /// The file is damaged.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
    /// One value does not open: it was altered, or moved from another key, table or store.
    #[error("table {table:?}, key {key}: the value does not open (altered, or moved from elsewhere)")]
    Unsealed {
        /// its table
        table: String,
        /// its key in hex, shortened
        key: String,
    },
    /// Any other failure of the file system.
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// what was being done
        action: &'static str,
        /// to which file
        path: PathBuf,
        /// what the system said
        source: io::Error,
    },

    // ---- fatal: the process must stop
    /// The disk did not confirm a write. What is on it is unknown until the store is opened again.
    #[error("sync failed: {0}; the process must stop")]
    Sync(String),
    /// A sync failed earlier; this store does nothing any more.
    #[error("a sync failed earlier; the process must stop")]
    Poisoned,
}

impl StoreError {
    /// Whether the operator can put it right: the key, the directory, or whose store it is.
    pub const fn is_operators(&self) -> bool {
        matches!(
            self,
            Self::Kek { .. }
                | Self::WrongKek
                | Self::WrongBinding { .. }
                | Self::Locked { .. }
                | Self::ReadOnly { .. }
                | Self::NotPrivate { .. }
                | Self::Missing { .. }
        )
    }

    /// True where the process must stop (exit code 70): after a failed sync nobody knows what is on disk, and a
    /// second try may report success for data the kernel has already thrown away.
    pub const fn is_fatal(&self) -> bool {
        matches!(self, Self::Sync(_) | Self::Poisoned)
    }

    /// A failure of the file system, told apart by what an operator can do about it.
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                Self::ReadOnly { path: path.to_owned(), reason: source.to_string() }
            }
            _ => Self::Io { action, path: path.to_owned(), source },
        }
    }
}
