//! The tokens Quorate knows. Decimals, names and domains come from this table, never from a request.
//!
//! Circle's native USDC: 6 decimals, EIP-712 domain version "2", EIP-3009 and EIP-2612. Bridged tokens such as
//! Polygon's USDC.e have other domains and are left out.

use alloy_primitives::{address, b256};
use quorate_types::{Address, B256};

use crate::{Asset, AssetId, ChainId};

/// Decimals of every native coin.
pub const NATIVE_DECIMALS: u8 = 18;

/// A token whose contract and EIP-712 domain are pinned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// EIP-155 chain id.
    pub chain: ChainId,
    /// The contract.
    pub address: Address,
    /// Ticker.
    pub symbol: &'static str,
    /// One whole token is 10^decimals base units.
    pub decimals: u8,
    /// EIP-712 domain name. It differs between networks.
    pub domain_name: &'static str,
    /// EIP-712 domain version.
    pub domain_version: &'static str,
    /// EIP-712 domain separator, as the contract's `DOMAIN_SEPARATOR()` answers.
    pub separator: B256,
    /// Understands `TransferWithAuthorization` and `ReceiveWithAuthorization`.
    pub eip3009: bool,
    /// Understands `Permit`.
    pub eip2612: bool,
}

impl Token {
    /// The token as an asset.
    pub const fn asset(&self) -> AssetId {
        AssetId::token(self.chain, self.address)
    }
}

const fn usdc(chain: ChainId, address: Address, domain_name: &'static str, separator: B256) -> Token {
    Token {
        chain,
        address,
        symbol: "USDC",
        decimals: 6,
        domain_name,
        domain_version: "2",
        separator,
        eip3009: true,
        eip2612: true,
    }
}

/// Every pinned token.
pub static TOKENS: [Token; 12] = [
    // Base
    usdc(
        8453,
        address!("0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"),
        "USD Coin",
        b256!("0x02fa7265e7c5d81118673727957699e4d68f74cd74b7db77da710fe8a2c7834f"),
    ),
    // Base Sepolia
    usdc(
        84532,
        address!("0x036CbD53842c5426634e7929541eC2318f3dCF7e"),
        "USDC",
        b256!("0x71f17a3b2ff373b803d70a5a07c046c1a2bc8e89c09ef722fcb047abe94c9818"),
    ),
    // Ethereum
    usdc(
        1,
        address!("0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"),
        "USD Coin",
        b256!("0x06c37168a7db5138defc7866392bb87a741f9b3d104deb5094588ce041cae335"),
    ),
    // Sepolia
    usdc(
        11155111,
        address!("0x1c7D4B196Cb0C7B01d743Fbc6116a902379C7238"),
        "USDC",
        b256!("0xb90e5057db141a932946e64d09ccb7ffc9b00bd79fec26f698d29af0c83320a6"),
    ),
    // Arbitrum One
    usdc(
        42161,
        address!("0xaf88d065e77c8cC2239327C5EDb3A432268e5831"),
        "USD Coin",
        b256!("0x08d11903f8419e68b1b8721bcbe2e9fc68569122a77ef18c216f10b3b5112c78"),
    ),
    // Arbitrum Sepolia
    usdc(
        421614,
        address!("0x75faf114eafb1BDbe2F0316DF893fd58CE46AA4d"),
        "USD Coin",
        b256!("0x85944e1292d007732838d6eadfa67589b78ffcededbd4df60488d0af251308bb"),
    ),
    // OP Mainnet
    usdc(
        10,
        address!("0x0b2C639c533813f4Aa9D7837CAf62653d097Ff85"),
        "USD Coin",
        b256!("0x26d9c34bb1a1c312f69c53b2d93b8be20faafba63af2438c6811713c9b1f933f"),
    ),
    // OP Sepolia
    usdc(
        11155420,
        address!("0x5fd84259d66Cd46123540766Be93DFE6D43130D7"),
        "USDC",
        b256!("0x09d038a3e46040fc37eb01174dbbcdb7981fbd8eafd9e1a857b1c67805dfb29e"),
    ),
    // Polygon PoS
    usdc(
        137,
        address!("0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359"),
        "USD Coin",
        b256!("0xcaa2ce1a5703ccbe253a34eb3166df60a705c561b44b192061e28f2a985be2ca"),
    ),
    // Polygon Amoy
    usdc(
        80002,
        address!("0x41E94Eb019C0762f9Bfcf9Fb1E58725BfB0e7582"),
        "USDC",
        b256!("0x5cddc98319864e897e4469bd1d13c2288c677047b54b8cca12bd342adb6be9eb"),
    ),
    // Avalanche C
    usdc(
        43114,
        address!("0xB97EF9Ef8734C71904D8002F8b6Bc66Dd9c48a6E"),
        "USD Coin",
        b256!("0xbbea200329a938bc3438984a49cb0732e66d66d7bd59c127abacc1710e77f7b3"),
    ),
    // Avalanche Fuji
    usdc(
        43113,
        address!("0x5425890298aed601595a70AB815c96711a31Bc65"),
        "USD Coin",
        b256!("0xfe9fa105a0e9629446730e544caa6b8d05d8d4fc93451750dc50e2ddd6d374b3"),
    ),
];

/// The token at `address` on `chain`.
pub fn token(chain: ChainId, address: Address) -> Option<&'static Token> {
    TOKENS.iter().find(|token| token.chain == chain && token.address == address)
}

/// The token called `symbol` on `chain`; case does not matter.
pub fn token_by_symbol(chain: ChainId, symbol: &str) -> Option<&'static Token> {
    TOKENS.iter().find(|token| token.chain == chain && token.symbol.eq_ignore_ascii_case(symbol))
}

/// The token whose EIP-712 domain hashes to `separator`.
pub fn token_by_separator(separator: B256) -> Option<&'static Token> {
    TOKENS.iter().find(|token| token.separator == separator)
}

/// Decimals of an asset, for showing and for reading amounts; `None` for a token that is not pinned.
pub fn decimals(asset: AssetId) -> Option<u8> {
    match asset.asset {
        Asset::Native => Some(NATIVE_DECIMALS),
        Asset::Token(address) => token(asset.chain, address).map(|token| token.decimals),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{U256, keccak256};

    /// EIP-712's words for the domain, hashed here by hand.
    fn separator(token: &Token) -> B256 {
        let domain = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";
        let words = [
            keccak256(domain),
            keccak256(token.domain_name),
            keccak256(token.domain_version),
            U256::from(token.chain).into(),
            token.address.into_word(),
        ];
        keccak256(words.concat())
    }

    #[test]
    fn separators_are_those_of_the_domains() {
        for token in &TOKENS {
            assert_eq!(separator(token), token.separator, "{}", token.asset());
        }
    }

    #[test]
    fn lookups_find_each_token_and_only_it() {
        for entry in &TOKENS {
            assert_eq!(token(entry.chain, entry.address), Some(entry));
            assert_eq!(token_by_symbol(entry.chain, "usdc"), Some(entry));
            assert_eq!(token_by_separator(entry.separator), Some(entry));
            assert_eq!(decimals(entry.asset()), Some(6));
            assert_eq!(decimals(AssetId::native(entry.chain)), Some(18));
        }
        assert_eq!(token(1, Address::ZERO), None);
        assert_eq!(token_by_symbol(2, "USDC"), None);
        assert_eq!(decimals(AssetId::token(2, TOKENS[0].address)), None);
    }
}
