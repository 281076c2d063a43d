//! Where a configuration file says the key-encryption key is.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Kek, StoreError};

/// `{file: path}` or `{credential: name}`. There is no form that holds the key itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields, expecting = "expected either {file: <path>} or {credential: <name>}")]
pub enum KekConfig {
    /// A key file: see [`Kek::from_file`].
    File {
        /// its path
        file: PathBuf,
    },
    /// A systemd credential: see [`Kek::from_credential`].
    Credential {
        /// its name
        credential: String,
    },
}

impl KekConfig {
    /// Reads the key.
    ///
    /// # Errors
    /// As [`Kek::from_file`] and [`Kek::from_credential`].
    pub fn load(&self) -> Result<Kek, StoreError> {
        match self {
            Self::File { file } => Kek::from_file(file),
            Self::Credential { credential } => Kek::from_credential(credential),
        }
    }

    /// The same, with a relative file path taken from `base` (the directory of the configuration file).
    pub fn relative_to(self, base: &Path) -> Self {
        match self {
            Self::File { file } => Self::File { file: base.join(file) },
            credential @ Self::Credential { .. } => credential,
        }
    }
}
