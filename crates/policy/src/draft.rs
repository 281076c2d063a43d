//! A policy as it is written, before anyone has checked it. Its JSON schema is made from these types.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

/// What one wallet may sign. Whatever no line allows is denied.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Quorate policy")]
pub(crate) struct PolicyDraft {
    /// The format: always quorate/v1.
    #[schemars(regex(pattern = "^quorate/v1$"))]
    pub(crate) policy: String,
    /// The cluster the policy is for. Every machine of another cluster refuses it.
    #[schemars(regex(pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"))]
    pub(crate) cluster: String,
    /// The wallet the policy is for.
    #[schemars(regex(pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"))]
    pub(crate) wallet: String,
    /// 1 or more, higher with each change.
    #[schemars(range(min = 1))]
    pub(crate) version: u64,
    /// What is allowed.
    pub(crate) rules: RulesDraft,
}

/// What is allowed. An absent or empty list allows nothing.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RulesDraft {
    /// Chains the wallet may act on, by name, such as base-sepolia.
    #[serde(default)]
    pub(crate) chains: Vec<String>,
    /// The most one transaction or authorization may move, per asset. An asset without a line may not move.
    #[serde(default)]
    pub(crate) per_transaction: Vec<CapDraft>,
    /// The most one transaction may burn as fee, per chain. A chain without a line takes no transactions.
    #[serde(default)]
    pub(crate) max_fee: Vec<FeeDraft>,
    /// Who may be paid.
    #[serde(default)]
    pub(crate) recipients: Vec<RecipientDraft>,
    /// For how many seconds from now an EIP-3009 authorization may stay usable. Without it none is signed.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64")]
    pub(crate) max_authorization_lifetime_s: Option<u64>,
}

/// The most of one asset.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CapDraft {
    /// USDC, or the chain's own coin: native, or its ticker such as ETH.
    pub(crate) asset: String,
    /// The chain's name.
    pub(crate) chain: String,
    /// Whole coins as an exact decimal number in quotes, such as "25.00".
    #[schemars(regex(pattern = r"^(0|[1-9][0-9]*)(\.[0-9]+)?$"))]
    pub(crate) max: String,
}

/// The most fee on one chain.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FeeDraft {
    /// The chain's name.
    pub(crate) chain: String,
    /// Whole coins of the chain as an exact decimal number in quotes, such as "0.002".
    #[schemars(regex(pattern = r"^(0|[1-9][0-9]*)(\.[0-9]+)?$"))]
    pub(crate) max: String,
}

/// Someone who may be paid.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecipientDraft {
    /// Their address, with its EIP-55 checksum.
    #[schemars(regex(pattern = "^0x[0-9a-fA-F]{40}$"))]
    pub(crate) address: String,
    /// What people call them.
    #[schemars(length(min = 1, max = 64))]
    pub(crate) label: String,
    /// Only on these chains; absent: on every chain the policy allows.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>")]
    pub(crate) chains: Option<Vec<String>>,
}

/// A field that is written must have a value: `chains:` with nothing behind it would otherwise mean every chain.
fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}
