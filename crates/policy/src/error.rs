//! Why a policy was refused. That it denies a request is no error: see [`Denial`](crate::Denial).

use quorate_manifest::DocumentError;
use quorate_types::{ClusterId, WalletId};

/// Why a policy was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PolicyError {
    // Whoever wrote the policy.
    /// Not YAML of the policy's shape.
    #[error("policy: {0}")]
    Yaml(String),
    /// A field that cannot be right.
    #[error("{path}: {reason}")]
    Invalid {
        /// the field, such as `rules.per_transaction[0].max`
        path: String,
        /// what is wrong with it
        reason: String,
    },

    // Whoever signed or sent it.
    /// Its signatures do not hold.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// It names another cluster than the manifest.
    #[error("cluster: the policy is for {policy}, this cluster is {manifest}")]
    Cluster {
        /// the cluster it names
        policy: ClusterId,
        /// the cluster it was sent to
        manifest: ClusterId,
    },
    /// It is for a wallet that signs raw digests and is offered to one that does not, or the other way round.
    #[error("rules.raw_digest: {0}")]
    RawDigest(&'static str),
    /// It is for another wallet than the policy in force.
    #[error("wallet: the policy is for {offered}, the one in force for {present}")]
    Wallet {
        /// the wallet of the policy in force
        present: WalletId,
        /// the wallet of the policy offered
        offered: WalletId,
    },
    /// An older version than one that was seen.
    #[error("version: {offered} is older than {present}, which was seen")]
    Rollback {
        /// the highest version seen
        present: u64,
        /// the version offered
        offered: u64,
    },
    /// Two different policies of one version, both signed.
    #[error("version: {version} was seen with another content; a change needs a higher version")]
    Fork {
        /// the version both claim
        version: u64,
    },
    /// A version so high that few or none could come after it.
    #[error("version: {offered} leaps too far ahead of {present}; go on from there")]
    Leap {
        /// the highest version seen, 0 for none
        present: u64,
        /// the version offered
        offered: u64,
    },
    /// It loosens the policy of a wallet that was created with a delay, and too few operators signed.
    #[error(
        "it may allow something new ({fields}): {need} operators must sign that, {got} did; still to sign: one of {others}"
    )]
    SecondOperator {
        /// the fields in which it may allow something new
        fields: String,
        /// how many operators signed
        got: usize,
        /// how many must
        need: usize,
        /// the operators who did not
        others: String,
    },
    /// Not the policy that was kept.
    #[error("policy: its hash is not the one that was kept")]
    NotKept,
}
