//! ecrecover by a second library: libsecp256k1, which shares no code with what made the signature.

use quorate_types::{Address, B256};
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::{Message, Secp256k1};

/// The address whose key made the 65-byte signature over `digest`.
pub fn recover(signature: &[u8], digest: B256) -> Address {
    let id = RecoveryId::try_from(i32::from(signature[64]) - 27).unwrap();
    let signature = RecoverableSignature::from_compact(&signature[..64], id).unwrap();
    let key =
        Secp256k1::verification_only().recover_ecdsa(Message::from_digest(digest.0), &signature).unwrap();
    let hash = alloy_primitives::keccak256(&key.serialize_uncompressed()[1..]);
    Address::from_slice(&hash[12..])
}
