//! A node's signing identity: Ed25519, pinned in the manifest.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use quorate_types::Transcript;
use rand_core::CryptoRngCore;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

// The root of every statement's transcript. Opens and broadcasts have roots of their own, so that no choice of
// statement domain yields a signature that passes for either.
const STATEMENT: &str = "quorate/statement/v1";

/// A node's secret signing key. Wiped from memory on drop.
pub struct NodeKey(SigningKey);

impl NodeKey {
    /// A fresh key. `rng` is the operating system's outside tests.
    pub fn generate(rng: &mut impl CryptoRngCore) -> Self {
        Self(SigningKey::generate(rng))
    }

    /// The key of a stored seed (RFC 8032 private key).
    pub fn from_bytes(seed: Zeroizing<[u8; 32]>) -> Self {
        Self(SigningKey::from_bytes(&seed))
    }

    /// The seed, to be sealed at rest and for nothing else.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public half, as the manifest pins it.
    pub fn public(&self) -> NodePublicKey {
        NodePublicKey(self.0.verifying_key())
    }

    /// Signs `bytes` as a statement of the kind `domain` names, such as `quorate/wallet-attestation/v1`. A signature
    /// under one domain is none under another.
    pub fn sign_statement(&self, domain: &str, bytes: &[u8]) -> [u8; 64] {
        self.sign(statement(domain, bytes))
    }

    /// Signs a text as it is. Only for keys that sign nothing else, as [`AgentKey`](crate::AgentKey)'s, and for texts that are
    /// never 32 bytes long.
    pub(crate) fn sign_text(&self, text: &str) -> [u8; 64] {
        self.0.sign(text.as_bytes()).to_bytes()
    }

    pub(crate) fn sign(&self, transcript: Transcript) -> [u8; 64] {
        self.0.sign(transcript.finish().as_slice()).to_bytes()
    }
}

fn statement(domain: &str, bytes: &[u8]) -> Transcript {
    Transcript::new(STATEMENT).field(domain.as_bytes()).field(bytes)
}

/// A signature that is not by the key, not over these bytes, or not of this domain.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("signature: does not verify under the node's key")]
pub struct BadSignature;

/// Why a node's public key was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NodePublicKeyError {
    /// Not 64 hex digits, or not the one canonical encoding of a point (RFC 8032, 5.1.3).
    #[error("node key: expected an Ed25519 public key of 64 hex digits")]
    Encoding,
    /// A point of small order: signatures under it verify for messages nobody signed.
    #[error("node key: weak key of small order")]
    Weak,
}

/// A node's public key: a canonical Ed25519 point, not of small order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodePublicKey(VerifyingKey);

impl NodePublicKey {
    /// Reads the 32-byte encoding.
    ///
    /// # Errors
    /// [`NodePublicKeyError`] where it is not canonical, or the key is weak.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, NodePublicKeyError> {
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| NodePublicKeyError::Encoding)?;
        // Decompression reduces y and ignores the sign of a zero x: one key must have one encoding.
        if key.to_edwards().compress().as_bytes() != bytes {
            return Err(NodePublicKeyError::Encoding);
        }
        if key.is_weak() {
            return Err(NodePublicKeyError::Weak);
        }
        Ok(Self(key))
    }

    /// The 32-byte encoding.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Checks a signature made by [`NodeKey::sign_statement`].
    ///
    /// # Errors
    /// [`BadSignature`], also where `signature` is not 64 bytes.
    pub fn verify_statement(&self, domain: &str, bytes: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        self.verify(statement(domain, bytes), signature)
    }

    pub(crate) fn verify_text(&self, text: &str, signature: &[u8]) -> Result<(), BadSignature> {
        self.verify_bytes(text.as_bytes(), signature)
    }

    pub(crate) fn verify(&self, transcript: Transcript, signature: &[u8]) -> Result<(), BadSignature> {
        self.verify_bytes(transcript.finish().as_slice(), signature)
    }

    fn verify_bytes(&self, bytes: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        let signature = Signature::from_slice(signature).map_err(|_| BadSignature)?;
        self.0.verify_strict(bytes, &signature).map_err(|_| BadSignature)
    }
}

