//! A signature that has been checked: low-s, with its recovery id, valid for a key and a digest.

use std::fmt;

use alloy_primitives::B256;
use k256::ecdsa::{RecoveryId, VerifyingKey};

use crate::PublicKey;

/// Why a signature was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SignatureError {
    /// Wrong length, r or s zero or not below the group order, or v not 27 or 28.
    #[error("signature: malformed")]
    Malformed,
    /// s is in the upper half of the group order (EIP-2).
    #[error("signature: s is not in the lower half")]
    HighS,
    /// It does not verify against the wallet's public key.
    #[error("signature: does not match the wallet's public key")]
    Mismatch,
}

/// An ECDSA signature over secp256k1, low-s (EIP-2), with the parity needed to recover the signer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    r: B256,
    s: B256,
    odd: bool,
}

impl Signature {
    /// Checks `(r, s)` over `digest` against `key`, and finds the recovery id.
    ///
    /// # Errors
    /// [`SignatureError`] where it is malformed, high-s, or not by `key`.
    pub fn verified(r: B256, s: B256, digest: B256, key: PublicKey) -> Result<Self, SignatureError> {
        let signature = low_s(r, s)?;
        let by = |odd: &bool| is_by(&signature, *odd, digest, key);
        // An x coordinate above the group order (probability 2^-128) has no Ethereum encoding; it counts as a mismatch.
        let odd = [false, true].into_iter().find(by).ok_or(SignatureError::Mismatch)?;
        Ok(Self { r, s, odd })
    }

    /// Reads 65 bytes `r || s || v` and checks them over `digest` against `key`.
    ///
    /// # Errors
    /// [`SignatureError`], also where v is not the one that recovers `key`.
    pub fn from_bytes(bytes: &[u8], digest: B256, key: PublicKey) -> Result<Self, SignatureError> {
        let bytes: &[u8; 65] = bytes.try_into().map_err(|_| SignatureError::Malformed)?;
        let (r, rest) = bytes.split_at(32);
        let (s, v) = rest.split_at(32);
        let (r, s) = (B256::from_slice(r), B256::from_slice(s));
        let odd = match v {
            [27] => false,
            [28] => true,
            _ => return Err(SignatureError::Malformed),
        };
        if is_by(&low_s(r, s)?, odd, digest, key) {
            return Ok(Self { r, s, odd });
        }
        // With the other v it may be a signature all the same.
        Self::verified(r, s, digest, key).and(Err(SignatureError::Malformed))
    }

    /// The x coordinate of the nonce point, modulo the group order.
    pub const fn r(&self) -> B256 {
        self.r
    }

    /// The proof scalar, in the lower half of the group order.
    pub const fn s(&self) -> B256 {
        self.s
    }

    /// Whether the nonce point's y coordinate is odd: EIP-1559's `yParity`.
    pub const fn y_parity(&self) -> bool {
        self.odd
    }

    /// 27 or 28, as EIP-191, EIP-712 and `ecrecover` expect.
    pub const fn v(&self) -> u8 {
        27 + self.odd as u8
    }

    /// `r || s || v`, 65 bytes.
    pub fn to_bytes(&self) -> [u8; 65] {
        let mut out = [0; 65];
        let (r, rest) = out.split_at_mut(32);
        let (s, v) = rest.split_at_mut(32);
        r.copy_from_slice(self.r.as_slice());
        s.copy_from_slice(self.s.as_slice());
        v.copy_from_slice(&[self.v()]);
        out
    }
}

fn low_s(r: B256, s: B256) -> Result<k256::ecdsa::Signature, SignatureError> {
    let signature = k256::ecdsa::Signature::from_scalars(r.0, s.0).map_err(|_| SignatureError::Malformed)?;
    if signature.normalize_s().is_some() { Err(SignatureError::HighS) } else { Ok(signature) }
}

/// Whether `key` is what the signature recovers with a nonce point of this parity: the library verifies the signature by
/// the key it recovers, so this says all that verifying by `key` would.
fn is_by(signature: &k256::ecdsa::Signature, odd: bool, digest: B256, key: PublicKey) -> bool {
    let recovered =
        VerifyingKey::recover_from_prehash(digest.as_slice(), signature, RecoveryId::new(odd, false));
    recovered.is_ok_and(|recovered| recovered == key.verifying_key())
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.to_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k256::ecdsa::SigningKey;

    fn signed(digest: B256) -> (PublicKey, B256, B256) {
        let key = SigningKey::from_slice(&[7; 32]).unwrap();
        let (signature, _) = key.sign_prehash_recoverable(digest.as_slice()).unwrap();
        let (r, s) = signature.split_bytes();
        let public = k256::PublicKey::from(key.verifying_key());
        (public.into(), B256::from_slice(&r), B256::from_slice(&s))
    }

    #[test]
    fn verifies_and_round_trips() {
        for seed in 0..16 {
            let digest = B256::repeat_byte(seed);
            let (key, r, s) = signed(digest);
            let signature = Signature::verified(r, s, digest, key).unwrap();
            assert_eq!(Signature::from_bytes(&signature.to_bytes(), digest, key), Ok(signature));
        }
    }

    #[test]
    fn refuses_high_s_wrong_digest_wrong_v_and_garbage() {
        let digest = B256::repeat_byte(9);
        let (key, r, s) = signed(digest);
        let scalar = k256::ecdsa::Signature::from_scalars(r.0, s.0).unwrap().s().negate();
        let high = B256::from_slice(&scalar.to_bytes());
        assert_eq!(Signature::verified(r, high, digest, key), Err(SignatureError::HighS));
        assert_eq!(Signature::verified(r, s, B256::ZERO, key), Err(SignatureError::Mismatch));
        assert_eq!(Signature::verified(B256::ZERO, s, digest, key), Err(SignatureError::Malformed));
        let mut bytes = Signature::verified(r, s, digest, key).unwrap().to_bytes();
        bytes[64] ^= 7;
        assert_eq!(Signature::from_bytes(&bytes, digest, key), Err(SignatureError::Malformed));
        assert_eq!(Signature::from_bytes(&bytes[..64], digest, key), Err(SignatureError::Malformed));
    }
}
