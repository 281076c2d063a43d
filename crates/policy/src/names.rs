//! What policies call chains and assets.

use quorate_intent::{Asset, AssetId, ChainId, token, token_by_symbol};

/// What the coin of any chain may be called.
const NATIVE: &str = "native";

const COINS: [(&str, &[&str]); 3] = [
    (
        "ETH",
        &[
            "arbitrum",
            "arbitrum-sepolia",
            "base",
            "base-sepolia",
            "ethereum",
            "optimism",
            "optimism-sepolia",
            "sepolia",
        ],
    ),
    ("POL", &["polygon", "polygon-amoy"]),
    ("AVAX", &["avalanche", "avalanche-fuji"]),
];

/// The ticker of the chain's own coin, where it is known.
pub(crate) fn coin(chain: ChainId) -> Option<&'static str> {
    let name = quorate_intent::chain_name(chain)?;
    COINS.iter().find(|(_, chains)| chains.contains(&name)).map(|(symbol, _)| *symbol)
}

/// The asset a policy calls `name` on `chain`: `native` or the coin's ticker, or the ticker of a pinned token. In capitals
/// as it is written everywhere: one name, one spelling.
pub(crate) fn asset(chain: ChainId, name: &str) -> Option<AssetId> {
    if name == NATIVE || coin(chain) == Some(name) {
        return Some(AssetId::native(chain));
    }
    token_by_symbol(chain, name).filter(|token| token.symbol == name).map(|token| token.asset())
}

/// The asset's ticker, or how it is named where it has none.
pub(crate) fn symbol(id: AssetId) -> String {
    match id.asset {
        Asset::Native => coin(id.chain).map_or_else(|| "native coin".to_owned(), str::to_owned),
        Asset::Token(address) => {
            token(id.chain, address).map_or_else(|| address.to_string(), |token| token.symbol.to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_intent::{TOKENS, chain_by_name};

    #[test]
    fn every_chain_named_here_exists_and_has_one_coin() {
        let chains: Vec<_> = COINS.iter().flat_map(|(_, chains)| chains.iter()).collect();
        for name in &chains {
            assert!(chain_by_name(name).is_some(), "{name}");
            assert_eq!(chains.iter().filter(|other| other == &name).count(), 1, "{name}");
        }
        // Every chain with a pinned token can be paid for by name.
        assert!(TOKENS.iter().all(|token| coin(token.chain).is_some()));
    }

    #[test]
    fn names_resolve_to_their_own_chain() {
        for token in &TOKENS {
            assert_eq!(asset(token.chain, "USDC"), Some(token.asset()));
            assert_eq!(asset(token.chain, "usdc"), None);
            assert_eq!(asset(token.chain, "native"), Some(AssetId::native(token.chain)));
            assert_eq!(symbol(token.asset()), "USDC");
        }
        assert_eq!(asset(8453, "ETH"), Some(AssetId::native(8453)));
        assert_eq!(asset(8453, "POL"), None);
        assert_eq!(asset(137, "POL"), Some(AssetId::native(137)));
        assert_eq!(asset(137, "ETH"), None);
        assert_eq!(symbol(AssetId::native(143)), "native coin");
    }
}