impl fmt::Display for NodePublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.as_bytes()))
    }
}

impl fmt::Debug for NodePublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for NodePublicKey {
    type Err = NodePublicKeyError;
    fn from_str(s: &str) -> Result<Self, NodePublicKeyError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(s, &mut bytes).map_err(|_| NodePublicKeyError::Encoding)?;
        Self::from_bytes(&bytes)
    }
}

impl TryFrom<String> for NodePublicKey {
    type Error = NodePublicKeyError;
    fn try_from(s: String) -> Result<Self, NodePublicKeyError> {
        s.parse()
    }
}

impl From<NodePublicKey> for String {
    fn from(key: NodePublicKey) -> String {
        key.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 8032, 7.1, test 1.
    const SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    const PUBLIC: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

    fn key() -> NodeKey {
        NodeKey::from_bytes(Zeroizing::new(hex::decode(SEED).unwrap().try_into().unwrap()))
    }

    #[test]
    fn seed_and_public_key_round_trip() {
        assert_eq!(key().public().to_string(), PUBLIC);
        assert_eq!(hex::encode(*key().to_bytes()), SEED);
        let json = serde_json::to_string(&key().public()).unwrap();
        assert_eq!(json, format!("\"{PUBLIC}\""));
        assert_eq!(serde_json::from_str::<NodePublicKey>(&json).unwrap(), key().public());
    }

    #[test]
    fn statement_is_bound_to_domain_bytes_and_key() {
        let signature = key().sign_statement("d", b"abc");
        let public = key().public();
        assert_eq!(public.verify_statement("d", b"abc", &signature), Ok(()));
        assert_eq!(public.verify_statement("e", b"abc", &signature), Err(BadSignature));
        assert_eq!(public.verify_statement("da", b"bc", &signature), Err(BadSignature));
        assert_eq!(public.verify_statement("d", b"abd", &signature), Err(BadSignature));
        assert_eq!(public.verify_statement("d", b"abc", &signature[..63]), Err(BadSignature));
        let other = NodeKey::from_bytes(Zeroizing::new([1; 32])).public();
        assert_eq!(other.verify_statement("d", b"abc", &signature), Err(BadSignature));
    }

    #[test]
    fn no_statement_passes_for_an_open_or_a_broadcast() {
        for root in ["quorate/open/v2", "quorate/broadcast/v1"] {
            let signature = key().sign_statement(root, b"x");
            let transcript = Transcript::new(root).field(b"x");
            assert_eq!(key().public().verify(transcript, &signature), Err(BadSignature));
        }
    }

    #[test]
    fn signature_with_a_larger_s_is_refused() {
        // s + L is the same scalar; accepting it would give one open two byte strings.
        let order = hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").unwrap();
        let mut signature = key().sign_statement("d", b"abc");
        let mut carry = 0;
        for (byte, add) in signature[32..].iter_mut().zip(order) {
            let sum = u16::from(*byte) + u16::from(add) + carry;
            *byte = sum.to_le_bytes()[0];
            carry = sum >> 8;
        }
        assert_eq!(key().public().verify_statement("d", b"abc", &signature), Err(BadSignature));
    }

    #[test]
    fn refuses_weak_keys_and_second_encodings() {
        let weak = [
            "0100000000000000000000000000000000000000000000000000000000000000",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "0000000000000000000000000000000000000000000000000000000000000000",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        ];
        for bad in weak {
            assert_eq!(bad.parse::<NodePublicKey>(), Err(NodePublicKeyError::Weak), "{bad}");
        }
        // y = p + k for k in 0..19, with either sign bit.
        for (low, high) in (0xed..=0xff).flat_map(|low| [(low, 0x7f), (low, 0xff)]) {
            let mut bytes = [0xff; 32];
            bytes[0] = low;
            bytes[31] = high;
            assert_eq!(NodePublicKey::from_bytes(&bytes), Err(NodePublicKeyError::Encoding), "{low:x}");
        }
        for bad in ["", &PUBLIC[2..], "zz"] {
            assert_eq!(bad.parse::<NodePublicKey>(), Err(NodePublicKeyError::Encoding), "{bad}");
        }
    }
}
