//! What a sweep moves, from a file with the chain's facts: balances, nonce, fees. Exact, and refused where it cannot be paid.

use std::collections::BTreeMap;

use alloy_primitives::utils::format_ether;
use quorate_intent::{Action, Decoded, decode, token};
use quorate_types::{Address, Payload, U256};
use serde::Deserialize;

use crate::payload::amount;
use crate::payload::transfer::{Gas, Transfer};
use crate::refusal::{OrRefuse, Refusal};

/// Gas one transaction of a pinned token's `transfer` may burn, and of the chain's own coin.
const TOKEN_GAS: u64 = 100_000;
const NATIVE_GAS: u64 = 21_000;

/// One wallet on one chain, as a block explorer or node shows it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    chain: String,
    /// The wallet's transaction count.
    nonce: u64,
    /// The chain's own coin, as a decimal number of whole units.
    native_balance: String,
    /// `2gwei`, or wei.
    max_fee_per_gas: String,
    max_priority_fee_per_gas: String,
    /// Kept back of the chain's own coin for what no transaction bounds: a rollup's data fee.
    #[serde(default = "zero")]
    data_fee_reserve: String,
    /// Symbol of each pinned token to its balance.
    #[serde(default)]
    tokens: BTreeMap<String, String>,
}

fn zero() -> String {
    "0".to_owned()
}

/// One transaction to sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Move {
    pub(crate) chain: u64,
    pub(crate) nonce: u64,
    pub(crate) payload: Payload,
    pub(crate) decoded: Decoded,
}

impl Plan {
    /// The transactions that move everything to `to`: tokens first, then what is left of the chain's own coin once every
    /// fee is kept back.
    pub(crate) fn moves(&self, from: Address, to: Address) -> Result<Vec<Move>, Refusal> {
        let chain = amount::chain(&self.chain).map_err(|reason| field("chain", reason))?;
        check_destination(chain, from, to)?;
        let price = |name, text| amount::gas_price(text).map_err(|reason| field(name, reason));
        let max_fee = price("max_fee_per_gas", &self.max_fee_per_gas)?;
        let max_priority_fee = price("max_priority_fee_per_gas", &self.max_priority_fee_per_gas)?;
        let gas = |limit| Gas { limit: Some(limit), max_fee, max_priority_fee };
        let mut transfers = Vec::new();
        for (symbol, balance) in &self.tokens {
            let (asset, decimals) = amount::asset(chain, symbol).map_err(|r| field("tokens", r.reason))?;
            if amount::contract(asset).is_none() {
                return Err(field("tokens", "the chain's own coin goes into native_balance"));
            }
            if units("tokens", balance, decimals)?.is_zero() {
                continue;
            }
            transfers.push((symbol.clone(), balance.clone(), gas(TOKEN_GAS)));
        }
        if let Some(rest) = self.rest(max_fee, transfers.len())? {
            transfers.push(("native".to_owned(), format_ether(rest), gas(NATIVE_GAS)));
        }
        if transfers.is_empty() {
            return Err(field("native_balance", "there is nothing to move"));
        }
        let mut moves = Vec::new();
        for (nonce, (asset, amount, gas)) in (self.nonce..).zip(transfers) {
            moves.push(checked(Transfer { chain, asset, to, amount, nonce, gas })?);
        }
        Ok(moves)
    }

    /// What is left of the chain's own coin after `tokens` transfers and its own; none where that is nothing.
    fn rest(&self, max_fee: u128, tokens: usize) -> Result<Option<U256>, Refusal> {
        let balance = units("native_balance", &self.native_balance, 18)?;
        let reserve = units("data_fee_reserve", &self.data_fee_reserve, 18)?;
        let fee = |gas: u64| U256::from(max_fee).saturating_mul(U256::from(gas));
        let token_fees = fee(TOKEN_GAS).saturating_mul(U256::from(tokens)).saturating_add(reserve);
        if token_fees > balance {
            let reason = format!(
                "is {} and the token transfers may cost {}: {} more is needed",
                format_ether(balance),
                format_ether(token_fees),
                format_ether(token_fees - balance)
            );
            return Err(field("native_balance", reason).next(
                "send that much of the chain's own coin to the wallet first, or lower max_fee_per_gas",
            ));
        }
        let all = token_fees.saturating_add(fee(NATIVE_GAS));
        Ok(balance.checked_sub(all).filter(|rest| !rest.is_zero()))
    }
}

