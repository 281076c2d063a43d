//! `quorate-node restore`: from a sealed backup into an empty data directory.
//!
//! Everything is opened and checked before anything is written. The mark that keeps the node from signing is the first
//! thing in the new store, the identity key the last: a restore that was cut short leaves nothing that starts.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use quorate_audit::Event;
use quorate_manifest::Pinned;
use quorate_mpc::{CoreShare, GroupAux};
use quorate_recovery::{
    Answers, AuxPackage, Entry, Identities, PackageError, Readmission, SharePackage, WalletFacts,
    open_sealed, read_index, read_secret,
};
use quorate_session::{KeyStatement, NodeKey, SignedStatement, Statement};
use quorate_store::{Store, update};
use quorate_types::{B256, Clock, GroupId, Role, UnixMillis};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::app::{StartError, moduli, open_documents, open_store};
use crate::config::Config;
use crate::documents::{DocumentsError, Offered};
use crate::fatal::Fatal;
use crate::identity;
use crate::restored::{Mark, MarkError, raise_floor};
use crate::vault::{Vault, VaultError, WalletRecord};

/// The sealed identity key's name in a backup.
pub(crate) const IDENTITY: &str = "identity.age";

/// The longest an operator is expected to limit a spend over: what the draft of a readmission waits for.
const LONGEST_WINDOW_MS: u64 = 31 * 24 * 60 * 60 * 1000;

/// Shares in one transaction.
const CHUNK: usize = 256;

/// Why nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// A cold node keeps no share.
    #[error("role: a cold node keeps no share, so there is nothing to restore; enrol a new one")]
    Cold,
    /// There is something there.
    #[error(
        "data_dir {}: is not empty; a restore never overwrites a node. If it is what an interrupted restore left (it has \
         no identity.key), delete it and run the restore again", .0.display()
    )]
    NotEmpty(PathBuf),
    /// The file for the operators is there.
    #[error("--readmission {}: exists already, and is never overwritten; name a new file", .0.display())]
    Exists(PathBuf),
    /// The disk.
    #[error("{}: {source}", .path.display())]
    Disk {
        /// which file or directory
        path: PathBuf,
        /// why
        source: io::Error,
    },
    /// A file of the backup, or the identity that opens it.
    #[error("{}: {reason}", .path.display())]
    File {
        /// which file
        path: PathBuf,
        /// what is wrong, and what to do
        reason: String,
    },
    /// The configuration or the manifest, as at a start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// What was read does not go into a store.
    #[error("{0}; delete the data directory and run the restore again")]
    Write(String),
}

impl From<MarkError> for RestoreError {
    fn from(error: MarkError) -> Self {
        Self::Write(error.to_string())
    }
}

impl From<VaultError> for RestoreError {
    fn from(error: VaultError) -> Self {
        Self::Write(error.to_string())
    }
}

impl From<quorate_store::StoreError> for RestoreError {
    fn from(error: quorate_store::StoreError) -> Self {
        Self::Write(error.to_string())
    }
}

/// What was restored.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct RestoreReport {
    /// Keys whose share was restored. They sign once they are activated again and readmitted.
    pub shares: usize,
    /// Groups whose auxiliary info was restored.
    pub groups: usize,
    /// Names this restore: the operators' readmission must name it too.
    pub restore: B256,
    /// When, in Unix milliseconds.
    pub restored_at_ms: UnixMillis,
}

/// Where things are.
pub struct RestoreFiles<'a> {
    /// The backup: sealed files and their index.
    pub backup: &'a Path,
    /// The age identity that opens it.
    pub identity: &'a Path,
    /// A file that holds the PIN of the token the identity is in, where it has one.
    pub pin: Option<&'a Path>,
    /// Where the draft of the operators' readmission goes: a new file.
    pub readmission: &'a Path,
}

/// Restores this node's shares, auxiliary info and identity key, and marks the store: nothing is signed, and no key made,
/// before [`readmit`](crate::readmit).
///
/// # Errors
/// [`RestoreError`], naming the file and what to do. Nothing was written, unless it says so.
pub fn restore(
    config: &Config,
    files: &RestoreFiles<'_>,
    clock: Arc<dyn Clock>,
) -> Result<RestoreReport, RestoreError> {
    config.check().map_err(StartError::from)?;
    if config.role == Role::Cold {
        return Err(RestoreError::Cold);
    }
    check_empty(&config.data_dir)?;
    if files.readmission.try_exists().map_err(disk(files.readmission))? {
        return Err(RestoreError::Exists(files.readmission.to_owned()));
    }
    let offered = Offered::read(&config.manifest, &config.roots).map_err(StartError::from)?;
    let backup = Backup::open(config, files, &pinned(&offered)?)?;
    let mark = Mark::new(B256::from(rand::random::<[u8; 32]>()), clock.now());
    let report = RestoreReport {
        shares: backup.shares.len(),
        groups: backup.groups.len(),
        restore: mark.restore,
        restored_at_ms: mark.at_ms,
    };
    install(config, &backup, &mark, (offered, clock))?;
    draft(config, files.readmission, &backup, &mark)?;
    // Last: without it the node does not start.
    identity::write(&config.data_dir, &backup.key).map_err(StartError::from)?;
    Ok(report)
}

