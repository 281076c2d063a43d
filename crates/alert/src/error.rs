//! What can go wrong: with a receiver's configuration, and with one message.

use std::path::PathBuf;

/// Why a receiver is refused. It names the field, and no secret.
#[derive(Debug, thiserror::Error)]
pub enum ReceiverError {
    /// A field's value.
    #[error("{field}: {reason}")]
    Field {
        /// which field
        field: &'static str,
        /// why
        reason: String,
    },
    /// A file it names.
    #[error("{field}: {}: {reason}", path.display())]
    File {
        /// which field
        field: &'static str,
        /// which file
        path: PathBuf,
        /// why
        reason: String,
    },
}

impl ReceiverError {
    pub(crate) fn field(field: &'static str, reason: impl ToString) -> Self {
        Self::Field { field, reason: reason.to_string() }
    }
}

/// Why a message did not arrive.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Nobody took it: a later try may find somebody.
    #[error("{0}")]
    Failed(String),
    /// The receiver does not want it, and will not want it later.
    #[error("refused: {0}")]
    Refused(String),
}

impl SendError {
    pub(crate) fn failed(reason: impl ToString) -> Self {
        Self::Failed(reason.to_string())
    }
}
