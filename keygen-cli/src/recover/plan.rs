//! What a sweep moves, from a file with the chain's facts: balances, nonce, fees. Exact, and refused where it cannot be paid.

use std::collections::BTreeMap;

use alloy_primitives::utils::format_ether;
use quorate_intent::{Action, ChainId, Decoded, decode, token, token_by_symbol};
use quorate_types::{Address, B256, Payload, Transcript, U256, WalletId};
use serde::Deserialize;

use super::destination::Destination;
use super::journal::Slot;
use crate::payload::amount;
use crate::payload::authorization::{Authorization, Kind, Payment};
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
    /// Tokens to move by signed authorizations, for which others pay the fee.
    authorizations: Option<Authorizations>,
}

/// EIP-3009 authorizations: a wallet without the chain's own coin can still give these.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Authorizations {
    /// Symbol of each pinned token to its balance.
    tokens: BTreeMap<String, String>,
    /// Unix seconds of block time: they can be submitted before this.
    valid_before: u64,
    /// 0 for the wallet's first sweep on this chain, one more for each that went through: every authorization of one
    /// sweep and token has one nonce, so that the token accepts one of them at most.
    #[serde(default)]
    sweep: u64,
}

/// One wallet, on each of its chains.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WalletPlan {
    /// The wallet.
    pub(crate) wallet: WalletId,
    /// Its address, where it has several keys.
    pub(crate) address: Option<Address>,
    /// What it has on each chain.
    pub(crate) chains: Vec<Plan>,
}

/// Many wallets.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FleetPlan {
    /// In this order they are swept.
    pub(crate) wallets: Vec<WalletPlan>,
}

fn zero() -> String {
    "0".to_owned()
}

/// One transaction to sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Move {
    pub(crate) chain: u64,
    pub(crate) slot: Slot,
    pub(crate) payload: Payload,
    pub(crate) decoded: Decoded,
    /// Where it is an authorization: what is authorized.
    pub(crate) authorization: Option<Authorization>,
}

impl Plan {
    /// What moves everything from `from`: authorizations first, then token transfers, then what is left of the chain's
    /// own coin once every fee is kept back.
    pub(crate) fn moves(&self, from: Address, destination: &Destination) -> Result<Vec<Move>, Refusal> {
        let chain = amount::chain(&self.chain).map_err(|reason| field("chain", reason))?;
        let to = destination.on(chain)?;
        check_destination(chain, from, to)?;
        let mut moves = self.authorized(chain, from, to)?;
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
        if transfers.is_empty() && moves.is_empty() {
            return Err(field("native_balance", "there is nothing to move"));
        }
        for (nonce, (asset, amount, gas)) in (self.nonce..).zip(transfers) {
            let payload = Transfer { chain, asset, to, amount, nonce, gas }.payload()?;
            moves.push(checked((chain, Slot::Transaction(nonce), to), payload, None)?);
        }
        Ok(moves)
    }

