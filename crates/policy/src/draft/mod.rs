//! A policy as it is written, before anyone has checked it. Its JSON schema is made from these types.

mod calls;
mod raw_digest;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use crate::Per;

pub(crate) use calls::{CallDraft, DomainDraft, MessagesDraft, SignInDraft, TextDraft, TypedDataDraft};
pub(crate) use raw_digest::{RawDigestDraft, TierDraft};

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

/// What is allowed, and the limits to it. An absent or empty list of what is allowed allows nothing; an absent limit
/// limits nothing.
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
    /// For how many seconds from now an EIP-3009 authorization or EIP-2612 permit may stay usable. Without it none is signed.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64")]
    pub(crate) max_authorization_lifetime_s: Option<u64>,
    /// Who may be allowed to take tokens later, by approve or permit, and how many. Without a line nobody.
    #[serde(default)]
    pub(crate) allowances: Vec<AllowanceDraft>,
    /// Functions of contracts that may be called. A call without a line is denied.
    #[serde(default)]
    pub(crate) calls: Vec<CallDraft>,
    /// Typed data, other than payments and permits, that may be signed.
    #[serde(default)]
    pub(crate) typed_data: Vec<TypedDataDraft>,
    /// Personal messages that may be signed.
    #[serde(default)]
    pub(crate) messages: MessagesDraft,
    /// How raw digests are signed: only by a wallet created for them, and beside nothing that is about money.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RawDigestDraft")]
    pub(crate) raw_digest: Option<RawDigestDraft>,
    /// Whom the gateway may say a payment is for. Asked by the coordinator only: it can deny, and allows nothing.
    #[serde(default)]
    pub(crate) merchants: MerchantsDraft,
    /// Conditions over what the gateway says, in Cedar. Asked by the coordinator only: they can deny, and allow nothing.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ConditionsDraft")]
    pub(crate) conditions: Option<ConditionsDraft>,
    /// Who must get nothing, whatever else allows it.
    #[serde(default)]
    pub(crate) blocked: Vec<RecipientDraft>,
    /// The most of an asset over time. Several lines of one asset all hold.
    #[serde(default)]
    pub(crate) cumulative: Vec<CumulativeDraft>,
    /// The most signatures over time. All lines hold.
    #[serde(default)]
    pub(crate) velocity: Vec<VelocityDraft>,
    /// By amount: signed at once, signed and told, held back, or approved by people. An asset without a line is signed at
    /// once.
    #[serde(default)]
    pub(crate) tiers: Vec<TiersDraft>,
    /// Who approves what is above the tiers.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ApproversDraft")]
    pub(crate) approval: Option<ApproversDraft>,
    /// When signatures are allowed; absent: always.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ActiveHoursDraft")]
    pub(crate) active_hours: Option<ActiveHoursDraft>,
    /// The first moment at which anything is allowed, such as 2026-01-31T09:00:00Z.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) not_before: Option<String>,
    /// The last moment at which anything is allowed.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) not_after: Option<String>,
}

/// The most a spender may be allowed of a token. It counts in full when it is signed.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AllowanceDraft {
    /// USDC.
    pub(crate) asset: String,
    /// The chain's name.
    pub(crate) chain: String,
    /// The address that may take it, with its EIP-55 checksum.
    #[schemars(regex(pattern = "^0x[0-9a-fA-F]{40}$"))]
    pub(crate) spender: String,
    /// What people call it.
    #[schemars(length(min = 1, max = 64))]
    pub(crate) label: String,
    /// Whole coins as an exact decimal number in quotes, such as "25.00". Unlimited allowances are never signed.
    #[schemars(regex(pattern = r"^(0|[1-9][0-9]*)(\.[0-9]+)?$"))]
    pub(crate) max: String,
}

/// Conditions over a request's metadata. Nobody can check what the gateway says there.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConditionsDraft {
    /// The metadata that the conditions read. All of them must be said.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub(crate) metadata: Vec<MetadataDraft>,
    /// What must hold, all of it.
    #[schemars(length(min = 1, max = 16))]
    pub(crate) require: Vec<ConditionDraft>,
}

/// One of the metadata, and what it is read as.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MetadataDraft {
    /// Its key.
    #[schemars(regex(pattern = "^[a-z0-9_]{1,64}$"))]
    pub(crate) name: String,
    /// Its type: what is said must be of it.
    #[serde(rename = "type")]
    pub(crate) kind: KindDraft,
}

/// What metadata are read as: true or false; a number of at most four places, exact; an integer of 64 bits; any text.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum KindDraft {
    Boolean,
    Decimal,
    Integer,
    Text,
}

/// One condition.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConditionDraft {
    /// What people call it. A denial names it.
    #[schemars(length(min = 1, max = 64))]
    pub(crate) label: String,
    /// An expression in Cedar about context, such as context.confidence.greaterThan(decimal("0.8")).
    #[schemars(length(min = 1, max = 512))]
    pub(crate) cedar: String,
}

