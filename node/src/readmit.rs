//! `quorate-node readmit`: what the operators say about a restore, taken in while the node is stopped.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use quorate_audit::Event;
use quorate_freeze::Scope;
use quorate_manifest::{Namespace, SignedDocument};
use quorate_recovery::{Readmission, ReadmissionError};
use quorate_store::{Store, StoreError, update};
use quorate_types::{B256, Clock, NodeId, UnixMillis, WalletId};
use serde::Serialize;

use crate::app::{StartError, open_documents, open_store};
use crate::config::{Config, ManifestFiles};
use crate::documents::{Offered, read_document};
use crate::fatal::Fatal;
use crate::identity;
use crate::restored::{Mark, MarkError, floor, raise_floor, unnamed};

/// Why a readmission was not taken in.
#[derive(Debug, thiserror::Error)]
pub enum ReadmitError {
    /// Its files cannot be read.
    #[error("--document: {0}")]
    Document(String),
    /// It does not verify, or a field cannot be right.
    #[error("--document: {0}")]
    Refused(#[from] ReadmissionError),
    /// It is about another node.
    #[error("--document: node: is {0}, this node is {1}")]
    Node(NodeId, NodeId),
    /// It is about another restore of this node.
    #[error(
        "--document: restore: is {0}, this node's is {1}: one restore's readmission is none for the next"
    )]
    Restore(B256, B256),
    /// A wallet the restore did not bring back.
    #[error("--document: policies.{0}: was not restored; leave it out")]
    Wallet(WalletId),
    /// Not what an order is about.
    #[error("--document: freezes.{0}: {1}")]
    Scope(String, String),
    /// There is nothing to readmit.
    #[error("this node was never restored from a backup")]
    NotRestored,
    /// The node's files, as at a start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The mark.
    #[error(transparent)]
    Mark(#[from] MarkError),
    /// The log.
    #[error("audit log: {0}")]
    Audit(#[from] quorate_audit::AuditError),
}

impl From<StoreError> for ReadmitError {
    fn from(error: StoreError) -> Self {
        MarkError::from(error).into()
    }
}

/// What holds now.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct ReadmitReport {
    /// Wallets this readmission named.
    pub wallets: usize,
    /// Restored wallets that none has named yet; they do not sign.
    pub unnamed: usize,
    /// From when on this readmission lets the node sign, in Unix milliseconds.
    pub sign_from_ms: UnixMillis,
}

/// Takes a readmission in: signed by the quorum of the operators of the manifest in force, for this node and this very
/// restore. Several may follow each other; what one demanded stays demanded.
///
/// # Errors
/// [`ReadmitError`], naming the field. Nothing changed then.
pub fn readmit(
    config: &Config,
    document: &Path,
    signatures: &[PathBuf],
    clock: Arc<dyn Clock>,
) -> Result<ReadmitReport, ReadmitError> {
    config.check().map_err(StartError::from)?;
    let files = ManifestFiles { document: document.to_owned(), signatures: signatures.to_vec() };
    let signed = read_document(&files).map_err(ReadmitError::Document)?;
    let key = identity::load(&config.data_dir).map_err(StartError::from)?;
    let store = open_store(config, &Fatal::default())?;
    let offered = Offered::read(&config.manifest, &config.roots).map_err(StartError::from)?;
    let documents = open_documents(config, key.public(), &store, (offered, Arc::clone(&clock)));
    let documents = documents.map_err(StartError::from)?;
    let mut mark = Mark::load(&*store)?.ok_or(ReadmitError::NotRestored)?;
    let said = Readmission::verify(&signed, documents.manifest().manifest())?;
    check(config, &*store, &mark, &said)?;
    mark.readmit(&said);
    write(&*store, &*clock, &mark, (&said, &signed))?;
    let unnamed = unnamed(&*store)?;
    Ok(ReadmitReport { wallets: said.policies.len(), unnamed, sign_from_ms: said.sign_from_ms })
}

fn check(config: &Config, store: &dyn Store, mark: &Mark, said: &Readmission) -> Result<(), ReadmitError> {
    if said.node != config.node {
        return Err(ReadmitError::Node(said.node.clone(), config.node.clone()));
    }
    if said.restore != mark.restore {
        return Err(ReadmitError::Restore(said.restore, mark.restore));
    }
    for scope in said.freezes.keys() {
        let read = scope.parse::<Scope>();
        let same = read.map_err(|error| ReadmitError::Scope(scope.clone(), error.to_string()))?.to_string();
        if same != *scope {
            // It is compared as text.
            return Err(ReadmitError::Scope(scope.clone(), format!("write it as {same}")));
        }
    }
    for wallet in said.policies.keys() {
        if floor(store, wallet)?.is_none() {
            return Err(ReadmitError::Wallet(wallet.clone()));
        }
    }
    Ok(())
}

fn write(
    store: &dyn Store,
    clock: &dyn Clock,
    mark: &Mark,
    (said, signed): (&Readmission, &SignedDocument),
) -> Result<(), ReadmitError> {
    let event = Event::new("node.readmitted")
        .field("restore", said.restore.to_string())
        .field("hash", signed.hash(Namespace::Readmission).to_string())
        .field("wallets", said.policies.len() as u64)
        .field("sign_from_ms", said.sign_from_ms);
    let (receipt, durable) = update(store, |txn| {
        mark.write(txn)?;
        for (wallet, version) in &said.policies {
            raise_floor(txn, wallet, *version)?;
        }
        Ok::<_, ReadmitError>(quorate_audit::append(txn, clock.now(), &event)?)
    })?;
    receipt.confirm(&durable);
    Ok(())
}
