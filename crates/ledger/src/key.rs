//! The name a caller gives its request, so that asking twice is asking once.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why an idempotency key was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum IdempotencyKeyError {
    /// Empty, or longer than [`IdempotencyKey::MAX_BYTES`].
    #[error("idempotency_key: must be 1 to 128 characters, got {0}")]
    Length(usize),
    /// Something other than printable ASCII.
    #[error("idempotency_key: only printable ASCII is allowed")]
    Alphabet,
}

/// The caller's name for a request, unique within a wallet: 1 to 128 printable ASCII characters, compared exactly.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Longest key, in bytes.
    pub const MAX_BYTES: usize = 128;

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for IdempotencyKey {
    type Error = IdempotencyKeyError;
    fn try_from(text: String) -> Result<Self, IdempotencyKeyError> {
        if text.is_empty() || text.len() > Self::MAX_BYTES {
            return Err(IdempotencyKeyError::Length(text.len()));
        }
        if !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err(IdempotencyKeyError::Alphabet);
        }
        Ok(Self(text))
    }
}

impl FromStr for IdempotencyKey {
    type Err = IdempotencyKeyError;
    fn from_str(text: &str) -> Result<Self, IdempotencyKeyError> {
        Self::try_from(text.to_owned())
    }
}

impl From<IdempotencyKey> for String {
    fn from(key: IdempotencyKey) -> String {
        key.0
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printable_ascii_of_bounded_length_and_nothing_else() {
        for good in ["a", "order 17/b~", "Ab", &"k".repeat(128)] {
            assert_eq!(good.parse::<IdempotencyKey>().unwrap().to_string(), good);
        }
        for long in ["", &"k".repeat(129)] {
            assert_eq!(long.parse::<IdempotencyKey>(), Err(IdempotencyKeyError::Length(long.len())));
        }
        for bad in ["a\n", "\t", "é", "\u{7f}", "a\0"] {
            assert_eq!(bad.parse::<IdempotencyKey>(), Err(IdempotencyKeyError::Alphabet), "{bad:?}");
        }
    }
}