/// What the gateway says of a merchant, in a request's metadata. Nobody can check it.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MerchantsDraft {
    /// Hosts that merchant_domain may name: api.example.com, or *.example.com for all below it. Where there are any, it
    /// must name one.
    #[serde(default)]
    pub(crate) domains: Vec<String>,
    /// Categories that merchant_category must not name, in small letters; * stands for anything. Where there are any, it
    /// must name one that is not blocked.
    #[serde(default)]
    pub(crate) blocked_categories: Vec<String>,
}

/// The most of one asset over time.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CumulativeDraft {
    /// USDC, or the chain's own coin: native, or its ticker such as ETH.
    pub(crate) asset: String,
    /// The chain's name.
    pub(crate) chain: String,
    /// Whole coins as an exact decimal number in quotes, such as "25.00".
    #[schemars(regex(pattern = r"^(0|[1-9][0-9]*)(\.[0-9]+)?$"))]
    pub(crate) max: String,
    /// Whether fees count too, in full when they are signed. Only for a chain's own coin.
    #[serde(default)]
    pub(crate) fees: bool,
    /// The time it is counted over.
    pub(crate) window: WindowDraft,
    /// Whether it is counted for the wallet, apart for each recipient, or for all wallets of the wallet's agent together.
    #[serde(default)]
    pub(crate) per: Per,
}

/// One asset's tiers: up to which amount of one request each reaches. What is above the last needs approval.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TiersDraft {
    /// USDC, or the chain's own coin: native, or its ticker such as ETH.
    pub(crate) asset: String,
    /// The chain's name.
    pub(crate) chain: String,
    /// Up to here it is signed at once.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) instant: Option<String>,
    /// Up to here it is signed, and people are told.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) notify: Option<String>,
    /// Up to here it is signed after a hold of `delay_s`, in which people may freeze it.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) delay: Option<String>,
    /// How long the hold is, in seconds: 60 to 604800 (a week).
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64", range(min = 60, max = 604800))]
    pub(crate) delay_s: Option<u64>,
}

/// Who approves, and how many of them.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApproversDraft {
    /// How many must sign.
    #[schemars(range(min = 1, max = 16))]
    pub(crate) threshold: u64,
    /// Only these approvers, by their names in the manifest; absent or empty: all of the manifest's.
    #[serde(default)]
    pub(crate) approvers: Vec<String>,
    /// For how many seconds they are asked: 60 to 2678400 (31 days); absent: a day.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64", range(min = 60, max = 2678400))]
    pub(crate) timeout_s: Option<u64>,
}

/// The most signatures over time.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VelocityDraft {
    /// How many signatures.
    pub(crate) max: u64,
    /// The time they are counted over.
    pub(crate) window: WindowDraft,
    /// Whether they are counted for the wallet, apart for each recipient, or for all wallets of the wallet's agent together.
    #[serde(default)]
    pub(crate) per: Per,
    /// Whether denied attempts count too: not for each recipient, and with a max of 1024 at most.
    #[serde(default)]
    pub(crate) denied: bool,
}

/// A span of time: `rolling_s`, or `calendar` with its `timezone`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WindowDraft {
    /// The last so many seconds: 60 to 2678400 (31 days).
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64", range(min = 60, max = 2678400))]
    pub(crate) rolling_s: Option<u64>,
    /// The present hour, day, week (from Monday) or month of a wall clock.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PeriodDraft")]
    pub(crate) calendar: Option<PeriodDraft>,
    /// Whose wall clock: an IANA name such as Europe/Berlin, or UTC.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub(crate) timezone: Option<String>,
}

/// What a calendar divides time into.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PeriodDraft {
    Hour,
    Day,
    Week,
    Month,
}

/// Hours of the week.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActiveHoursDraft {
    /// Whose wall clock: an IANA name such as Europe/Berlin, or UTC.
    pub(crate) timezone: String,
    /// When signatures are allowed. None: never.
    pub(crate) spans: Vec<SpanDraft>,
    /// Days on which they are not, such as 2026-12-25.
    #[serde(default)]
    pub(crate) holidays: Vec<String>,
}

/// The same hours on some days of the week.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SpanDraft {
    /// On these days.
    pub(crate) days: Vec<DayDraft>,
    /// From this minute on, such as "08:00".
    #[schemars(regex(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    pub(crate) from: String,
    /// Up to this minute, without it, such as "18:00"; "24:00" is the end of the day. A span over midnight is two.
    #[schemars(regex(pattern = "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"))]
    pub(crate) to: String,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DayDraft {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
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
    /// The highest price per gas, tip included, in gwei as an exact decimal number in quotes, such as "2.5".
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", regex(pattern = r"^(0|[1-9][0-9]*)(\.[0-9]+)?$"))]
    pub(crate) max_per_gas_gwei: Option<String>,
    /// The most gas.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64")]
    pub(crate) max_gas: Option<u64>,
}

/// Someone who may be paid, or must not be.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecipientDraft {
    /// Their address, with its EIP-55 checksum.
    #[schemars(regex(pattern = "^0x[0-9a-fA-F]{40}$"))]
    pub(crate) address: String,
    /// What people call them.
    #[schemars(length(min = 1, max = 64))]
    pub(crate) label: String,
    /// Only on these chains; absent: on every chain.
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
