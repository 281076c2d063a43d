//! Unambiguous hashing of several fields under one domain.

use alloy_primitives::B256;
use sha2::{Digest, Sha256};

/// SHA-256 over a domain and length-prefixed fields: no two different field lists hash alike.
#[derive(Clone)]
pub struct Transcript(Sha256);

impl Transcript {
    /// Starts a transcript under `domain`, which names what is hashed and its version.
    pub fn new(domain: &str) -> Self {
        Self(Sha256::new()).field(domain.as_bytes())
    }

    /// Appends one field, prefixed with its length as 8 bytes big-endian.
    #[must_use]
    pub fn field(mut self, bytes: &[u8]) -> Self {
        // usize is at most 64 bits on every target Rust supports.
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
        self
    }

    /// Appends an integer as one 8-byte field.
    #[must_use]
    pub fn number(self, number: u64) -> Self {
        self.field(&number.to_be_bytes())
    }

    /// The hash of everything appended.
    pub fn finish(self) -> B256 {
        B256::from(<[u8; 32]>::from(self.0.finalize()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_boundaries_matter() {
        let joined = Transcript::new("d").field(b"ab").field(b"").finish();
        let split = Transcript::new("d").field(b"a").field(b"b").finish();
        assert_ne!(joined, split);
        assert_ne!(Transcript::new("d").finish(), Transcript::new("e").finish());
    }
}
