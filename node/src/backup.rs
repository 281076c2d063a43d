//! `quorate-node backup`: this node's own shares, auxiliary info and identity key, sealed to the manifest's recovery
//! recipients.
//!
//! Only what a recovery or a restore needs leaves: no session, ledger or counter, which an old copy could roll back. The node must be
//! stopped: the store is locked while it runs. Nothing in the store is changed.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use quorate_session::NodeKey;
use quorate_types::{Clock, Role};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::app::{StartError, moduli, open_documents, open_store};
use crate::cold::{Cold, Sealed, Sealer, ToSeal};
use crate::config::Config;
use crate::documents::{Documents, Offered};
use crate::fatal::Fatal;
use crate::identity;
use crate::restore::IDENTITY;
use crate::vault::Vault;

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A cold node keeps no share.
    #[error("role: a cold node keeps no share; its sealed files are in cold.export_dir already")]
    Cold,
    /// There is something there.
    #[error("--out {}: is not empty; a backup never overwrites one, so name a new directory", .0.display())]
    NotEmpty(PathBuf),
    /// The disk.
    #[error("--out {}: {source}", .path.display())]
    Disk {
        /// which directory
        path: PathBuf,
        /// why
        source: io::Error,
    },
    /// The node's files, as at a start. A store that is locked belongs to a node that runs: stop it first.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A share or auxiliary info that does not hold.
    #[error("{0}")]
    Vault(String),
    /// A file could not be sealed.
    #[error("{0}; delete the directory and run the backup again")]
    Seal(String),
}

/// What was written.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct BackupReport {
    /// Keys whose share was sealed, activated or not.
    pub shares: usize,
    /// Groups whose auxiliary info was sealed.
    pub groups: usize,
    /// Bytes of all sealed files.
    pub sealed_bytes: u64,
}

/// Seals everything this node would need to take part in a recovery into the new directory `out`.
///
/// # Errors
/// [`BackupError`], naming the field or file.
pub fn backup(config: &Config, out: &Path, clock: Arc<dyn Clock>) -> Result<BackupReport, BackupError> {
    config.check().map_err(StartError::from)?;
    if config.role == Role::Cold {
        return Err(BackupError::Cold);
    }
    let key = identity::load(&config.data_dir).map_err(StartError::from)?;
    let store = open_store(config, &Fatal::default())?;
    let offered = Offered { document: Err("the node never ran".to_owned()), ..offered(config)? };
    let documents = open_documents(config, key.public(), &store, (offered, Arc::clone(&clock)));
    let documents = documents.map_err(StartError::from)?;
    let vault = Vault::new(store, config.role, moduli(config));
    new_directory(out)?;
    write(config, (&documents, &vault), (&key, &*clock), out)
}

fn offered(config: &Config) -> Result<Offered, BackupError> {
    Ok(Offered::read(&config.manifest, &config.roots).map_err(StartError::from)?)
}

fn new_directory(out: &Path) -> Result<(), BackupError> {
    let disk = |source| BackupError::Disk { path: out.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(out).map_err(disk)?;
    match fs::read_dir(out).map_err(disk)?.next() {
        Some(_) => Err(BackupError::NotEmpty(out.to_owned())),
        None => Ok(()),
    }
}

fn write(
    config: &Config,
    (documents, vault): (&Documents, &Vault),
    (key, clock): (&NodeKey, &dyn Clock),
    out: &Path,
) -> Result<BackupReport, BackupError> {
    let failed = |error: crate::vault::VaultError| BackupError::Vault(error.to_string());
    let pinned = documents.manifest();
    let sealer = Sealer {
        cluster: &config.cluster,
        me: &config.node,
        role: config.role,
        key,
        pinned: &pinned,
        now: clock.now(),
    };
    let cold = Cold::new(Some(out.to_owned()));
    // Known by its public half, which the manifest has, so it needs no line in the index.
    let identity = Zeroizing::new(hex::encode(key.to_bytes().as_slice()));
    cold.seal(pinned.manifest().recovery(), IDENTITY, identity.as_bytes())
        .map_err(|error| BackupError::Seal(error.to_string()))?;
    let mut report = BackupReport { shares: 0, groups: 0, sealed_bytes: 0 };
    let seal = |secret: ToSeal| -> Result<Sealed, BackupError> {
        sealer.seal(&cold, &secret).map_err(|error| BackupError::Seal(error.to_string()))
    };
    for group in pinned.manifest().groups() {
        if let Some(bytes) = vault.aux_record(&group.id).map_err(failed)? {
            report.sealed_bytes += seal(ToSeal::Aux(group.id.clone(), bytes))?.bytes();
            report.groups += 1;
        }
    }
    for record in vault.all_records().map_err(failed)? {
        let hash = vault.aux_hash(&record.group).map_err(failed)?;
        let hash = hash.ok_or_else(|| {
            BackupError::Vault(format!("wallet {}: its group is not enrolled", record.wallet))
        })?;
        let share = vault.share(&record).map_err(failed)?;
        report.sealed_bytes += seal(ToSeal::Share(Box::new(record), share, hash))?.bytes();
        report.shares += 1;
    }
    Ok(report)
}