fn disk(path: &Path) -> impl Fn(io::Error) -> RestoreError {
    move |source| RestoreError::Disk { path: path.to_owned(), source }
}

fn check_empty(data_dir: &Path) -> Result<(), RestoreError> {
    match fs::read_dir(data_dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(disk(data_dir)(error)),
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(RestoreError::NotEmpty(data_dir.to_owned())),
        },
    }
}

fn pinned(offered: &Offered) -> Result<Pinned, RestoreError> {
    let document = offered.document.as_ref().map_err(|why| DocumentsError::NoManifest(why.clone()));
    let pinned = Pinned::enrol(document.map_err(StartError::from)?, &offered.roots);
    Ok(pinned.map_err(|error| StartError::from(DocumentsError::from(error)))?)
}

/// A backup, opened and checked as a whole.
struct Backup {
    key: NodeKey,
    manifest: u64,
    groups: Vec<(GroupId, GroupAux)>,
    shares: Vec<(WalletRecord, CoreShare)>,
}

/// What the files of a backup are checked against.
struct Opener<'a> {
    config: &'a Config,
    directory: &'a Path,
    identities: Identities,
    pinned: &'a Pinned,
}

impl Backup {
    fn open(config: &Config, files: &RestoreFiles<'_>, pinned: &Pinned) -> Result<Self, RestoreError> {
        let identities = identities(files.identity, files.pin)?;
        let opener = Opener { config, directory: files.backup, identities, pinned };
        let key = opener.key()?;
        let index = files.backup.join("index.jsonl");
        let text = fs::read(&index).map_err(disk(&index))?;
        let entries = read_index(&text, pinned.manifest()).map_err(|error| {
            refused(&index, format!("{error}; take another copy of the backup; do not edit the index"))
        })?;
        let mut backup =
            Self { key, manifest: pinned.manifest().version(), groups: Vec::new(), shares: Vec::new() };
        for entry in &entries {
            if entry.node != config.node {
                let reason = format!(
                    "is of node {}, this one is {}: take this node's backup",
                    entry.node, config.node
                );
                return Err(refused(&index, reason));
            }
            match &entry.wallet {
                Some(_) => backup.shares.push(opener.share(entry)?),
                None => backup.groups.push(opener.aux(entry)?),
            }
        }
        Ok(backup)
    }
}

fn refused(path: &Path, reason: impl ToString) -> RestoreError {
    RestoreError::File { path: path.to_owned(), reason: reason.to_string() }
}

fn secret(path: &Path) -> Result<Zeroizing<String>, RestoreError> {
    read_secret(path).map_err(disk(path))
}

fn identities(path: &Path, pin: Option<&Path>) -> Result<Identities, RestoreError> {
    let pin =
        pin.map(|pin| Ok::<_, RestoreError>(Zeroizing::new(secret(pin)?.trim().to_owned()))).transpose()?;
    let answers = Answers::new(pin, |words| tracing::info!("the token: {words}"));
    Identities::read(&secret(path)?, &answers).map_err(|error| {
        refused(
            path,
            format!("{error}: expected what age-keygen, an age plugin or `quorate recovery combine` writes"),
        )
    })
}

