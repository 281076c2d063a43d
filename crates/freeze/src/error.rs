//! Why an order was refused.

use quorate_manifest::DocumentError;
use quorate_types::ClusterId;

use crate::Scope;

/// Why an order was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FreezeError {
    // Whoever wrote the order.
    /// Not YAML of an order's shape.
    #[error("freeze order: {0}")]
    Yaml(String),
    /// A field that cannot be right.
    #[error("{field}: {reason}")]
    Invalid {
        /// the field of the order
        field: &'static str,
        /// what is wrong with it
        reason: String,
    },

    // Whoever signed or sent it.
    /// Its signatures do not hold, or are too few: one operator or approver freezes, the operators' quorum unfreezes.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// It is for another cluster.
    #[error("cluster: the order is for {order}, this cluster is {manifest}")]
    Cluster {
        /// the cluster it names
        order: ClusterId,
        /// the cluster it was sent to
        manifest: ClusterId,
    },
    /// A later order for the same scope is known.
    #[error("sequence: {offered} for {scope} comes too late, order {seen} has been seen")]
    Stale {
        /// what it is about
        scope: Scope,
        /// the sequence of the order that counts
        seen: u64,
        /// the sequence offered
        offered: u64,
    },
    /// So far beyond the last one that no number would be left for later ones.
    #[error(
        "sequence: {offered} for {scope} is too far beyond {seen}, the last one seen; use the next number"
    )]
    Leap {
        /// what it is about
        scope: Scope,
        /// the sequence of the order that counts; 0 for none
        seen: u64,
        /// the sequence offered
        offered: u64,
    },
    /// The wallet is retired, for ever.
    #[error("scope: {0} is retired, and no order changes that")]
    Retired(Scope),
    /// Two different orders of one sequence and action.
    #[error("sequence: order {sequence} for {scope} was seen with another content; use a higher number")]
    Fork {
        /// what both are about
        scope: Scope,
        /// the sequence both claim
        sequence: u64,
    },
    /// There is no room for another scope. `all` always has room.
    #[error("scope: orders for {0} scopes are kept already; freeze all, or a chain")]
    TooMany(usize),
    /// Not the order that was kept.
    #[error("freeze order: its hash is not the one that was kept")]
    NotKept,
}
