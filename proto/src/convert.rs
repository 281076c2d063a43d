//! Messages to domain types. Every refusal names the field.

use std::str::FromStr;

use quorate_session::{AgentPublicKey, AgentSignature, MAX_LOOSENING_DELAY_S, WalletTerms};
use quorate_types::{B256, Bytes, Payload};

use crate::v1;

/// A field of a request is missing or malformed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct FieldError {
    /// The field's name in the `.proto` file.
    pub field: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

impl FieldError {
    /// A field that must be there and is not.
    pub fn missing(field: &'static str) -> Self {
        Self { field, reason: "missing".to_owned() }
    }

    /// A field whose content is refused.
    pub fn invalid(field: &'static str, reason: impl ToString) -> Self {
        Self { field, reason: reason.to_string() }
    }
}

/// Parses a required text field.
///
/// # Errors
/// [`FieldError`] where it is empty or does not parse.
pub fn required<T>(field: &'static str, text: &str) -> Result<T, FieldError>
where
    T: FromStr<Err: ToString>,
{
    if text.is_empty() {
        return Err(FieldError::missing(field));
    }
    text.parse().map_err(|error: T::Err| FieldError::invalid(field, error))
}

/// Reads what a wallet is created with. An empty key is none; an absent delay is none.
///
/// # Errors
/// [`FieldError`] naming the field.
pub fn wallet_terms_from_pb(
    agent_key: &[u8],
    loosening_delay_s: Option<u32>,
    raw_digest: bool,
) -> Result<WalletTerms, FieldError> {
    Ok(WalletTerms {
        agent_key: agent_key_from_pb(agent_key)?,
        loosening_delay_s: loosening_delay_from_pb(loosening_delay_s)?,
        raw_digest,
    })
}

fn agent_key_from_pb(bytes: &[u8]) -> Result<Option<AgentPublicKey>, FieldError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let key = <[u8; 32]>::try_from(bytes).ok().and_then(|bytes| AgentPublicKey::from_bytes(&bytes).ok());
    let refuse = || FieldError::invalid("agent_key", "expected an Ed25519 public key of 32 bytes");
    key.ok_or_else(refuse).map(Some)
}

fn loosening_delay_from_pb(seconds: Option<u32>) -> Result<Option<u32>, FieldError> {
    match seconds {
        Some(seconds) if seconds > MAX_LOOSENING_DELAY_S => {
            let reason = format!("at most {MAX_LOOSENING_DELAY_S}, got {seconds}");
            Err(FieldError::invalid("loosening_delay_s", reason))
        }
        seconds => Ok(seconds),
    }
}

/// Reads an agent's signature, where there is one. Whether it holds is another matter.
///
/// # Errors
/// [`FieldError`] naming `agent`.
pub fn agent_from_pb(agent: Option<v1::AgentSignature>) -> Result<Option<AgentSignature>, FieldError> {
    let read = |agent: v1::AgentSignature| {
        let signature = <[u8; 64]>::try_from(agent.signature);
        let signature = signature.map_err(|_| FieldError::invalid("agent", "a signature is 64 bytes"))?;
        Ok(AgentSignature { expires_at: agent.expires_at_ms, signature })
    };
    agent.map(read).transpose()
}

/// An agent's signature as it travels.
pub fn agent_to_pb(agent: &AgentSignature) -> v1::AgentSignature {
    v1::AgentSignature { expires_at_ms: agent.expires_at, signature: agent.signature.to_vec() }
}

/// Reads a payload, refusing one that is empty, larger than [`Payload::MAX_BYTES`], or a digest of another length than 32
/// bytes.
///
/// # Errors
/// [`FieldError`] naming `payload`.
pub fn payload_from_pb(payload: Option<v1::Payload>) -> Result<Payload, FieldError> {
    let kind = payload.and_then(|payload| payload.kind).ok_or_else(|| FieldError::missing("payload"))?;
    let payload = match kind {
        v1::payload::Kind::Transaction(bytes) => Payload::Transaction(Bytes::from(bytes)),
        v1::payload::Kind::TypedData(json) => Payload::TypedData(json),
        v1::payload::Kind::Message(bytes) => Payload::Message(Bytes::from(bytes)),
        v1::payload::Kind::RawDigest(bytes) => {
            let refuse =
                || FieldError::invalid("payload", format!("a raw digest is 32 bytes, got {}", bytes.len()));
            Payload::RawDigest(B256::try_from(bytes.as_slice()).map_err(|_| refuse())?)
        }
    };
    let len = payload.as_bytes().len();
    if len > Payload::MAX_BYTES {
        let reason = format!("{len} bytes, at most {} allowed", Payload::MAX_BYTES);
        return Err(FieldError::invalid("payload", reason));
    }
    if len == 0 && !matches!(payload, Payload::Message(_)) {
        return Err(FieldError::missing("payload"));
    }
    Ok(payload)
}

/// The message form of a payload.
pub fn payload_to_pb(payload: &Payload) -> v1::Payload {
    let kind = match payload {
        Payload::Transaction(bytes) => v1::payload::Kind::Transaction(bytes.to_vec()),
        Payload::TypedData(json) => v1::payload::Kind::TypedData(json.clone()),
        Payload::Message(bytes) => v1::payload::Kind::Message(bytes.to_vec()),
        Payload::RawDigest(digest) => v1::payload::Kind::RawDigest(digest.to_vec()),
    };
    v1::Payload { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_types::WalletId;

    #[test]
    fn payloads_round_trip() {
        for payload in [
            Payload::Transaction(Bytes::from_static(&[2, 1])),
            Payload::TypedData("{}".to_owned()),
            Payload::Message(Bytes::new()),
            Payload::RawDigest(B256::repeat_byte(7)),
        ] {
            assert_eq!(payload_from_pb(Some(payload_to_pb(&payload))), Ok(payload));
        }
    }

    #[test]
    fn refuses_missing_and_oversized() {
        assert_eq!(payload_from_pb(None), Err(FieldError::missing("payload")));
        let empty = payload_to_pb(&Payload::Transaction(Bytes::new()));
        assert_eq!(payload_from_pb(Some(empty)), Err(FieldError::missing("payload")));
        let large = payload_to_pb(&Payload::Message(vec![0; Payload::MAX_BYTES + 1].into()));
        assert_eq!(payload_from_pb(Some(large)).unwrap_err().field, "payload");
        for len in [0, 31, 33] {
            let digest = v1::payload::Kind::RawDigest(vec![7; len]);
            let refused = payload_from_pb(Some(v1::Payload { kind: Some(digest) })).unwrap_err();
            assert_eq!(
                refused,
                FieldError::invalid("payload", format!("a raw digest is 32 bytes, got {len}"))
            );
        }
    }

    #[test]
    fn names_the_field() {
        let error = required::<WalletId>("wallet", "No Good").unwrap_err();
        assert_eq!(error.field, "wallet");
        assert_eq!(required::<WalletId>("wallet", "").unwrap_err(), FieldError::missing("wallet"));
    }
}
