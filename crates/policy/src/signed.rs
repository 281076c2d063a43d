//! A policy the operators signed.

use quorate_manifest::{MAX_LEAP, Manifest, Namespace, SignedDocument, verify};
use quorate_types::{B256, WalletId};

use crate::{Policy, PolicyError};

/// A policy that a quorum of operators signed. Only such a policy is ever evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedPolicy {
    policy: Policy,
    hash: B256,
    document: SignedDocument,
}

impl SignedPolicy {
    /// Checks the signatures against the operators of `manifest`, then reads the policy.
    ///
    /// # Errors
    /// [`PolicyError`] where a signature does not hold, too few operators signed, a field cannot be right, or the policy
    /// is for another cluster.
    pub fn verify(document: &SignedDocument, manifest: &Manifest) -> Result<Self, PolicyError> {
        verify(document, Namespace::Policy, manifest.operators(), manifest.operator_quorum())?;
        let policy = Policy::parse(&document.body)?;
        if policy.cluster() != manifest.cluster() {
            return Err(PolicyError::Cluster {
                policy: policy.cluster().clone(),
                manifest: manifest.cluster().clone(),
            });
        }
        Ok(Self::of(policy, document))
    }

    /// The policy this machine put in force before, as its own sealed store kept it, with the hash kept beside it. An
    /// operator who has left since signed it all the same, so its signatures are not checked again.
    ///
    /// # Errors
    /// [`PolicyError`] where it is another document, or one that this version of the software refuses.
    pub fn restore(document: &SignedDocument, hash: B256) -> Result<Self, PolicyError> {
        if document.hash(Namespace::Policy) != hash {
            return Err(PolicyError::NotKept);
        }
        Ok(Self::of(Policy::parse(&document.body)?, document))
    }

    fn of(policy: Policy, document: &SignedDocument) -> Self {
        let hash = document.hash(Namespace::Policy);
        Self { policy, hash, document: document.clone() }
    }

    /// Whether this policy may take the place of `older`: a higher version for the same wallet, or the same body again.
    ///
    /// # Errors
    /// [`PolicyError`] where the wallet differs, or as [`SignedPolicy::follows`].
    pub fn supersedes(&self, older: &SignedPolicy) -> Result<(), PolicyError> {
        if self.wallet() != older.wallet() {
            return Err(PolicyError::Wallet {
                present: older.wallet().clone(),
                offered: self.wallet().clone(),
            });
        }
        self.follows(Some((older.version(), older.hash)))
    }

    /// Whether it may come after the version and hash last seen of its wallet's policies.
    ///
    /// # Errors
    /// [`PolicyError`] where the version is lower or far too high, or the same with another content.
    pub fn follows(&self, seen: Option<(u64, B256)>) -> Result<(), PolicyError> {
        let (present, offered) = (seen.map_or(0, |(version, _)| version), self.version());
        if offered < present {
            return Err(PolicyError::Rollback { present, offered });
        }
        if seen.is_some_and(|(_, hash)| offered == present && hash != self.hash) {
            return Err(PolicyError::Fork { version: present });
        }
        if offered > present.saturating_add(MAX_LEAP) {
            return Err(PolicyError::Leap { present, offered });
        }
        Ok(())
    }

    /// What it says.
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The wallet it is for.
    pub const fn wallet(&self) -> &WalletId {
        self.policy.wallet()
    }

    /// 1 or more, higher with each change.
    pub const fn version(&self) -> u64 {
        self.policy.version()
    }

    /// Names it in opens, answers and records.
    pub const fn hash(&self) -> B256 {
        self.hash
    }

    /// The document itself, to keep and to pass on.
    pub const fn document(&self) -> &SignedDocument {
        &self.document
    }
}
