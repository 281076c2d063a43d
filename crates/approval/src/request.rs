//! What approvers read and sign.

use std::fmt;
use std::str::FromStr;

use quorate_manifest::read_yaml;
use quorate_types::{B256, ClusterId, UnixMillis, WalletId};
use serde::{Deserialize, Serialize};

use crate::ApprovalError;

/// The first field of every approval of this version.
pub const FORMAT: &str = "quorate/v1";

/// How far ahead an approval may expire, in milliseconds: 31 days.
pub const MAX_APPROVAL_MS: u64 = 31 * 24 * 60 * 60 * 1000;

/// Longest summary and idempotency key, in characters.
const MAX_WORDS: usize = 1024;

/// Drawn for each request that approvers are asked about: no two are one document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Nonce(pub [u8; 16]);

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl FromStr for Nonce {
    type Err = &'static str;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let mut nonce = [0; 16];
        hex::decode_to_slice(s, &mut nonce).map_err(|_| "expected 32 hex digits")?;
        Ok(Self(nonce))
    }
}

/// One signing request, as approvers are asked about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalRequest {
    /// The cluster.
    pub cluster: ClusterId,
    /// The wallet that is to sign.
    pub wallet: WalletId,
    /// Which payload.
    pub payload_hash: B256,
    /// The caller's key for the request.
    pub idempotency_key: String,
    /// What the payload does, in the words of `Intent::summary`: amount, asset, recipient, chain.
    pub summary: String,
    /// The policy that asks for people. Under another one they are asked again.
    pub policy_hash: B256,
    /// See [`Nonce`].
    pub nonce: Nonce,
    /// When it is void, in Unix milliseconds.
    pub expires_at: UnixMillis,
}

/// The YAML, field by field.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Draft {
    approval: String,
    cluster: String,
    wallet: String,
    summary: String,
    idempotency_key: String,
    payload_hash: String,
    policy_hash: String,
    nonce: String,
    expires_at: UnixMillis,
}

impl ApprovalRequest {
    /// Reads a request and checks every field.
    ///
    /// # Errors
    /// [`ApprovalError`], naming the field.
    pub fn parse(body: &[u8]) -> Result<Self, ApprovalError> {
        let draft: Draft = read_yaml(body).map_err(ApprovalError::Yaml)?;
        if draft.approval != FORMAT {
            let reason = format!("expected {FORMAT}");
            return Err(ApprovalError::Invalid { field: "approval", reason });
        }
        for (field, words) in [("summary", &draft.summary), ("idempotency_key", &draft.idempotency_key)] {
            if !(1..=MAX_WORDS).contains(&words.chars().count()) || words.chars().any(char::is_control) {
                let reason = format!("must be 1 to {MAX_WORDS} characters on one line");
                return Err(ApprovalError::Invalid { field, reason });
            }
        }
        let request = Self {
            cluster: read("cluster", &draft.cluster)?,
            wallet: read("wallet", &draft.wallet)?,
            payload_hash: read("payload_hash", &draft.payload_hash)?,
            idempotency_key: draft.idempotency_key,
            summary: draft.summary,
            policy_hash: read("policy_hash", &draft.policy_hash)?,
            nonce: read("nonce", &draft.nonce)?,
            expires_at: draft.expires_at,
        };
        // One spelling: no comment beside the fields that people would read and machines would not.
        if request.spelled()?.as_bytes() != body {
            return Err(ApprovalError::Yaml("not spelled as Quorate spells it".to_owned()));
        }
        Ok(request)
    }

    fn spelled(&self) -> Result<String, ApprovalError> {
        let draft = Draft {
            approval: FORMAT.to_owned(),
            cluster: self.cluster.to_string(),
            wallet: self.wallet.to_string(),
            summary: self.summary.clone(),
            idempotency_key: self.idempotency_key.clone(),
            payload_hash: self.payload_hash.to_string(),
            policy_hash: self.policy_hash.to_string(),
            nonce: self.nonce.to_string(),
            expires_at: self.expires_at,
        };
        serde_norway::to_string(&draft).map_err(|error| ApprovalError::Yaml(error.to_string()))
    }

    /// The body to be signed. It is read back first: nobody is asked to sign what every node would refuse.
    ///
    /// # Errors
    /// [`ApprovalError`], as [`ApprovalRequest::parse`] would answer.
    pub fn to_yaml(&self) -> Result<String, ApprovalError> {
        let text = self.spelled()?;
        let read_back = Self::parse(text.as_bytes())?;
        if read_back == *self {
            Ok(text)
        } else {
            Err(ApprovalError::Yaml("not read back as written".to_owned()))
        }
    }
}

fn read<T: FromStr<Err: ToString>>(field: &'static str, text: &str) -> Result<T, ApprovalError> {
    text.parse().map_err(|error: T::Err| ApprovalError::Invalid { field, reason: error.to_string() })
}
