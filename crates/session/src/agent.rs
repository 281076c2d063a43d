//! An agent's own word: its signature over what it asks for, in plain text, under a key that only it has.
//!
//! A wallet created with an agent's key takes no request without it, whoever brings the request: neither the gateway nor
//! the coordinator can ask in the agent's name.

use std::fmt;
use std::str::FromStr;

use quorate_types::{B256, ClusterId, UnixMillis, WalletId};
use rand_core::CryptoRngCore;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{NodeKey, NodePublicKey, NodePublicKeyError};

/// How far ahead a request may expire, in milliseconds: a day.
pub const MAX_ASK_MS: u64 = 24 * 60 * 60 * 1000;

/// What an agent signs. See [`AgentRequest::text`].
#[derive(Debug, Clone, Copy)]
pub struct AgentRequest<'a> {
    /// The cluster asked.
    pub cluster: &'a ClusterId,
    /// The wallet that is to sign.
    pub wallet: &'a WalletId,
    /// Which payload: `Payload::hash` of `quorate-types`.
    pub payload_hash: B256,
    /// The request's idempotency key: printable ASCII.
    pub idempotency_key: &'a str,
}

impl AgentRequest<'_> {
    /// The text that is signed (Ed25519, RFC 8032, over exactly these bytes): six lines, each ended by one newline. No
    /// field can hold a newline, so no two requests have one text.
    ///
    /// ```text
    /// quorate agent request v1
    /// cluster: acme
    /// wallet: shopper
    /// payload: 0x (64 hex digits, lower case)
    /// idempotency key: order-17
    /// expires: 1790000000000
    /// ```
    pub fn text(&self, expires_at: UnixMillis) -> String {
        let Self { cluster, wallet, payload_hash, idempotency_key } = self;
        format!(
            "quorate agent request v1\ncluster: {cluster}\nwallet: {wallet}\npayload: 0x{}\nidempotency key: \
             {idempotency_key}\nexpires: {expires_at}\n",
            hex::encode(payload_hash)
        )
    }
}

/// An agent's signature over a request, as it travels with it. Serialized for logs, which keep it as proof of who asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AgentSignature {
    /// When the request is void, in Unix milliseconds.
    pub expires_at: UnixMillis,
    /// Ed25519 over [`AgentRequest::text`].
    #[serde(rename = "agent_signature", serialize_with = "hex::serde::serialize")]
    pub signature: [u8; 64],
}

/// Why a request is not taken for the agent's.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
pub enum AskError {
    /// There is no signature.
    #[error("it carries no signature of the agent's")]
    Missing,
    /// By another key, or over another request.
    #[error("the signature is not by the agent's key over this request")]
    Signature,
    /// Too late.
    #[error("the agent's request has expired")]
    Expired,
    /// Its expiry is more than [`MAX_ASK_MS`] away.
    #[error("the agent's request expires more than a day from now")]
    TooFar,
}

/// An agent's secret key. Wiped from memory on drop.
pub struct AgentKey(NodeKey);

impl AgentKey {
    /// A fresh key. `rng` is the operating system's outside tests.
    pub fn generate(rng: &mut impl CryptoRngCore) -> Self {
        Self(NodeKey::generate(rng))
    }

    /// The key of a stored seed (RFC 8032 private key).
    pub fn from_bytes(seed: Zeroizing<[u8; 32]>) -> Self {
        Self(NodeKey::from_bytes(seed))
    }

    /// The seed, to be kept where only the agent can read it.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        self.0.to_bytes()
    }

    /// The public half, which a wallet is created with.
    pub fn public(&self) -> AgentPublicKey {
        AgentPublicKey(self.0.public())
    }

    /// Asks for `request` until `expires_at`, in Unix milliseconds.
    pub fn ask(&self, request: &AgentRequest<'_>, expires_at: UnixMillis) -> AgentSignature {
        AgentSignature { expires_at, signature: self.0.sign_text(&request.text(expires_at)) }
    }
}

/// An agent's public key: a canonical Ed25519 point, not of small order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AgentPublicKey(NodePublicKey);

