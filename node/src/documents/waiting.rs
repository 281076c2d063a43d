//! A policy that loosens the one in force, noted until its wallet's delay is over. The time is when this node first saw it,
//! by its own clock and on its own disk: nobody else's word on the time counts.

use quorate_manifest::{Namespace, SignedDocument};
use quorate_policy::{Loosening, SignedPolicy};
use quorate_store::Txn;
use quorate_types::{B256, UnixMillis, WalletId};
use serde::{Deserialize, Serialize};

use super::DocumentsError;

/// Wallet to the policy that waits, or that waited and was cancelled.
pub(super) const TABLE: &str = "documents.policy.waiting";
const KIND: &str = "waiting policy";

/// A policy as it was first seen. Its signatures are checked again when it comes into force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Waiting {
    format: u8,
    pub(super) version: u64,
    pub(super) hash: B256,
    /// When this node first saw it.
    seen_at: UnixMillis,
    /// The freeze orders that counted for the wallet then.
    standing: B256,
    document: SignedDocument,
}

impl Waiting {
    pub(super) fn new(policy: &SignedPolicy, seen_at: UnixMillis, standing: B256) -> Self {
        let (version, hash, document) = (policy.version(), policy.hash(), policy.document().clone());
        Self { format: 1, version, hash, seen_at, standing, document }
    }

    /// When it may come into force. A clock that was set back makes it wait longer, and never less.
    pub(super) fn until(&self, loosening: Loosening) -> UnixMillis {
        loosening.until(self.seen_at)
    }

    /// Whether an order about the wallet came since.
    pub(super) fn is_cancelled(&self, standing: B256) -> bool {
        standing != self.standing
    }

    pub(super) fn write(&self, txn: &mut dyn Txn, wallet: &WalletId) -> Result<(), DocumentsError> {
        let bytes = postcard::to_allocvec(self).map_err(|_| DocumentsError::Malformed(KIND))?;
        Ok(txn.put(TABLE, wallet.as_str().as_bytes(), &bytes)?)
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, DocumentsError> {
        match postcard::take_from_bytes::<Self>(bytes) {
            Ok((waiting, []))
                if waiting.format == 1 && waiting.document.hash(Namespace::Policy) == waiting.hash =>
            {
                Ok(waiting)
            }
            _ => Err(DocumentsError::Malformed(KIND)),
        }
    }
}
