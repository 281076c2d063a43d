//! Why a document was not put in force.

use quorate_audit::AuditError;
use quorate_freeze::FreezeError;
use quorate_manifest::{ManifestError, PersonKeyError};
use quorate_policy::PolicyError;
use quorate_store::StoreError;
use quorate_types::WalletId;

/// Why a document was not put in force, or the node cannot start with the ones it has.
#[derive(Debug, thiserror::Error)]
pub enum DocumentsError {
    // Whoever wrote, signed or sent it.
    /// The manifest is refused.
    #[error("{0}")]
    Manifest(#[from] ManifestError),
    /// The policy is refused.
    #[error("{0}")]
    Policy(#[from] PolicyError),
    /// The freeze order is refused.
    #[error("{0}")]
    Freeze(#[from] FreezeError),
    /// The manifest is another cluster's, or does not fit this node.
    #[error("manifest: {field}: {reason}")]
    NotOurs {
        /// which field of the manifest
        field: &'static str,
        /// what does not fit
        reason: String,
    },
    /// It does not come after the highest policy this node has seen: [`PolicyError::Rollback`], [`PolicyError::Fork`] or
    /// [`PolicyError::Leap`].
    #[error("policy of {wallet}: {reason}")]
    Succession {
        /// the wallet
        wallet: WalletId,
        /// why not
        reason: PolicyError,
    },
    /// A freeze order came while it waited.
    #[error(
        "policy of {wallet}: a freeze order came while version {version} waited, which ended it; a higher version must be signed"
    )]
    Cancelled {
        /// the wallet
        wallet: WalletId,
        /// the version that waited
        version: u64,
    },
    /// A cold node never signs, so it has no use for policies and freeze orders.
    #[error("a cold node signs nothing, and takes neither policies nor freeze orders")]
    Cold,
    /// There is no room for another wallet's policy.
    #[error("policy: this node keeps {0} policies already")]
    TooMany(usize),

    // The operator who installed this node.
    /// Nothing is pinned yet and no manifest can be read.
    #[error("manifest: none is pinned yet, and {0}")]
    NoManifest(String),
    /// A root is not an OpenSSH public key.
    #[error("roots[{0}]: {1}")]
    Root(usize, PersonKeyError),

    // This program, or its disk.
    /// A stored document of another version of this software, or damaged before it was sealed.
    #[error("stored {0}: malformed")]
    Malformed(&'static str),
    /// The log.
    #[error("audit: {0}")]
    Audit(#[from] AuditError),
    /// The store.
    #[error("store: {0}")]
    Store(#[from] StoreError),
}
