//! The signer node: one share of each of its wallets, its own guard, its own ledger and its own log.
//!
//! It dials its coordinators and listens on nothing but a loopback health port. It believes the manifest its operators
//! signed and what it works out for itself; a coordinator only labels and carries. [`App`] runs in any process; what is
//! the whole process's, such as [`harden`], is left to `main`.

mod app;
mod approvals;
mod asking;
mod attach;
mod backup;
mod cold;
pub mod config;
mod documents;
mod export_log;
mod fatal;
mod guard;
pub mod harden;
pub mod identity;
mod kept;
mod mark;
mod maths;
mod node;
mod ops;
mod own_log;
mod place;
mod pool;
mod primes;
mod readmit;
mod restore;
mod restored;
mod sessions;
mod vault;
mod watermarks;
mod witness;

#[cfg(test)]
mod testing;

pub use app::{App, Running, StartError};
pub use asking::{AskingAgent, AskingConfig, AskingError, KeyError};
pub use backup::{BackupError, BackupReport, backup};
pub use config::{Config, ConfigError};
pub use documents::DocumentsError;
pub use export_log::{ExportLogError, LogReport, export_log};
pub use readmit::{ReadmitError, ReadmitReport, readmit};
pub use restore::{RestoreError, RestoreFiles, RestoreReport, restore};
pub use restored::MarkError;