    fn authorized(&self, chain: ChainId, from: Address, to: Address) -> Result<Vec<Move>, Refusal> {
        let Some(wanted) = &self.authorizations else { return Ok(Vec::new()) };
        let mut moves = Vec::new();
        for (symbol, balance) in &wanted.tokens {
            if self.tokens.contains_key(symbol) {
                return Err(field("authorizations.tokens", format!("{symbol} is in tokens too")));
            }
            let payment =
                Payment { chain, asset: symbol.clone(), amount: balance.clone(), kind: Kind::Transfer };
            let value = payment.units().map_err(|r| field("authorizations.tokens", r.reason))?;
            if value == "0" {
                continue;
            }
            let token = token_by_symbol(chain, symbol)
                .ok_or_else(|| field("authorizations.tokens", format!("no pinned token {symbol}")))?;
            let nonce = authorization_nonce((from, chain, token.address), wanted.sweep);
            let authorization = Authorization {
                from,
                to,
                value,
                valid_after: "0".to_owned(),
                valid_before: wanted.valid_before.to_string(),
                nonce,
            };
            let payload = payment.payload(&authorization)?;
            let slot = Slot::Authorization { token: token.address, nonce };
            moves.push(checked((chain, slot, to), payload, Some(authorization))?);
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

/// The same for the same sweep, whatever is authorized: of two that differ the token accepts one.
fn authorization_nonce((from, chain, token): (Address, ChainId, Address), sweep: u64) -> B256 {
    Transcript::new("quorate/sweep-authorization/v1")
        .field(from.as_slice())
        .number(chain)
        .field(token.as_slice())
        .number(sweep)
        .finish()
}

/// Reads a payload back as every node would: it must be the payment that was meant.
fn checked(
    (chain, slot, to): (ChainId, Slot, Address),
    payload: Payload,
    authorization: Option<Authorization>,
) -> Result<Move, Refusal> {
    let decoded = decode(&payload).or_internal("reading the payload back")?;
    let paid = match &decoded.intent.action {
        Action::NativeTransfer { recipient } | Action::TokenTransfer { recipient, .. } => Some(*recipient),
        _ => None,
    };
    if paid != Some(to) {
        return Err(Refusal::internal("the payload that was built pays somebody else"));
    }
    Ok(Move { chain, slot, payload, decoded, authorization })
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

    const fn typed(to: Address) -> Destination {
        Destination::Typed(to)
    }

    fn plan(change: (&str, &str)) -> Plan {
        let text = "{chain: base-sepolia, nonce: 7, native_balance: '0.01', max_fee_per_gas: 2gwei, \
                    max_priority_fee_per_gas: 1gwei, data_fee_reserve: '0.001', tokens: {USDC: '12.5'}}";
        assert!(text.contains(change.0));
        serde_norway::from_str(&text.replacen(change.0, change.1, 1)).unwrap()
    }

    #[test]
    fn everything_moves_and_every_fee_is_kept_back() {
        let moves = plan(("", "")).moves(FROM, &typed(TO)).unwrap();
        let [token, native] = moves.as_slice() else { panic!("{moves:?}") };
        assert_eq!((token.slot, native.slot), (Slot::Transaction(7), Slot::Transaction(8)));
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
            let refusal = plan(change).moves(FROM, &typed(TO)).unwrap_err();
            assert!(refusal.reason.contains(words), "{change:?}: {}", refusal.reason);
        }
        let usdc = quorate_intent::token_by_symbol(84532, "USDC").unwrap().address;
        for to in [FROM, Address::ZERO, usdc] {
            assert_eq!(plan(("", "")).moves(FROM, &typed(to)).unwrap_err().field.as_deref(), Some("--to"));
        }
        // Too little for its own fee: the coin stays, the tokens move.
        assert_eq!(plan(("'0.01'", "'0.00121'")).moves(FROM, &typed(TO)).unwrap().len(), 1);
        let empty = plan(("tokens: {USDC: '12.5'}", "tokens: {}"));
        assert_eq!(empty.moves(FROM, &typed(TO)).unwrap().len(), 1);
    }

    #[test]
    fn a_wallet_without_coin_authorizes_and_one_sweep_has_one_nonce_a_token() {
        let text = |balance: &str, sweep: u64| {
            format!(
                "{{chain: base-sepolia, nonce: 0, native_balance: '0', max_fee_per_gas: 2gwei, \
                 max_priority_fee_per_gas: 1gwei, authorizations: {{valid_before: 2000000000, sweep: {sweep}, tokens: \
                 {{USDC: '{balance}'}}}}}}"
            )
        };
        let moves = |balance: &str, sweep| {
            let plan: Plan = serde_norway::from_str(&text(balance, sweep)).unwrap();
            plan.moves(FROM, &typed(TO))
        };
        let first = moves("12.5", 0).unwrap();
        let [one] = first.as_slice() else { panic!("{first:?}") };
        let Action::TokenTransfer { recipient, amount, authorization: Some(_), .. } =
            one.decoded.intent.action
        else {
            panic!("{:?}", one.decoded.intent)
        };
        assert_eq!((recipient, amount), (TO, U256::from(12_500_000)));
        assert_eq!(one.slot, moves("7", 0).unwrap()[0].slot, "the token accepts one of them");
        assert_ne!(one.slot, moves("12.5", 1).unwrap()[0].slot);
        let twice: Plan = serde_norway::from_str(
            &text("1", 0).replace("native_balance: '0'", "native_balance: '1', tokens: {USDC: '1'}"),
        )
        .unwrap();
        assert!(twice.moves(FROM, &typed(TO)).unwrap_err().reason.contains("in tokens too"));
        assert!(moves("0", 0).unwrap_err().reason.contains("nothing to move"));
    }
}
