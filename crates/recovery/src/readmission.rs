//! Leave for a restored node to sign again. A restore forgets what the lost disk knew: spends, and which documents came
//! last. The people who signed those documents say so again, and from when on the forgotten spends no longer matter.

use std::collections::BTreeMap;

use quorate_manifest::{DocumentError, MAX_BODY_BYTES, Manifest, Namespace, SignedDocument, verify};
use quorate_types::{B256, ClusterId, NodeId, UnixMillis, WalletId};
use serde::{Deserialize, Serialize};

/// The first field of every readmission of this version.
const FORMAT: &str = "quorate/v1";

/// Why a readmission was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ReadmissionError {
    /// Not YAML of a readmission's shape.
    #[error("readmission: {0}")]
    Yaml(String),
    /// A field that cannot be right.
    #[error("{field}: {reason}")]
    Invalid {
        /// which field
        field: String,
        /// what is wrong with it
        reason: String,
    },
    /// Its signatures do not hold, or are too few: it takes the operators' quorum.
    #[error(transparent)]
    Document(#[from] DocumentError),
}

/// What the operators say to one node about one restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Readmission {
    readmission: String,
    /// The cluster.
    pub cluster: ClusterId,
    /// The node.
    pub node: NodeId,
    /// Drawn by the restore: leave for one restore is none for the next.
    pub restore: B256,
    /// No signature before this time, in Unix milliseconds: what was spent before the restore must be outside of every
    /// window of every policy by then.
    pub sign_from_ms: UnixMillis,
    /// The version of the manifest in force. An older one is not signed under.
    pub manifest: u64,
    /// Restored wallets, each with the version of its policy in force. An older one is not signed under; a restored
    /// wallet that is not named does not sign.
    pub policies: BTreeMap<WalletId, u64>,
    /// Scopes of freeze orders, such as `wallet/shopper`, each with the sequence number of its last order. Nothing is
    /// signed before the node has seen them.
    #[serde(default)]
    pub freezes: BTreeMap<String, u64>,
}

impl Readmission {
    /// What the operators start from: every restored wallet with version 0, which is refused until they put theirs.
    pub fn draft(
        (cluster, node): (ClusterId, NodeId),
        restore: B256,
        sign_from_ms: UnixMillis,
        manifest: u64,
        wallets: impl IntoIterator<Item = WalletId>,
    ) -> Self {
        let policies = wallets.into_iter().map(|wallet| (wallet, 0)).collect();
        let readmission = FORMAT.to_owned();
        Self {
            readmission,
            cluster,
            node,
            restore,
            sign_from_ms,
            manifest,
            policies,
            freezes: BTreeMap::new(),
        }
    }

    /// Reads one and checks every field.
    ///
    /// # Errors
    /// [`ReadmissionError`], naming the field.
    pub fn parse(body: &[u8]) -> Result<Self, ReadmissionError> {
        if body.len() > MAX_BODY_BYTES {
            let most = format!("at most {MAX_BODY_BYTES} bytes; name the wallets in several readmissions");
            return Err(ReadmissionError::Yaml(most));
        }
        let read: Self =
            serde_norway::from_slice(body).map_err(|error| ReadmissionError::Yaml(error.to_string()))?;
        let invalid =
            |field: String, reason: &str| ReadmissionError::Invalid { field, reason: reason.to_owned() };
        if read.readmission != FORMAT {
            return Err(invalid("readmission".to_owned(), "expected quorate/v1"));
        }
        if read.manifest == 0 {
            return Err(invalid("manifest".to_owned(), "must be the version in force, at least 1"));
        }
        for (wallet, version) in &read.policies {
            if *version == 0 {
                let reason = "must be the version of the policy you signed last, at least 1";
                return Err(invalid(format!("policies.{wallet}"), reason));
            }
        }
        Ok(read)
    }

    /// Checks the signatures against the operators of `manifest`, and reads it.
    ///
    /// # Errors
    /// [`ReadmissionError`] where a signature does not hold, too few signed, a field cannot be right, or it is for
    /// another cluster.
    pub fn verify(document: &SignedDocument, manifest: &Manifest) -> Result<Self, ReadmissionError> {
        verify(document, Namespace::Readmission, manifest.operators(), manifest.operator_quorum())?;
        let read = Self::parse(&document.body)?;
        if read.cluster != *manifest.cluster() {
            let reason = format!("is {}, the manifest is of {}", read.cluster, manifest.cluster());
            return Err(ReadmissionError::Invalid { field: "cluster".to_owned(), reason });
        }
        Ok(read)
    }
}
