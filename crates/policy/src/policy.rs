//! A policy that is consistent.

use std::collections::{BTreeMap, BTreeSet};

use quorate_conditions::Conditions;
use quorate_intent::{AssetId, ChainId};
use quorate_session::WalletTerms;
use quorate_types::{Address, ClusterId, U256, UnixMillis, WalletId};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::finding::Findings;
use crate::read;
use crate::{
    ActiveHours, Approvers, Call, Function, Merchants, PolicyError, SignInLine, TextLine, Tier, Tiers,
    TypedLine, Window,
};

/// The first field of every policy of this version.
pub const FORMAT: &str = "quorate/v1";

/// Someone who may be paid, or must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// What people call them.
    pub label: String,
    /// Only on these chains; `None`: on every chain.
    pub chains: Option<BTreeSet<ChainId>>,
}

/// The most a spender may be allowed to take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowance {
    /// What people call the spender.
    pub label: String,
    /// Base units.
    pub max: U256,
}

/// The most fee for one transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fee {
    /// Wei, in all.
    pub max: U256,
    /// Wei per gas, tip included.
    pub max_per_gas: Option<U256>,
    /// Gas.
    pub max_gas: Option<u64>,
}

/// Whom a limit counts for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Per {
    /// The wallet, whoever is paid.
    #[default]
    Wallet,
    /// Each recipient, or spender, apart.
    Recipient,
    /// The wallet's agent: all wallets that were created for it, together, whoever is paid.
    Agent,
}

impl Per {
    /// What follows a limit in words.
    pub(crate) const fn in_words(self) -> &'static str {
        match self {
            Self::Wallet => "",
            Self::Recipient => " to each recipient",
            Self::Agent => " by all wallets of its agent",
        }
    }
}

/// The most of an asset over time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cumulative {
    /// Which asset.
    pub asset: AssetId,
    /// Base units.
    pub max: U256,
    /// Whether fees count too; of a chain's own coin only.
    pub fees: bool,
    /// The time it is counted over.
    pub window: Window,
    /// Whom it counts for.
    pub per: Per,
}

/// The most signatures over time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Velocity {
    /// How many.
    pub max: u64,
    /// The time they are counted over.
    pub window: Window,
    /// Whom they count for.
    pub per: Per,
    /// Whether denied attempts count too.
    pub denied: bool,
}

/// What one wallet may sign. Whether anyone signed the policy itself is another matter: see
/// [`SignedPolicy`](crate::SignedPolicy).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub(crate) cluster: ClusterId,
    pub(crate) wallet: WalletId,
    pub(crate) version: u64,
    pub(crate) chains: BTreeSet<ChainId>,
    pub(crate) per_transaction: BTreeMap<AssetId, U256>,
    pub(crate) max_fee: BTreeMap<ChainId, Fee>,
    pub(crate) recipients: BTreeMap<Address, Recipient>,
    pub(crate) max_authorization_lifetime_s: Option<u64>,
    pub(crate) allowances: BTreeMap<(AssetId, Address), Allowance>,
    pub(crate) calls: BTreeMap<Function, Vec<Call>>,
    pub(crate) typed_data: Vec<TypedLine>,
    pub(crate) sign_in: Vec<SignInLine>,
    pub(crate) texts: Vec<TextLine>,
    pub(crate) raw_digest: Option<Tier>,
    pub(crate) merchants: Merchants,
    pub(crate) conditions: Option<Conditions>,
    pub(crate) blocked: BTreeMap<Address, Recipient>,
    pub(crate) cumulative: Vec<Cumulative>,
    pub(crate) velocity: Vec<Velocity>,
    pub(crate) tiers: Vec<Tiers>,
    pub(crate) approval: Option<Approvers>,
    pub(crate) active_hours: Option<ActiveHours>,
    pub(crate) not_before: Option<UnixMillis>,
    pub(crate) not_after: Option<UnixMillis>,
}

/// Highest max of a `velocity` line that counts denied attempts, and so the most of them that need to be kept of a wallet.
pub const MAX_DENIED: u64 = 1024;

impl Policy {
    /// Whether denied attempts are to be counted: some line counts them.
    pub fn counts_denied(&self) -> bool {
        self.velocity.iter().any(|limit| limit.denied)
    }

