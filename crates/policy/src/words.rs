//! How limits and requests are told to people.

use quorate_intent::{AssetId, ChainId, chain_name, decimals};
use quorate_types::{U256, UnixMillis};

use crate::{Tier, amount, names};

/// `25.5 USDC`, exactly; base units where the asset is not known.
pub(crate) fn quantity(asset: AssetId, amount: U256) -> String {
    match decimals(asset) {
        Some(places) => format!("{} {}", amount::print(amount, places), names::symbol(asset)),
        None => format!("{amount} base units of {}", names::symbol(asset)),
    }
}

/// `USDC on base`.
pub(crate) fn asset(asset: AssetId) -> String {
    format!("{} on {}", names::symbol(asset), chain(asset.chain))
}

/// `base`, or `chain 12345` where it has no name.
pub(crate) fn chain(chain: ChainId) -> String {
    chain_name(chain).map_or_else(|| format!("chain {chain}"), str::to_owned)
}

/// Names of chains, in the order of their ids.
pub(crate) fn chains<'a>(chains: impl IntoIterator<Item = &'a ChainId>) -> String {
    let names: Vec<String> = chains.into_iter().map(|id| chain(*id)).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// A price per gas, exactly.
pub(crate) fn gwei(price: U256) -> String {
    format!("{} gwei", amount::print(price, amount::GWEI_PLACES))
}

/// An amount of gas.
pub(crate) fn gas(amount: U256) -> String {
    format!("{amount} gas")
}

/// `instant`, or `delay of 60 s`.
pub(crate) fn tier(tier: Tier) -> String {
    match tier {
        Tier::Delay(length) => format!("{} of {length} s", tier.as_str()),
        _ => tier.as_str().to_owned(),
    }
}

/// Seconds, exactly, with the fraction of one where there is a fraction.
pub(crate) fn seconds(millis: u128) -> String {
    match millis % 1000 {
        0 => format!("{} s", millis / 1000),
        rest => format!("{}.{rest:03} s", millis / 1000),
    }
}

/// `2026-11-21T15:04:05Z`, with the fraction of a second where there is one.
pub(crate) fn instant(at: UnixMillis) -> String {
    let instant = i64::try_from(at).ok().and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
    instant.map_or_else(|| format!("{at} Unix milliseconds"), |instant| instant.to_string())
}
