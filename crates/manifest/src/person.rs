//! People, by the SSH keys they already have.

use std::fmt;
use std::str::FromStr;

use quorate_session::{NodePublicKey, NodePublicKeyError};
use serde::{Deserialize, Serialize};
use ssh_key::public::{EcdsaPublicKey, KeyData};
use ssh_key::{HashAlg, PublicKey};

/// Longest public key line accepted, comment included, in bytes.
const MAX_LINE: usize = 1024;

/// OpenSSH gives every security key it makes an application of this prefix. Keys registered with web sites have others.
const APPLICATION_PREFIX: &str = "ssh:";

/// Why a person's key was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PersonKeyError {
    /// Not one line of an OpenSSH public key file.
    #[error("expected an OpenSSH public key such as \"ssh-ed25519 AAAA...\"")]
    Malformed,
    /// A kind of key that is not accepted here.
    #[error("expected ssh-ed25519, ecdsa-sha2-nistp256 or their security key (sk-) kinds")]
    Kind,
    /// A point of small order: signatures under it verify for messages nobody signed.
    #[error("weak key of small order")]
    Weak,
    /// A security key of another application than OpenSSH's.
    #[error("security key: its application must start with \"ssh:\"")]
    Application,
}

/// A person's public key: Ed25519 or ECDSA P-256, in a file, an agent or a security key. Comments are dropped: two keys
/// are equal where they verify the same signatures.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PersonKey(KeyData);

impl PersonKey {
    pub(crate) fn from_data(data: KeyData) -> Result<Self, PersonKeyError> {
        match &data {
            KeyData::Ed25519(key) => check_ed25519(&key.0)?,
            KeyData::SkEd25519(key) => {
                check_ed25519(&key.public_key().0)?;
                check_application(key.application())?;
            }
            KeyData::Ecdsa(EcdsaPublicKey::NistP256(point)) => check_p256(point.as_bytes())?,
            KeyData::SkEcdsaSha2NistP256(key) => {
                check_p256(key.ec_point().as_bytes())?;
                check_application(key.application())?;
            }
            _ => return Err(PersonKeyError::Kind),
        }
        Ok(Self(data))
    }

    /// `SHA256:…`, as `ssh-keygen -l` prints it.
    pub fn fingerprint(&self) -> String {
        self.0.fingerprint(HashAlg::Sha256).to_string()
    }

    /// Whether its signatures need a touch on a security key.
    pub fn is_security_key(&self) -> bool {
        matches!(self.0, KeyData::SkEd25519(_) | KeyData::SkEcdsaSha2NistP256(_))
    }

    pub(crate) const fn data(&self) -> &KeyData {
        &self.0
    }

    /// The bare point. One secret signs for it whatever kind the key claims to be, so one person is one point.
    pub(crate) fn point(&self) -> &[u8] {
        match &self.0 {
            KeyData::Ed25519(key) => &key.0,
            KeyData::SkEd25519(key) => &key.public_key().0,
            KeyData::Ecdsa(key) => key.as_sec1_bytes(),
            KeyData::SkEcdsaSha2NistP256(key) => key.ec_point().as_bytes(),
            // Not constructed: `from_data` accepts the four above.
            _ => &[],
        }
    }
}

fn check_ed25519(bytes: &[u8; 32]) -> Result<(), PersonKeyError> {
    match NodePublicKey::from_bytes(bytes) {
        Ok(_) => Ok(()),
        Err(NodePublicKeyError::Weak) => Err(PersonKeyError::Weak),
        Err(NodePublicKeyError::Encoding) => Err(PersonKeyError::Malformed),
    }
}

/// Uncompressed only, as OpenSSH writes it: one key must have one encoding.
fn check_p256(sec1: &[u8]) -> Result<(), PersonKeyError> {
    let uncompressed = sec1.len() == 65 && sec1.first() == Some(&4);
    if uncompressed { Ok(()) } else { Err(PersonKeyError::Malformed) }
}

fn check_application(application: &str) -> Result<(), PersonKeyError> {
    if application.starts_with(APPLICATION_PREFIX) { Ok(()) } else { Err(PersonKeyError::Application) }
}

impl FromStr for PersonKey {
    type Err = PersonKeyError;
    fn from_str(line: &str) -> Result<Self, PersonKeyError> {
        let line = line.trim();
        if line.len() > MAX_LINE || line.chars().any(char::is_control) {
            return Err(PersonKeyError::Malformed);
        }
        let key = PublicKey::from_openssh(line).map_err(|error| match error {
            ssh_key::Error::AlgorithmUnsupported { .. } => PersonKeyError::Kind,
            _ => PersonKeyError::Malformed,
        })?;
        Self::from_data(key.key_data().clone())
    }
}

impl TryFrom<&PublicKey> for PersonKey {
    type Error = PersonKeyError;
    fn try_from(key: &PublicKey) -> Result<Self, PersonKeyError> {
        Self::from_data(key.key_data().clone())
    }
}

impl TryFrom<String> for PersonKey {
    type Error = PersonKeyError;
    fn try_from(line: String) -> Result<Self, PersonKeyError> {
        line.parse()
    }
}

impl From<PersonKey> for String {
    fn from(key: PersonKey) -> String {
        key.to_string()
    }
}

/// As a line of an OpenSSH public key file, without comment.
impl fmt::Display for PersonKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = PublicKey::from(self.0.clone()).to_openssh().map_err(|_| fmt::Error)?;
        f.write_str(line.trim_end())
    }
}

impl fmt::Debug for PersonKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Someone who may sign documents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// What records call them.
    pub name: String,
    /// The key they sign with.
    pub key: PersonKey,
}
