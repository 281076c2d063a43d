//! Why an operation failed. A denial is not here: it is an answer.

use std::sync::Arc;

use quorate_audit::AuditError;
use quorate_ledger::LedgerError;
use quorate_proto::FieldError;
use quorate_store::StoreError;
use quorate_types::NodeId;

/// Sorted by whose fault it is.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum OpError {
    // The caller's.
    #[error("{field}: {reason}")]
    Invalid { field: String, reason: String },
    #[error("{reason}")]
    Conflict { field: &'static str, reason: String, nodes: Vec<NodeId> },
    #[error("{what} {name} does not exist")]
    NotFound { what: &'static str, name: String },
    #[error("{0} may not do this")]
    Forbidden(String),

    // A node's, or the network's.
    #[error("{reason}")]
    Unavailable { reason: String, nodes: Vec<NodeId> },
    #[error("{reason}")]
    Timeout { reason: String, nodes: Vec<NodeId> },
    #[error("{reason}")]
    PeerFault { reason: String, nodes: Vec<NodeId> },

    // Ours. Shared, because everyone who waits for one operation is told the same.
    #[error(transparent)]
    Internal(Arc<Internal>),
}

/// What no caller can mend. Logged in full, told to nobody.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Internal {
    #[error("store: {0}")]
    Store(#[from] StoreError),
    #[error("ledger: {0}")]
    Ledger(#[from] LedgerError),
    #[error("audit: {0}")]
    Audit(#[from] AuditError),
    #[error("record {key} in table {table}: {reason}")]
    Record { table: &'static str, key: String, reason: String },
    #[error("{0}")]
    Defect(String),
    /// Reported by a node about itself.
    #[error("node {node} reports a defect of its own: {reason}")]
    NodeDefect { node: NodeId, reason: String },
}

impl OpError {
    pub(crate) fn invalid(field: impl Into<String>, reason: impl ToString) -> Self {
        Self::Invalid { field: field.into(), reason: reason.to_string() }
    }

    pub(crate) fn conflict(field: &'static str, reason: impl ToString) -> Self {
        Self::Conflict { field, reason: reason.to_string(), nodes: Vec::new() }
    }

    pub(crate) fn not_found(what: &'static str, name: impl ToString) -> Self {
        Self::NotFound { what, name: name.to_string() }
    }

    pub(crate) fn defect(what: impl ToString) -> Self {
        Internal::Defect(what.to_string()).into()
    }

    /// Nodes that must be attached for this and are not.
    pub(crate) fn not_attached(nodes: Vec<NodeId>) -> Self {
        Self::Unavailable { reason: format!("not attached: {}", names(&nodes)), nodes }
    }

    /// The error's kind, as metrics name it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "invalid",
            Self::Conflict { .. } => "conflict",
            Self::NotFound { .. } => "not_found",
            Self::Forbidden(_) => "forbidden",
            Self::Unavailable { .. } => "unavailable",
            Self::Timeout { .. } => "timeout",
            Self::PeerFault { .. } => "peer_fault",
            Self::Internal(_) => "internal",
        }
    }

    /// Whether the disk can no longer be trusted, so that the process must stop.
    pub(crate) fn is_fatal(&self) -> bool {
        let Self::Internal(internal) = self else { return false };
        match internal.as_ref() {
            Internal::Store(error) => error.is_fatal(),
            Internal::Ledger(LedgerError::Store(error)) => error.is_fatal(),
            Internal::Audit(AuditError::Store(error)) => error.is_fatal(),
            Internal::Ledger(_)
            | Internal::Audit(_)
            | Internal::Record { .. }
            | Internal::Defect(_)
            | Internal::NodeDefect { .. } => false,
        }
    }
}

/// Node names for a sentence.
pub(crate) fn names(nodes: &[NodeId]) -> String {
    nodes.iter().map(NodeId::as_str).collect::<Vec<_>>().join(", ")
}

impl From<Internal> for OpError {
    fn from(error: Internal) -> Self {
        Self::Internal(Arc::new(error))
    }
}

impl From<StoreError> for OpError {
    fn from(error: StoreError) -> Self {
        Internal::from(error).into()
    }
}

impl From<AuditError> for OpError {
    fn from(error: AuditError) -> Self {
        Internal::from(error).into()
    }
}

impl From<LedgerError> for OpError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Conflict => {
                Self::conflict("idempotency_key", "already used for another payload of this wallet")
            }
            // A sum no limit can be checked against.
            LedgerError::Overflow { .. } => Self::invalid("payload", error),
            error => Internal::from(error).into(),
        }
    }
}

impl From<FieldError> for OpError {
    fn from(error: FieldError) -> Self {
        Self::invalid(error.field, error.reason)
    }
}