impl AgentPublicKey {
    /// Reads the 32-byte encoding.
    ///
    /// # Errors
    /// [`NodePublicKeyError`] where it is not canonical, or the key is weak.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, NodePublicKeyError> {
        NodePublicKey::from_bytes(bytes).map(Self)
    }

    /// The 32-byte encoding.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Whether the agent asked for exactly this, and still does at `now`.
    ///
    /// # Errors
    /// [`AskError`].
    pub fn check(
        &self,
        request: &AgentRequest<'_>,
        signature: Option<&AgentSignature>,
        now: UnixMillis,
    ) -> Result<(), AskError> {
        let AgentSignature { expires_at, signature } = signature.ok_or(AskError::Missing)?;
        // The signature first: of a request the agent did not make, nothing is worth saying.
        self.0.verify_text(&request.text(*expires_at), signature).map_err(|_| AskError::Signature)?;
        if now >= *expires_at {
            return Err(AskError::Expired);
        }
        if expires_at - now > MAX_ASK_MS { Err(AskError::TooFar) } else { Ok(()) }
    }
}

impl fmt::Display for AgentPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for AgentPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for AgentPublicKey {
    type Err = NodePublicKeyError;

    fn from_str(s: &str) -> Result<Self, NodePublicKeyError> {
        s.parse().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = 1_790_000_000_000;

    fn key(seed: u8) -> AgentKey {
        AgentKey::from_bytes(Zeroizing::new([seed; 32]))
    }

    struct Ids {
        cluster: ClusterId,
        wallet: WalletId,
    }

    fn ids() -> Ids {
        Ids { cluster: "acme".parse().unwrap(), wallet: "shopper".parse().unwrap() }
    }

    impl Ids {
        fn request(&self) -> AgentRequest<'_> {
            AgentRequest {
                cluster: &self.cluster,
                wallet: &self.wallet,
                payload_hash: B256::repeat_byte(0xab),
                idempotency_key: "order-17",
            }
        }
    }

    #[test]
    fn the_text_is_what_the_documentation_says() {
        let ids = ids();
        let text = format!(
            "quorate agent request v1\ncluster: acme\nwallet: shopper\npayload: 0x{}\nidempotency key: order-17\nexpires: \
             1790000000000\n",
            "ab".repeat(32)
        );
        assert_eq!(ids.request().text(NOW), text);
    }

    #[test]
    fn only_this_request_by_this_key_is_the_agents() {
        let (ids, key) = (ids(), key(1));
        let public = key.public();
        let request = ids.request();
        let signed = key.ask(&request, NOW + 1000);
        assert_eq!(public.check(&request, Some(&signed), NOW), Ok(()));
        assert_eq!(public.check(&request, None, NOW), Err(AskError::Missing));
        assert_eq!(
            super::tests::key(2).public().check(&request, Some(&signed), NOW),
            Err(AskError::Signature)
        );

        let (cluster, wallet) = ("other".parse().unwrap(), "other".parse().unwrap());
        let others = [
            AgentRequest { cluster: &cluster, ..request },
            AgentRequest { wallet: &wallet, ..request },
            AgentRequest { payload_hash: B256::repeat_byte(0xac), ..request },
            AgentRequest { idempotency_key: "order-18", ..request },
        ];
        for other in others {
            assert_eq!(public.check(&other, Some(&signed), NOW), Err(AskError::Signature), "{other:?}");
        }
        let longer = AgentSignature { expires_at: NOW + 2000, ..signed };
        assert_eq!(public.check(&request, Some(&longer), NOW), Err(AskError::Signature), "nor for longer");
    }

    #[test]
    fn a_request_is_the_agents_until_it_expires_and_not_for_ever() {
        let (ids, key) = (ids(), key(1));
        let ask = |expires_at| key.ask(&ids.request(), expires_at);
        let check = |expires_at, now| key.public().check(&ids.request(), Some(&ask(expires_at)), now);
        assert_eq!(check(NOW + 1, NOW), Ok(()));
        assert_eq!(check(NOW, NOW), Err(AskError::Expired));
        assert_eq!(check(NOW + MAX_ASK_MS, NOW), Ok(()));
        assert_eq!(check(NOW + MAX_ASK_MS + 1, NOW), Err(AskError::TooFar));
        assert_eq!(check(u64::MAX, NOW), Err(AskError::TooFar));
    }
}
