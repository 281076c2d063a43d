//! What may be signed.

use alloy_primitives::keccak256;
use quorate_types::B256;

/// A digest whose preimage is known and was understood.
///
/// Only [`decode`](crate::decode) makes one, so holding one proves that this process read the payload. There is
/// no way to make one from a bare hash, which is a [`RawDigest`] for ever. It is public data.
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

/// 32 bytes to be signed as they are, whose preimage nobody showed. Another type than [`SigningDigest`], so that nothing made
/// for the one takes the other: a presignature signs no raw digest.
///
/// Only [`decode`](crate::decode) makes one. It is public data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawDigest(B256);

impl RawDigest {
    pub(crate) const fn of(digest: B256) -> Self {
        Self(digest)
    }

    /// The 32 bytes ECDSA signs.
    pub const fn digest(self) -> B256 {
        self.0
    }
}

/// What signing a payload signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DecodedDigest {
    /// The payload was read and understood.
    Read(SigningDigest),
    /// The payload is the digest, and cannot be read.
    Raw(RawDigest),
}

impl DecodedDigest {
    /// The 32 bytes ECDSA signs.
    pub const fn digest(&self) -> B256 {
        match self {
            Self::Read(digest) => digest.digest(),
            Self::Raw(digest) => digest.digest(),
        }
    }

    /// The digest of a payload that was read; none of a raw one.
    pub const fn read(&self) -> Option<&SigningDigest> {
        match self {
            Self::Read(digest) => Some(digest),
            Self::Raw(_) => None,
        }
    }
}

impl From<SigningDigest> for DecodedDigest {
    fn from(digest: SigningDigest) -> Self {
        Self::Read(digest)
    }
}
