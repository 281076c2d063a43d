//! `quorate sign transfer`: arguments.

use clap::Args;
use quorate_intent::ChainId;
use quorate_types::Address;

use crate::payload::amount;
use crate::payload::transfer::{Gas, Transfer};

/// A payment.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Its chain, such as base-sepolia, or an EIP-155 chain id
    #[arg(long, value_parser = amount::chain)]
    chain: ChainId,
    /// USDC, or native for the chain's own coin
    #[arg(long)]
    asset: String,
    /// Who is paid
    #[arg(long, value_name = "ADDRESS")]
    to: Address,
    /// Whole units as a decimal number, such as 1.50
    #[arg(long, allow_hyphen_values = true)]
    amount: String,
    /// The wallet's transaction count
    #[arg(long)]
    nonce: u64,
    /// Most wei per unit of gas, such as 2gwei
    #[arg(long, value_name = "WEI", value_parser = amount::gas_price)]
    max_fee_per_gas: u128,
    /// Most wei per unit of gas for the block's proposer
    #[arg(long, value_name = "WEI", value_parser = amount::gas_price)]
    max_priority_fee_per_gas: u128,
    /// Units of gas [default: 21000 for the chain's coin, 100000 for a token]
    #[arg(long)]
    gas: Option<u64>,
}

impl Arguments {
    pub(super) fn transfer(self) -> Transfer {
        let gas = Gas {
            limit: self.gas,
            max_fee: self.max_fee_per_gas,
            max_priority_fee: self.max_priority_fee_per_gas,
        };
        let Self { chain, asset, to, amount, nonce, .. } = self;
        Transfer { chain, asset, to, amount, nonce, gas }
    }
}
