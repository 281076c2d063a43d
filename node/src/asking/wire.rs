//! What is said over the socket: one JSON object on one line each way, then it is closed. docs/agents.md tells it to
//! whoever writes an agent.

use quorate_ledger::IdempotencyKey;
use quorate_session::{AgentPublicKey, AgentSignature};
use quorate_types::{AgentId, B256, Bytes, Payload, WalletId};
use serde::{Deserialize, Serialize};

/// Longest question, in bytes: the largest payload in hex, or escaped, and some room.
pub(super) const MAX_LINE: u64 = 2 * Payload::MAX_BYTES as u64 + 4096;

/// A question.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub(super) enum Question {
    /// The public half of an agent's key.
    Key { agent: AgentId },
    /// A signature of the agent's over this request.
    Ask(Box<Ask>),
}

/// What an agent asks for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ask {
    pub(super) wallet: WalletId,
    pub(super) idempotency_key: IdempotencyKey,
    pub(super) payload: Asked,
    /// Seconds for which the request holds; at most a day.
    #[serde(default = "ten_minutes")]
    pub(super) expires_in_s: u32,
}

const fn ten_minutes() -> u32 {
    600
}

/// A payload: bytes in hex, typed data as the text that is signed over.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Asked {
    Transaction(String),
    TypedData(String),
    Message(String),
    RawDigest(String),
}

impl Asked {
    pub(super) fn read(self) -> Option<Payload> {
        let bytes = |text: &str| hex::decode(text.strip_prefix("0x").unwrap_or(text)).ok().map(Bytes::from);
        match self {
            Self::Transaction(text) => bytes(&text).map(Payload::Transaction),
            Self::TypedData(json) => Some(Payload::TypedData(json)),
            Self::Message(text) => bytes(&text).map(Payload::Message),
            Self::RawDigest(text) => B256::try_from(bytes(&text)?.as_ref()).ok().map(Payload::RawDigest),
        }
    }
}

/// An answer.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    /// See [`Question::Key`]: 64 hex digits.
    Key { agent_key: String },
    /// See [`Question::Ask`]: what goes into `SignRequest.agent`.
    Asked { agent_signature: String, expires_at_ms: u64, payload_hash: String },
    /// Why not.
    Refused { field: &'static str, reason: String },
}

impl Answer {
    pub(super) fn key(key: &AgentPublicKey) -> Self {
        Self::Key { agent_key: key.to_string() }
    }

    pub(super) fn asked(signature: &AgentSignature, payload_hash: B256) -> Self {
        Self::Asked {
            agent_signature: hex::encode(signature.signature),
            expires_at_ms: signature.expires_at,
            payload_hash: payload_hash.to_string(),
        }
    }
}
