//! What can be moved: a chain's own coin, or a token on it.

use std::fmt;
use std::str::FromStr;

use quorate_types::{Address, U256};
use serde::{Deserialize, Serialize};

use crate::ChainId;

/// An asset, on a chain named elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asset {
    /// The chain's own coin, in wei.
    Native,
    /// The ERC-20 token at this address, in its base units.
    Token(Address),
}

/// An asset on its chain. Written `native@8453` or `0x8335…2913@8453` with the EIP-55 checksum, and in no other way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AssetId {
    /// EIP-155 chain id.
    pub chain: ChainId,
    /// The asset on that chain.
    pub asset: Asset,
}

/// An amount of an asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// What is moved, or may be moved.
    pub asset: AssetId,
    /// How much, in base units (wei for the native coin).
    pub amount: U256,
}

/// The text is not an asset id in its canonical form.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("asset: expected native@<chain id> or <EIP-55 address>@<chain id>")]
pub struct AssetIdError;

impl AssetId {
    /// The coin of `chain`.
    pub const fn native(chain: ChainId) -> Self {
        Self { chain, asset: Asset::Native }
    }

    /// The token at `address` on `chain`.
    pub const fn token(chain: ChainId, address: Address) -> Self {
        Self { chain, asset: Asset::Token(address) }
    }
}

impl fmt::Display for AssetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.asset {
            Asset::Native => write!(f, "native@{}", self.chain),
            Asset::Token(address) => write!(f, "{}@{}", address, self.chain),
        }
    }
}

impl FromStr for AssetId {
    type Err = AssetIdError;
    fn from_str(text: &str) -> Result<Self, AssetIdError> {
        let (asset, chain) = text.split_once('@').ok_or(AssetIdError)?;
        let chain = chain.parse().map_err(|_| AssetIdError)?;
        let id = match asset {
            "native" => Self::native(chain),
            address => Self::token(chain, address.parse().map_err(|_| AssetIdError)?),
        };
        // One asset, one name: ledgers use this text as a key.
        if id.to_string() == text { Ok(id) } else { Err(AssetIdError) }
    }
}

impl TryFrom<String> for AssetId {
    type Error = AssetIdError;
    fn try_from(text: String) -> Result<Self, AssetIdError> {
        text.parse()
    }
}

impl From<AssetId> for String {
    fn from(id: AssetId) -> String {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USDC: &str = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913@8453";

    #[test]
    fn has_one_spelling() {
        for good in [USDC, "native@1", "native@18446744073709551615"] {
            assert_eq!(good.parse::<AssetId>().unwrap().to_string(), good);
        }
        let (lower, bare) = (USDC.to_lowercase(), USDC.replace("0x", ""));
        for bad in [
            &lower,
            &bare,
            "native",
            "native@",
            "native@01",
            "native@+1",
            "Native@1",
            "@1",
            "0x@1",
            "native@1@1",
        ] {
            assert_eq!(bad.parse::<AssetId>(), Err(AssetIdError), "{bad}");
        }
    }
}
