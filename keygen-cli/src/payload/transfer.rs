//! A plain payment as an EIP-1559 transaction.

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_primitives::TxKind;
use quorate_intent::{AssetId, ChainId};
use quorate_types::{Address, Bytes, Payload, U256};

use super::amount;
use crate::refusal::Refusal;

/// ERC-20 `transfer(address,uint256)`.
const TRANSFER: [u8; 4] = [0xa9, 0x05, 0x9c, 0xbb];

/// Gas a plain payment of the chain's own coin takes.
const NATIVE_GAS: u64 = 21_000;

/// Gas that is enough for USDC's `transfer`, a proxy that writes two balances.
const TOKEN_GAS: u64 = 100_000;

/// A payment to be written as a transaction.
#[derive(Debug, Clone)]
pub(crate) struct Transfer {
    /// EIP-155 chain id.
    pub(crate) chain: ChainId,
    /// `native`, or the symbol of a pinned token.
    pub(crate) asset: String,
    /// Who is paid.
    pub(crate) to: Address,
    /// Whole units, as a decimal number.
    pub(crate) amount: String,
    /// The wallet's transaction count.
    pub(crate) nonce: u64,
    /// Gas, and what it may cost.
    pub(crate) gas: Gas,
}

/// What a transaction may burn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gas {
    /// Units of gas; `None` is what such a payment takes.
    pub(crate) limit: Option<u64>,
    /// Most wei per unit.
    pub(crate) max_fee: u128,
    /// Most wei per unit for the block's proposer.
    pub(crate) max_priority_fee: u128,
}

impl Transfer {
    /// The unsigned transaction, encoded as it is hashed for signing.
    pub(crate) fn payload(&self) -> Result<Payload, Refusal> {
        let (asset, decimals) = amount::asset(self.chain, &self.asset)?;
        let units = amount::parse(&self.amount, decimals)?;
        if self.gas.max_priority_fee > self.gas.max_fee {
            return Err(Refusal::invalid("is above --max-fee-per-gas").field("--max-priority-fee-per-gas"));
        }
        Ok(Payload::Transaction(self.transaction(asset, units).encoded_for_signing().into()))
    }

    fn transaction(&self, asset: AssetId, units: U256) -> TxEip1559 {
        let (to, value, input, usual) = match amount::contract(asset) {
            Some(token) => (token, U256::ZERO, transfer_call(self.to, units), TOKEN_GAS),
            None => (self.to, units, Bytes::new(), NATIVE_GAS),
        };
        TxEip1559 {
            chain_id: self.chain,
            nonce: self.nonce,
            gas_limit: self.gas.limit.unwrap_or(usual),
            max_fee_per_gas: self.gas.max_fee,
            max_priority_fee_per_gas: self.gas.max_priority_fee,
            to: TxKind::Call(to),
            value,
            access_list: Default::default(),
            input,
        }
    }
}

fn transfer_call(to: Address, units: U256) -> Bytes {
    [TRANSFER.as_slice(), to.into_word().as_slice(), &units.to_be_bytes::<32>()].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_intent::{Action, decode};

    fn transfer(asset: &str, amount: &str) -> Transfer {
        let gas = Gas { limit: None, max_fee: 2_000_000_000, max_priority_fee: 1 };
        let (asset, amount) = (asset.to_owned(), amount.to_owned());
        Transfer { chain: 84532, asset, to: Address::repeat_byte(7), amount, nonce: 3, gas }
    }

    #[test]
    fn a_token_payment_decodes_to_what_was_asked() {
        let decoded = decode(&transfer("USDC", "12.50").payload().unwrap()).unwrap();
        let Action::TokenTransfer { recipient, amount, authorization: None, .. } = decoded.intent.action
        else {
            panic!("{:?}", decoded.intent)
        };
        assert_eq!((recipient, amount), (Address::repeat_byte(7), U256::from(12_500_000)));
        assert_eq!(decoded.intent.chain, Some(84532));
        assert_eq!(decoded.intent.max_native_fee, U256::from(200_000_000_000_000_u64));
    }

    #[test]
    fn a_native_payment_decodes_to_what_was_asked() {
        let decoded = decode(&transfer("native", "0.5").payload().unwrap()).unwrap();
        assert_eq!(decoded.intent.action, Action::NativeTransfer { recipient: Address::repeat_byte(7) });
        assert_eq!(decoded.intent.native_value, U256::from(500_000_000_000_000_000_u64));
    }

    #[test]
    fn refuses_a_tip_above_the_fee_and_a_wrong_amount() {
        let mut tip = transfer("USDC", "1");
        tip.gas.max_priority_fee = tip.gas.max_fee + 1;
        assert_eq!(tip.payload().unwrap_err().field.as_deref(), Some("--max-priority-fee-per-gas"));
        assert_eq!(transfer("USDC", "1.0000001").payload().unwrap_err().field.as_deref(), Some("--amount"));
    }
}
