//! The one way from bytes to something that can be signed.

use quorate_types::Payload;

use crate::{DecodeError, DecodedDigest, Intent, message, raw_digest, transaction, typed_data};

/// A payload that was read completely, or is known to be one that nobody can read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// What it would do.
    pub intent: Intent,
    /// What would be signed.
    pub digest: DecodedDigest,
}

/// Reads a payload. Deterministic: every node that decodes the same bytes gets the same answer.
///
/// # Errors
/// [`DecodeError`] where it is too large, is not exactly the encoding that is hashed for signing, or is of a
/// kind that no rule could judge.
pub fn decode(payload: &Payload) -> Result<Decoded, DecodeError> {
    let len = payload.as_bytes().len();
    if len > Payload::MAX_BYTES {
        return Err(DecodeError::TooLarge { len });
    }
    match payload {
        Payload::Transaction(bytes) => Ok(transaction::decode(bytes)?),
        Payload::TypedData(json) => Ok(typed_data::decode(json)?),
        Payload::Message(bytes) => Ok(message::decode(bytes)),
        Payload::RawDigest(digest) => Ok(raw_digest::decode(*digest)),
    }
}
