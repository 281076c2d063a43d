//! Why a lapse was refused.

use quorate_intent::DecodeError;
use quorate_manifest::DocumentError;
use quorate_types::{Address, ClusterId, UnixMillis};

/// Why a lapse was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum LapseError {
    // Whoever wrote it.
    /// Not YAML of a lapse's shape.
    #[error("lapse: {0}")]
    Yaml(String),
    /// A field that cannot be right.
    #[error("{field}: {reason}")]
    Invalid {
        /// the field of the document
        field: &'static str,
        /// what is wrong with it
        reason: String,
    },
    /// The payload cannot be read.
    #[error("typed_data: {0}")]
    Payload(#[from] DecodeError),
    /// The block came before the end: what was unused then could still be used.
    #[error("block: its time is {block_s}, and the authorization can be used until {not_after_s}")]
    BeforeEnd {
        /// the block's time, in Unix seconds
        block_s: u64,
        /// the last second at which it can be used
        not_after_s: u64,
    },

    // Whoever signed or sent it.
    /// Its signatures do not hold, or fewer than the operators' quorum.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The wallet was created with a delay, and one operator alone gives nothing back to it.
    #[error("signatures: {got} of the {need} operators that a wallet with a loosening delay takes")]
    SecondOperator {
        /// how many operators signed
        got: usize,
        /// how many must
        need: usize,
    },
    /// It is for another cluster.
    #[error("cluster: the lapse is for {lapse}, this cluster is {manifest}")]
    Cluster {
        /// the cluster it names
        lapse: ClusterId,
        /// the cluster it was sent to
        manifest: ClusterId,
    },
    /// The authorization is another account's.
    #[error("wallet: its address is {wallet}, the authorization is for {signer} to sign")]
    Signer {
        /// the wallet's address
        wallet: Address,
        /// who must sign the payload
        signer: Address,
    },

    // Time.
    /// By this machine's clock it may not have ended, or not long enough ago.
    #[error("too early: not before {until_ms} ms of Unix time")]
    TooEarly {
        /// from when on it counts, by this machine's clock
        until_ms: UnixMillis,
    },
    /// By this machine's clock there is no such block yet.
    #[error("block: its time, {block_s}, is in the future")]
    Future {
        /// the block's time, in Unix seconds
        block_s: u64,
    },
}
