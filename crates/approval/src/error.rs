//! Why an approval was refused.

use quorate_manifest::DocumentError;

/// Why an approval was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ApprovalError {
    /// Not YAML of an approval's shape.
    #[error("approval: {0}")]
    Yaml(String),
    /// A field that cannot be right.
    #[error("{field}: {reason}")]
    Invalid {
        /// the field of the approval
        field: &'static str,
        /// what is wrong with it
        reason: String,
    },
    /// A signature does not hold, or is not an approver's.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// It is about another request.
    #[error("{0}: the approval is for another")]
    Other(&'static str),
    /// Too late.
    #[error("expires_at: the approval has expired")]
    Expired,
    /// It would be good for longer than the policy asks people for, or than
    /// [`MAX_APPROVAL_MS`](crate::MAX_APPROVAL_MS).
    #[error("expires_at: further away than the policy's timeout")]
    TooFar,
}
