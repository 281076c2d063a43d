//! What the policy of a wallet says that signs raw digests.

use schemars::JsonSchema;
use serde::Deserialize;

use super::present;

/// What each raw digest needs before it is signed.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawDigestDraft {
    /// Nothing; nothing, and people are told; a hold of `delay_s`, in which people may freeze it; or approvers.
    pub(crate) tier: TierDraft,
    /// How long the hold is, in seconds: 60 to 604800 (a week).
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64", range(min = 60, max = 604800))]
    pub(crate) delay_s: Option<u64>,
}

/// A tier by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TierDraft {
    Instant,
    Notify,
    Delay,
    Approval,
}