fn check_destination(chain: u64, from: Address, to: Address) -> Result<(), Refusal> {
    let reason = if to == Address::ZERO {
        "is the zero address: what goes there is gone"
    } else if to == from {
        "is the wallet itself"
    } else if token(chain, to).is_some() {
        "is a token's contract: what goes there is gone"
    } else {
        return Ok(());
    };
    Err(Refusal::invalid(reason).field("--to"))
}

/// Builds a transaction, and reads it back as every node would: it must be the payment that was meant.
fn checked(transfer: Transfer) -> Result<Move, Refusal> {
    let payload = transfer.payload()?;
    let decoded = decode(&payload).or_internal("reading the transaction back")?;
    let paid = match &decoded.intent.action {
        Action::NativeTransfer { recipient } | Action::TokenTransfer { recipient, .. } => Some(*recipient),
        _ => None,
    };
    if paid != Some(transfer.to) {
        return Err(Refusal::internal("the transaction that was built pays somebody else"));
    }
    Ok(Move { chain: transfer.chain, nonce: transfer.nonce, payload, decoded })
}

fn units(name: &str, text: &str, decimals: u8) -> Result<U256, Refusal> {
    amount::parse(text, decimals).map_err(|refusal| field(name, refusal.reason))
}

fn field(name: &str, reason: impl Into<String>) -> Refusal {
    Refusal::invalid(reason).field(format!("--plan: {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: Address = Address::repeat_byte(1);
    const TO: Address = Address::repeat_byte(2);

    fn plan(change: (&str, &str)) -> Plan {
        let text = "{chain: base-sepolia, nonce: 7, native_balance: '0.01', max_fee_per_gas: 2gwei, \
                    max_priority_fee_per_gas: 1gwei, data_fee_reserve: '0.001', tokens: {USDC: '12.5'}}";
        assert!(text.contains(change.0));
        serde_norway::from_str(&text.replacen(change.0, change.1, 1)).unwrap()
    }

    #[test]
    fn everything_moves_and_every_fee_is_kept_back() {
        let moves = plan(("", "")).moves(FROM, TO).unwrap();
        let [token, native] = moves.as_slice() else { panic!("{moves:?}") };
        assert_eq!((token.nonce, native.nonce), (7, 8));
        let charges = token.decoded.intent.charges().unwrap();
        assert_eq!(charges[0].amount, U256::from(12_500_000));
        let kept = U256::from(1_000_000_000_000_000_u64);
        let spent = native.decoded.intent.native_value
            + token.decoded.intent.max_native_fee
            + native.decoded.intent.max_native_fee
            + kept;
        assert_eq!(spent, U256::from(10_000_000_000_000_000_u64), "to the last wei");
    }

    #[test]
    fn what_cannot_be_paid_or_is_not_meant_is_refused() {
        let cases = [
            (("'0.01'", "'0.0001'"), "more is needed"),
            (("USDC: '12.5'", "DOGE: '1'"), "no pinned token"),
            (("'12.5'", "'12.5000001'"), "decimals"),
            (("base-sepolia", "nowhere"), "not a known chain"),
            (("'0.01', max_fee_per_gas: 2gwei", "'0.01', max_fee_per_gas: cheap"), "decimal number"),
            (("1gwei", "3gwei"), "above"),
        ];
        for (change, words) in cases {
            let refusal = plan(change).moves(FROM, TO).unwrap_err();
            assert!(refusal.reason.contains(words), "{change:?}: {}", refusal.reason);
        }
        let usdc = quorate_intent::token_by_symbol(84532, "USDC").unwrap().address;
        for to in [FROM, Address::ZERO, usdc] {
            assert_eq!(plan(("", "")).moves(FROM, to).unwrap_err().field.as_deref(), Some("--to"));
        }
        // Too little for its own fee: the coin stays, the tokens move.
        assert_eq!(plan(("'0.01'", "'0.00121'")).moves(FROM, TO).unwrap().len(), 1);
        let empty = plan(("tokens: {USDC: '12.5'}", "tokens: {}"));
        assert_eq!(empty.moves(FROM, TO).unwrap().len(), 1);
    }
}