impl Opener<'_> {
    /// The identity key, where it is the one the manifest has for this node.
    fn key(&self) -> Result<NodeKey, RestoreError> {
        let path = self.directory.join(IDENTITY);
        let sealed = fs::read(&path).map_err(disk(&path))?;
        let plain = open_sealed(&sealed, &self.identities).map_err(|error| refused(&path, error))?;
        let mut seed = Zeroizing::new([0; 32]);
        hex::decode_to_slice(&*plain, &mut *seed)
            .map_err(|_| refused(&path, "opens, but holds no identity key: take another copy"))?;
        let key = NodeKey::from_bytes(seed);
        let listed = self.pinned.manifest().node(&self.config.node).map(|entry| entry.key);
        if listed == Some(key.public()) {
            return Ok(key);
        }
        let node = &self.config.node;
        Err(refused(
            &path,
            format!("is not the key the manifest has for {node}: another node's or cluster's backup"),
        ))
    }

    fn read(&self, entry: &Entry) -> Result<(PathBuf, Vec<u8>), RestoreError> {
        let path = self.directory.join(&entry.file);
        let bytes = fs::read(&path).map_err(disk(&path))?;
        let same = entry.check_file(&bytes);
        same.map_err(|how| {
            refused(&path, format!("{how}; take another copy and compare it with sha256sum"))
        })?;
        Ok((path, bytes))
    }

    fn aux(&self, entry: &Entry) -> Result<(GroupId, GroupAux), RestoreError> {
        let (path, bytes) = self.read(entry)?;
        let opened = AuxPackage::open(&bytes, &self.identities, self.pinned.manifest());
        let opened = opened.map_err(|error| refused(&path, error))?;
        if opened.facts.node == self.config.node && opened.facts.aux_hash == entry.aux_hash {
            return Ok((opened.facts.group, opened.aux));
        }
        Err(refused(&path, "is not the package the index lists: take another copy of the backup"))
    }

    fn share(&self, entry: &Entry) -> Result<(WalletRecord, CoreShare), RestoreError> {
        let (path, bytes) = self.read(entry)?;
        let opened = SharePackage::open(&bytes, &self.identities, self.pinned.manifest());
        let SharePackage { facts, wallet, share } = opened.map_err(|error| refused(&path, error))?;
        let listed = entry.wallet.as_ref().map(|listed| listed.public_key);
        if facts.node != self.config.node || listed != Some(wallet.public_key) {
            return Err(refused(
                &path,
                "is not the package the index lists: take another copy of the backup",
            ));
        }
        let record = self.record(&wallet).map_err(|error| refused(&path, error))?;
        Ok((record, share))
    }

    /// The record this node kept: from its own statement, which the package has.
    fn record(&self, wallet: &WalletFacts) -> Result<WalletRecord, PackageError> {
        let bytes = |text: &str| hex::decode(text).map_err(|error| PackageError::Content(error.to_string()));
        let signed = SignedStatement {
            node: self.config.node.clone(),
            bytes: bytes(&wallet.statement)?,
            signature: bytes(&wallet.statement_signature)?,
        };
        let stated =
            KeyStatement::verify(&signed, |id| self.pinned.manifest().node(id).map(|entry| entry.key));
        let stated = stated.map_err(|error| PackageError::Content(error.to_string()))?;
        Ok(WalletRecord::pending(stated, &signed))
    }
}

fn install(
    config: &Config,
    backup: &Backup,
    mark: &Mark,
    (offered, clock): (Offered, Arc<dyn Clock>),
) -> Result<(), RestoreError> {
    let dir = &config.data_dir;
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(disk(dir))?;
    let store = open_store(config, &Fatal::default())?;
    let ((), _durable) = update(&*store, |txn| mark.write(txn))?;
    open_documents(config, backup.key.public(), &store, (offered, Arc::clone(&clock)))
        .map_err(StartError::from)?;
    let vault = Vault::new(Arc::clone(&store), config.role, moduli(config));
    for (group, aux) in &backup.groups {
        let ((), _durable) = update(&*store, |txn| vault.keep_aux(txn, group, aux))?;
    }
    for shares in backup.shares.chunks(CHUNK) {
        let ((), _durable) = update(&*store, |txn| {
            shares.iter().try_for_each(|(record, share)| {
                raise_floor(txn, &record.wallet, 0)?;
                Ok::<_, RestoreError>(vault.keep_share(txn, record, share)?)
            })
        })?;
    }
    say(&*store, &*clock, backup, mark)
}

fn say(store: &dyn Store, clock: &dyn Clock, backup: &Backup, mark: &Mark) -> Result<(), RestoreError> {
    let event = Event::new("node.restored")
        .field("restore", mark.restore.to_string())
        .field("shares", backup.shares.len() as u64);
    let (receipt, durable) = update(store, |txn| {
        let receipt = quorate_audit::append(txn, clock.now(), &event);
        receipt.map_err(|error| RestoreError::Write(error.to_string()))
    })?;
    receipt.confirm(&durable);
    Ok(())
}

/// What the operators fill in and sign.
fn draft(config: &Config, path: &Path, backup: &Backup, mark: &Mark) -> Result<(), RestoreError> {
    let draft = Readmission::draft(
        (config.cluster.clone(), config.node.clone()),
        mark.restore,
        mark.at_ms.saturating_add(LONGEST_WINDOW_MS),
        backup.manifest,
        backup.shares.iter().map(|(record, _)| record.wallet.clone()),
    );
    let yaml = serde_norway::to_string(&draft).map_err(|error| RestoreError::Write(error.to_string()))?;
    fs::write(path, yaml).map_err(disk(path))
}
