//! Amounts as people write them, exactly.

use quorate_intent::{Asset, AssetId, ChainId, chain_by_name, decimals, token_by_symbol};
use quorate_types::U256;

use crate::refusal::Refusal;

/// Reads a decimal number of whole units as base units: `1.50` with 6 decimals is 1500000.
pub(crate) fn parse(text: &str, decimals: u8) -> Result<U256, Refusal> {
    let wrong = |reason: String| Refusal::invalid(reason).field("--amount");
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) if digits(whole) && digits(fraction) => (whole, fraction),
        None if digits(text) => (text, ""),
        _ => return Err(wrong(format!("{text:?} is not a decimal number such as 1.50"))),
    };
    let places = usize::from(decimals);
    if fraction.len() > places {
        return Err(wrong(format!("{text} has {} decimals, at most {places} are allowed", fraction.len())));
    }
    let base_units = format!("{whole}{fraction:0<places$}");
    base_units.parse().map_err(|_| wrong(format!("{text} is larger than any balance")))
}

/// Reads a price per unit of gas: wei, or a number followed by `gwei`.
pub(crate) fn gas_price(text: &str) -> Result<u128, String> {
    let wei = match text.strip_suffix("gwei") {
        Some(gwei) => parse(gwei.trim_end(), 9).map_err(|refusal| refusal.reason)?,
        None => parse(text, 0).map_err(|refusal| refusal.reason)?,
    };
    wei.try_into().map_err(|_| "larger than any gas price".to_owned())
}

/// A chain by the name policies use, or by its number.
pub(crate) fn chain(text: &str) -> Result<ChainId, String> {
    chain_by_name(text).or_else(|| text.parse().ok()).ok_or_else(|| {
        "not a known chain: use a name such as base-sepolia, or the EIP-155 chain id".to_owned()
    })
}

/// The asset called `symbol` on `chain`, and its decimals: `native`, or a token of the pinned registry.
pub(crate) fn asset(chain: ChainId, symbol: &str) -> Result<(AssetId, u8), Refusal> {
    let id = if symbol.eq_ignore_ascii_case("native") {
        Some(AssetId::native(chain))
    } else {
        token_by_symbol(chain, symbol).map(|token| token.asset())
    };
    let known = id.and_then(|id| decimals(id).map(|decimals| (id, decimals)));
    known.ok_or_else(|| {
        Refusal::invalid(format!("no pinned token {symbol:?} on chain {chain}"))
            .field("--asset")
            .next("USDC on the chains of the registry, or native for the chain's own coin")
    })
}

/// The token contract of an asset.
pub(crate) const fn contract(asset: AssetId) -> Option<quorate_types::Address> {
    match asset.asset {
        Asset::Native => None,
        Asset::Token(address) => Some(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact() {
        for (text, units) in
            [("1.50", 1_500_000), ("0", 0), ("25", 25_000_000), ("0.000001", 1), ("007.1", 7_100_000)]
        {
            assert_eq!(parse(text, 6).unwrap(), U256::from(units), "{text}");
        }
        for bad in ["", ".", "1.", ".5", "-1", "+1", "1e3", "1,5", "0x1", "1.5.0", " 1", "1.0000001", "١"] {
            assert!(parse(bad, 6).is_err(), "{bad}");
        }
        assert!(parse(&"9".repeat(78), 0).is_err());
    }

    #[test]
    fn gas_prices_in_wei_and_gwei() {
        assert_eq!(gas_price("7"), Ok(7));
        assert_eq!(gas_price("1.5gwei"), Ok(1_500_000_000));
        assert_eq!(gas_price("2 gwei"), Ok(2_000_000_000));
        assert!(gas_price("1.5").is_err());
        assert!(gas_price("gwei").is_err());
    }

    #[test]
    fn chains_and_assets_by_name() {
        assert_eq!(chain("base-sepolia"), Ok(84532));
        assert_eq!(chain("8453"), Ok(8453));
        assert!(chain("basee").is_err());
        assert_eq!(asset(84532, "usdc").unwrap().1, 6);
        assert_eq!(asset(1, "native").unwrap(), (AssetId::native(1), 18));
        assert_eq!(asset(84532, "DOGE").unwrap_err().field.as_deref(), Some("--asset"));
    }
}
