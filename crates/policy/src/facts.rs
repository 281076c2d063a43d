//! What is decided about.

use std::collections::BTreeMap;

use quorate_intent::Intent;
use quorate_session::{AgentPublicKey, AgentRequest, AgentSignature, AskError};
use quorate_types::{Address, AgentId, UnixMillis, WalletId};

/// One request, as this process itself decoded it.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The wallet that is asked to sign.
    pub wallet: &'a WalletId,
    /// The agent it was created for, as this process has it on record.
    pub agent: &'a AgentId,
    /// Its address.
    pub address: Address,
    /// What the payload would do.
    pub intent: &'a Intent,
    /// Now, in milliseconds since the Unix epoch, by this process's clock.
    pub now: UnixMillis,
    /// Whether the wallet was created to sign raw digests, and nothing else.
    pub raw_digest: bool,
    /// Whose word the request is.
    pub asked: Asked,
    /// The names of the approvers who said yes to just this, their signatures verified.
    pub approved_by: &'a [String],
    /// Since when this very payload has been on hold, in Unix milliseconds, by the ledger of whoever asks.
    pub held_since: Option<UnixMillis>,
    /// What the gateway says about it, which nobody can check; `None` in a process that is not told, as a node. Rules about
    /// it can only deny.
    pub metadata: Option<&'a BTreeMap<String, String>>,
}

impl<'a> Facts<'a> {
    /// A request to an ordinary wallet, on the gateway's word, which nobody approved and which is not on hold.
    pub const fn of(
        wallet: &'a WalletId,
        agent: &'a AgentId,
        address: Address,
        intent: &'a Intent,
        now: UnixMillis,
    ) -> Self {
        let (raw_digest, asked, approved_by, held_since, metadata) = (false, Asked::Gateway, &[], None, None);
        Self { wallet, agent, address, intent, now, raw_digest, asked, approved_by, held_since, metadata }
    }
}

/// Whose word a request is. What a wallet takes is decided at its creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// The gateway's, which the wallet takes.
    Gateway,
    /// The agent's own: it signed just this.
    Agent,
    /// The wallet takes its agent's signature only, and that is not there.
    Nobody(AskError),
}

impl Asked {
    /// Checks `signature` where the wallet has an agent's key. Where it has none, the gateway's word is enough.
    pub fn check(
        key: Option<&AgentPublicKey>,
        request: &AgentRequest<'_>,
        signature: Option<&AgentSignature>,
        now: UnixMillis,
    ) -> Self {
        let Some(key) = key else { return Self::Gateway };
        key.check(request, signature, now).map_or_else(Self::Nobody, |()| Self::Agent)
    }
}
