//! What an order is about.

use std::fmt;
use std::str::FromStr;

use quorate_intent::{Action, Asset, AssetId, ChainId, Intent, chain_by_name};
use quorate_types::{Address, AgentId, WalletId};
use serde::{Deserialize, Serialize};

/// What an order freezes. Written `all`, `wallet/<id>`, `agent/<id>`, `asset/<asset id>` or `chain/<EIP-155 id>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Scope {
    /// Every signature of the cluster.
    All,
    /// One wallet.
    Wallet(WalletId),
    /// Every wallet of one agent.
    Agent(AgentId),
    /// Whatever moves this asset, lets others move it, or calls its contract.
    Asset(AssetId),
    /// Whatever can be used on this chain.
    Chain(ChainId),
}

/// The text names no scope.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct ScopeError(String);

impl Scope {
    /// From an order's two fields. A chain may be called by its name.
    ///
    /// # Errors
    /// [`ScopeError`] where the kind is unknown or the target is none of that kind.
    pub fn of(kind: &str, target: Option<&str>) -> Result<Self, ScopeError> {
        let wrong = |error: &dyn fmt::Display| ScopeError(format!("{kind}: {error}"));
        match (kind, target) {
            ("all", None) => Ok(Self::All),
            ("all", Some(_)) => Err(ScopeError("all: takes no target".to_owned())),
            ("wallet", Some(id)) => id.parse().map(Self::Wallet).map_err(|error| wrong(&error)),
            ("agent", Some(id)) => id.parse().map(Self::Agent).map_err(|error| wrong(&error)),
            ("asset", Some(id)) => id.parse().map(Self::Asset).map_err(|error| wrong(&error)),
            ("chain", Some(id)) => chain(id).map(Self::Chain),
            ("wallet" | "agent" | "asset" | "chain", None) => {
                Err(ScopeError(format!("{kind}: its target is missing")))
            }
            _ => Err(ScopeError("expected all, wallet, agent, asset or chain".to_owned())),
        }
    }

    /// `all`, `wallet`, `agent`, `asset` or `chain`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Wallet(_) => "wallet",
            Self::Agent(_) => "agent",
            Self::Asset(_) => "asset",
            Self::Chain(_) => "chain",
        }
    }

    /// Which wallet, agent, asset or chain; none for `all`.
    pub fn target(&self) -> Option<String> {
        match self {
            Self::All => None,
            Self::Wallet(id) => Some(id.to_string()),
            Self::Agent(id) => Some(id.to_string()),
            Self::Asset(id) => Some(id.to_string()),
            Self::Chain(id) => Some(id.to_string()),
        }
    }

    /// Whether signing `intent` with this wallet of this agent is within the scope. Where an intent does not say on
    /// which chain it can be used, it can be used on each.
    pub fn covers(&self, wallet: &WalletId, agent: &AgentId, intent: &Intent) -> bool {
        match self {
            Self::All => true,
            Self::Wallet(id) => id == wallet,
            Self::Agent(id) => id == agent,
            Self::Chain(id) => on_chain(intent, *id),
            Self::Asset(id) => touches(intent, id),
        }
    }
}

fn chain(text: &str) -> Result<ChainId, ScopeError> {
    let number = text.parse::<ChainId>().ok().filter(|id| *id > 0 && id.to_string() == text);
    number
        .or_else(|| chain_by_name(text))
        .ok_or_else(|| ScopeError(format!("chain: {text} is neither a known name nor an EIP-155 id")))
}

fn on_chain(intent: &Intent, chain: ChainId) -> bool {
    match (intent.chain, &intent.action) {
        (Some(on), _) => on == chain,
        // A message is for whoever reads it, and for no chain.
        (None, Action::PersonalMessage { .. }) => false,
        (None, _) => true,
    }
}

fn touches(intent: &Intent, asset: &AssetId) -> bool {
    if !on_chain(intent, asset.chain) {
        return false;
    }
    // Nobody can say that it moves none of it.
    if matches!(intent.action, Action::RawDigest { .. }) {
        return true;
    }
    // Charges that cannot be told may be of any asset.
    let Ok(charges) = intent.charges() else { return true };
    if charges.iter().any(|charge| charge.asset == *asset) {
        return true;
    }
    match asset.asset {
        Asset::Native => false,
        Asset::Token(token) => contract(intent).is_none_or(|called| called == token),
    }
}

/// The contract an intent addresses; `None` where it may move tokens of any other, too: a contract takes what it was allowed
/// to, and typed data may allow it. What is known in full is in its charges.
fn contract(intent: &Intent) -> Option<Address> {
    match &intent.action {
        Action::ContractCall { .. } | Action::TypedData(_) | Action::RawDigest { .. } => None,
        Action::NativeTransfer { recipient } => Some(*recipient),
        Action::TokenTransfer { token, .. }
        | Action::TokenTransferFrom { token, .. }
        | Action::TokenApprove { token, .. }
        | Action::TokenPermit { token, .. } => Some(*token),
        Action::SignIn(_) | Action::PersonalMessage { .. } => Some(Address::ZERO),
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())?;
        match self.target() {
            Some(target) => write!(f, "/{target}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Scope {
    type Err = ScopeError;
    fn from_str(text: &str) -> Result<Self, ScopeError> {
        match text.split_once('/') {
            Some((kind, target)) => Self::of(kind, Some(target)),
            None => Self::of(text, None),
        }
    }
}

impl TryFrom<String> for Scope {
    type Error = ScopeError;
    fn try_from(text: String) -> Result<Self, ScopeError> {
        text.parse()
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> String {
        scope.to_string()
    }
}
