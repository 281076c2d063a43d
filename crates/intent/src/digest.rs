//! The one thing that may be signed.

use alloy_primitives::keccak256;
use quorate_types::B256;

/// A digest whose preimage is known and was understood.
///
/// Only [`decode`](crate::decode) makes one, so holding one proves that this process read the payload. There is
/// no way to make one from a bare hash. It is public data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningDigest {
    preimage: Vec<u8>,
    digest: B256,
}

impl SigningDigest {
    pub(crate) fn of(preimage: Vec<u8>) -> Self {
        let digest = keccak256(&preimage);
        Self { preimage, digest }
    }

    /// The 32 bytes ECDSA signs: Keccak-256 of the preimage.
    pub const fn digest(&self) -> B256 {
        self.digest
    }

    /// The bytes hashed: an unsigned transaction, `0x1901 || separator || struct hash`, or a prefixed message.
    pub fn preimage(&self) -> &[u8] {
        &self.preimage
    }
}
