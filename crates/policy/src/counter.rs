//! How far a limit over time is used up, before and after one request.

use quorate_types::{Address, AgentId, U256};
use serde::{Serialize, Serializer};

/// One limit over time, as it was weighed for a request that passed it. Its fields are what a log keeps of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Counter {
    /// [`codes::CUMULATIVE`](crate::codes::CUMULATIVE) or [`codes::VELOCITY`](crate::codes::VELOCITY).
    pub rule: &'static str,
    /// What is counted: base units of an asset, as `AssetId` is written, `with fees` where they count too; or `signatures`,
    /// or `signatures and denied attempts`.
    pub counts: String,
    /// Whose, where each recipient is counted apart.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "name")]
    pub recipient: Option<Address>,
    /// Whose wallets are counted together, where they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
    /// The time it is counted over, in words.
    pub window: String,
    /// The most there may be.
    #[serde(serialize_with = "decimal")]
    pub limit: U256,
    /// What counted before, without what this very request, or another that can only take its place, was counted for.
    #[serde(serialize_with = "decimal")]
    pub before: U256,
    /// What counts with this request.
    #[serde(serialize_with = "decimal")]
    pub after: U256,
}

impl Counter {
    /// How many are logged of one request. At most 500 bytes each, beside all else that an entry of the log holds.
    pub const MAX_LOGGED: usize = 64;
}

/// With the EIP-55 checksum.
fn name<S: Serializer>(whose: &Option<Address>, serializer: S) -> Result<S::Ok, S::Error> {
    whose.map(|address| address.to_string()).serialize(serializer)
}

fn decimal<S: Serializer>(amount: &U256, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(amount)
}