    /// Reads a policy and checks all of it.
    ///
    /// # Errors
    /// [`PolicyError`], naming the first field that cannot be right; [`lint`](crate::lint) lists them all.
    pub fn parse(body: &[u8]) -> Result<Self, PolicyError> {
        let mut findings = Findings::default();
        let policy = read::draft(body, &mut findings).and_then(|draft| read::policy(&draft, &mut findings));
        match (policy, findings.first_error()) {
            (Some(policy), None) => Ok(policy),
            (_, Some(error)) if error.path.is_empty() => Err(PolicyError::Yaml(error.message.clone())),
            (_, Some(error)) => {
                Err(PolicyError::Invalid { path: error.path.clone(), reason: error.message.clone() })
            }
            (None, None) => Err(PolicyError::Yaml("unreadable".to_owned())),
        }
    }

    /// Whether it is one for a wallet that was created so: raw digests are signed by wallets that sign nothing else.
    ///
    /// # Errors
    /// [`PolicyError::RawDigest`].
    pub const fn suits(&self, wallet: &WalletTerms) -> Result<(), PolicyError> {
        match (wallet.raw_digest, self.raw_digest) {
            (true, None) => {
                Err(PolicyError::RawDigest("missing: the wallet signs raw digests and nothing else"))
            }
            (false, Some(_)) => Err(PolicyError::RawDigest("the wallet was not created to sign raw digests")),
            _ => Ok(()),
        }
    }

    /// The cluster it is for.
    pub const fn cluster(&self) -> &ClusterId {
        &self.cluster
    }

    /// The wallet it is for.
    pub const fn wallet(&self) -> &WalletId {
        &self.wallet
    }

    /// 1 or more, higher with each change.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// Chains the wallet may act on.
    pub const fn chains(&self) -> &BTreeSet<ChainId> {
        &self.chains
    }

    /// The most one signature may move, in base units per asset.
    pub const fn per_transaction(&self) -> &BTreeMap<AssetId, U256> {
        &self.per_transaction
    }

    /// The most one transaction may burn as fee, per chain.
    pub const fn max_fee(&self) -> &BTreeMap<ChainId, Fee> {
        &self.max_fee
    }

    /// Who may be paid.
    pub const fn recipients(&self) -> &BTreeMap<Address, Recipient> {
        &self.recipients
    }

    /// For how many seconds an authorization may stay usable; `None`: none is signed.
    pub const fn max_authorization_lifetime_s(&self) -> Option<u64> {
        self.max_authorization_lifetime_s
    }

    /// The most each spender may be allowed of each token.
    pub const fn allowances(&self) -> &BTreeMap<(AssetId, Address), Allowance> {
        &self.allowances
    }

    /// Functions that may be called, by chain, contract and selector.
    pub const fn calls(&self) -> &BTreeMap<Function, Vec<Call>> {
        &self.calls
    }

    /// Typed data, other than payments and permits, that may be signed.
    pub fn typed_data(&self) -> &[TypedLine] {
        &self.typed_data
    }

    /// Sites that may be signed in to.
    pub fn sign_in(&self) -> &[SignInLine] {
        &self.sign_in
    }

    /// Other texts that may be signed.
    pub fn texts(&self) -> &[TextLine] {
        &self.texts
    }

    /// What each raw digest needs before it is signed; none: none is signed. With it nothing else is.
    pub const fn raw_digest(&self) -> Option<Tier> {
        self.raw_digest
    }

    /// Conditions over what the gateway says.
    pub const fn conditions(&self) -> Option<&Conditions> {
        self.conditions.as_ref()
    }

    /// What the gateway may say of merchants.
    pub const fn merchants(&self) -> &Merchants {
        &self.merchants
    }

    /// Who must get nothing, whatever else allows it.
    pub const fn blocked(&self) -> &BTreeMap<Address, Recipient> {
        &self.blocked
    }

    /// The most of assets over time.
    pub fn cumulative(&self) -> &[Cumulative] {
        &self.cumulative
    }

    /// The most signatures over time.
    pub fn velocity(&self) -> &[Velocity] {
        &self.velocity
    }

    /// What each asset needs by amount; none: everything is signed at once.
    pub fn tiers(&self) -> &[Tiers] {
        &self.tiers
    }

    /// Who approves what is above the tiers.
    pub const fn approval(&self) -> Option<&Approvers> {
        self.approval.as_ref()
    }

    /// When signatures are allowed; `None`: always.
    pub const fn active_hours(&self) -> Option<&ActiveHours> {
        self.active_hours.as_ref()
    }

    /// The first millisecond at which anything is allowed.
    pub const fn not_before(&self) -> Option<UnixMillis> {
        self.not_before
    }

    /// The last millisecond at which anything is allowed.
    pub const fn not_after(&self) -> Option<UnixMillis> {
        self.not_after
    }
}
