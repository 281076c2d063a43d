//! Names of chains, for policy files and summaries. The id is what is signed; a name is only a way to write it.

/// An EIP-155 chain id.
pub type ChainId = u64;

/// The network names of x402 v1, and the four it lacks of the chains in the token registry.
const CHAINS: [(&str, ChainId); 25] = [
    ("abstract", 2741),
    ("abstract-testnet", 11124),
    ("arbitrum", 42161),
    ("arbitrum-sepolia", 421614),
    ("avalanche", 43114),
    ("avalanche-fuji", 43113),
    ("base", 8453),
    ("base-sepolia", 84532),
    ("educhain", 41923),
    ("ethereum", 1),
    ("iotex", 4689),
    ("megaeth", 4326),
    ("monad", 143),
    ("optimism", 10),
    ("optimism-sepolia", 11155420),
    ("peaq", 3338),
    ("polygon", 137),
    ("polygon-amoy", 80002),
    ("sei", 1329),
    ("sei-testnet", 1328),
    ("sepolia", 11155111),
    ("skale-base-sepolia", 324705682),
    ("stable", 988),
    ("stable-testnet", 2201),
    ("story", 1514),
];

/// The id of the chain called `name`, for example 8453 for `base`.
pub fn chain_by_name(name: &str) -> Option<ChainId> {
    CHAINS.iter().find(|(known, _)| *known == name).map(|(_, id)| *id)
}

/// The name of chain `id`, where it has one.
pub fn chain_name(id: ChainId) -> Option<&'static str> {
    CHAINS.iter().find(|(_, known)| *known == id).map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_ids_are_one_to_one() {
        for (name, id) in CHAINS {
            assert_eq!(chain_by_name(name), Some(id));
            assert_eq!(chain_name(id), Some(name));
        }
        assert_eq!(chain_by_name("base"), Some(8453));
        assert_eq!(chain_by_name("Base"), None);
        assert_eq!(chain_name(0), None);
    }

    #[test]
    fn every_registry_chain_has_a_name() {
        assert!(crate::TOKENS.iter().all(|token| chain_name(token.chain).is_some()));
    }
}
