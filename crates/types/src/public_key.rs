//! A wallet's public key and the address it controls.

use std::fmt;
use std::str::FromStr;

use alloy_primitives::{Address, keccak256};
use k256::elliptic_curve::sec1::ToEncodedPoint;
use serde::{Deserialize, Serialize};

/// Not a compressed secp256k1 point.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("public key: expected a compressed secp256k1 point of 33 bytes")]
pub struct PublicKeyError;

/// A secp256k1 public key that is known to be on the curve and is not the identity.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey(k256::PublicKey);

impl PublicKey {
    /// Reads the compressed SEC1 encoding.
    ///
    /// # Errors
    /// [`PublicKeyError`] where the bytes are not one.
    pub fn from_sec1(bytes: &[u8]) -> Result<Self, PublicKeyError> {
        // The sec1 crate also reads tag 5 ("compact", x only): one key must have one encoding.
        if bytes.len() != 33 || !matches!(bytes.first(), Some(2 | 3)) {
            return Err(PublicKeyError);
        }
        k256::PublicKey::from_sec1_bytes(bytes).map(Self).map_err(|_| PublicKeyError)
    }

    /// The compressed SEC1 encoding, 33 bytes.
    pub fn to_sec1(self) -> Vec<u8> {
        self.0.to_encoded_point(true).as_bytes().to_vec()
    }

    /// The Ethereum address: the last 20 bytes of the Keccak-256 of the uncompressed point.
    pub fn address(self) -> Address {
        let point = self.0.to_encoded_point(false);
        let hash = keccak256(point.as_bytes().get(1..).unwrap_or_default());
        Address::from_word(hash)
    }

    pub(crate) fn verifying_key(self) -> k256::ecdsa::VerifyingKey {
        self.0.into()
    }
}

impl From<k256::PublicKey> for PublicKey {
    fn from(key: k256::PublicKey) -> Self {
        Self(key)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.to_sec1()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = PublicKeyError;
    fn from_str(s: &str) -> Result<Self, PublicKeyError> {
        Self::from_sec1(&hex::decode(s).map_err(|_| PublicKeyError)?)
    }
}

impl TryFrom<String> for PublicKey {
    type Error = PublicKeyError;
    fn try_from(s: String) -> Result<Self, PublicKeyError> {
        s.parse()
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> String {
        key.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The key of private key 1, and its address as every Ethereum tool prints it.
    const GENERATOR: &str = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";

    #[test]
    fn address_of_the_generator() {
        let key: PublicKey = GENERATOR.parse().unwrap();
        assert_eq!(key.address().to_string(), "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf");
        assert_eq!(key.to_string(), GENERATOR);
    }

    #[test]
    fn refuses_what_is_not_a_point() {
        for bad in ["", "00", &format!("02{:064x}", 5), &format!("05{}", &GENERATOR[2..])] {
            assert_eq!(bad.parse::<PublicKey>(), Err(PublicKeyError), "{bad}");
        }
    }
}
