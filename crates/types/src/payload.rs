//! What a caller asks to have signed: bytes that can be read; a bare hash only of a wallet that was created for them.

use alloy_primitives::{B256, Bytes};
use serde::{Deserialize, Serialize};

use crate::Transcript;

/// A signing request's content, before anyone has read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "data", rename_all = "snake_case")]
pub enum Payload {
    /// An unsigned Ethereum transaction, in the encoding that is hashed for signing (EIP-2718, EIP-155).
    Transaction(Bytes),
    /// EIP-712 typed data, as the standard JSON object (`types`, `primaryType`, `domain`, `message`).
    TypedData(String),
    /// An EIP-191 personal message (version `0x45`), without its prefix.
    Message(Bytes),
    /// 32 bytes that are signed as they are. Nobody can read what they are the hash of.
    RawDigest(B256),
}

/// Which kind of payload, without its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PayloadKind {
    /// See [`Payload::Transaction`].
    Transaction,
    /// See [`Payload::TypedData`].
    TypedData,
    /// See [`Payload::Message`].
    Message,
    /// See [`Payload::RawDigest`].
    RawDigest,
}

impl PayloadKind {
    /// The kind's name in records and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            PayloadKind::Transaction => "transaction",
            PayloadKind::TypedData => "typed_data",
            PayloadKind::Message => "message",
            PayloadKind::RawDigest => "raw_digest",
        }
    }
}

impl Payload {
    /// Largest payload accepted, in bytes.
    pub const MAX_BYTES: usize = 128 * 1024;

    /// Which kind this is.
    pub const fn kind(&self) -> PayloadKind {
        match self {
            Payload::Transaction(_) => PayloadKind::Transaction,
            Payload::TypedData(_) => PayloadKind::TypedData,
            Payload::Message(_) => PayloadKind::Message,
            Payload::RawDigest(_) => PayloadKind::RawDigest,
        }
    }

    /// The bytes as the caller sent them.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Payload::Transaction(bytes) | Payload::Message(bytes) => bytes,
            Payload::TypedData(json) => json.as_bytes(),
            Payload::RawDigest(digest) => digest.as_slice(),
        }
    }

    /// Names this exact request in opens, ledgers and records: SHA-256 over kind and bytes. It is not what is
    /// signed; see `quorate_intent::SigningDigest` for that.
    pub fn hash(&self) -> B256 {
        Transcript::new("quorate/payload/v1")
            .field(self.kind().as_str().as_bytes())
            .field(self.as_bytes())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_separates_kind_and_bytes() {
        let message = Payload::Message(Bytes::from_static(b"x"));
        let transaction = Payload::Transaction(Bytes::from_static(b"x"));
        assert_ne!(message.hash(), transaction.hash());
        assert_ne!(message.hash(), Payload::Message(Bytes::from_static(b"y")).hash());
        assert_eq!(message.hash(), message.clone().hash());
    }
}
