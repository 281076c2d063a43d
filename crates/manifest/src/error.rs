//! Why a manifest was refused.

use crate::DocumentError;

/// Longest message taken over from the YAML reader, in characters.
const MAX_MESSAGE: usize = 240;

/// Why a manifest was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ManifestError {
    // Whoever wrote the manifest.
    /// Not YAML of the manifest's shape. The message names the field, line and column where the reader knows them.
    #[error("manifest: {0}")]
    Yaml(String),
    /// A field that cannot be right.
    #[error("{path}: {reason}")]
    Invalid {
        /// the field, such as `nodes[1].key`
        path: String,
        /// what is wrong with it
        reason: String,
    },
    /// A later version changes what is fixed for life.
    #[error("{path}: {reason}")]
    Changed {
        /// the field of the new version, such as `groups[0].cold`
        path: String,
        /// what must stay, and was changed
        reason: String,
    },

    // Whoever signed or sent it.
    /// Its signatures do not hold.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// Too few of those who signed are trusted by whoever enrols.
    #[error("signatures: {need} operators among the configured roots must agree, got {got}")]
    Roots {
        /// operators among the roots that signed
        got: usize,
        /// the quorum
        need: usize,
    },
    /// An older version than the one in force.
    #[error("version: {offered} is older than {pinned}, which is in force")]
    Rollback {
        /// the version in force
        pinned: u64,
        /// the version offered
        offered: u64,
    },
    /// Two different manifests of one version, both signed by the operators.
    #[error("version: {version} is in force with another content; a change needs a higher version")]
    Fork {
        /// the version both claim
        version: u64,
    },
    /// A version so high that few or none could come after it.
    #[error("version: {offered} leaps too far ahead of {pinned}, which is in force; go on from there")]
    Leap {
        /// the version in force
        pinned: u64,
        /// the version offered
        offered: u64,
    },
    /// Not the manifest that was pinned.
    #[error("manifest: its hash is not the one that was pinned")]
    NotPinned,
}

impl ManifestError {
    pub(crate) fn invalid(path: impl Into<String>, reason: impl ToString) -> Self {
        Self::Invalid { path: path.into(), reason: reason.to_string() }
    }

    pub(crate) fn changed(path: impl Into<String>, reason: impl ToString) -> Self {
        Self::Changed { path: path.into(), reason: reason.to_string() }
    }

    /// The reader quotes what it read: cut short, and without anything a terminal would obey.
    pub(crate) fn yaml(message: &str) -> Self {
        let printable = |c: char| if c.is_control() { '\u{fffd}' } else { c };
        Self::Yaml(message.chars().map(printable).take(MAX_MESSAGE).collect())
    }
}
