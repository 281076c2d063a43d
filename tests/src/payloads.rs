//! Payments, as an agent's runtime would ask for them.

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_primitives::{Address, TxKind, U256, address};
use quorate_types::{Bytes, Payload};

/// Whom the policy allows to pay.
pub const FRIEND: Address = address!("0x209693Bc6afc0C5328bA36FaF03C514EF312287C");
/// Whom it does not.
pub const STRANGER: Address = address!("0x00000000000000000000000000000000DeaDBeef");
/// USDC on Base Sepolia.
const USDC: Address = address!("0x036CbD53842c5426634e7929541eC2318f3dCF7e");
const BASE_SEPOLIA: u64 = 84532;

/// Whole dollars in USDC's base units.
pub fn usdc(dollars: u64) -> U256 {
    U256::from(dollars) * U256::from(1_000_000)
}

/// An EIP-1559 transaction that sends USDC on Base Sepolia.
pub fn transfer(to: Address, amount: U256, nonce: u64) -> Payload {
    call(USDC, erc20_transfer(to, amount), nonce)
}

/// The calldata of an ERC-20 transfer.
pub fn erc20_transfer(to: Address, amount: U256) -> Vec<u8> {
    let mut input = vec![0xa9, 0x05, 0x9c, 0xbb];
    input.extend([0; 12]);
    input.extend(to.as_slice());
    input.extend(amount.to_be_bytes::<32>());
    input
}

/// An EIP-1559 transaction that calls a contract on Base Sepolia.
pub fn call(contract: Address, input: Vec<u8>, nonce: u64) -> Payload {
    let transaction = TxEip1559 {
        chain_id: BASE_SEPOLIA,
        nonce,
        gas_limit: 65_000,
        max_fee_per_gas: 1_000_000_000,
        max_priority_fee_per_gas: 1_000_000,
        to: TxKind::Call(contract),
        input: input.into(),
        ..Default::default()
    };
    Payload::Transaction(Bytes::from(transaction.encoded_for_signing()))
}

/// An EIP-3009 authorization of the same, as x402 asks for it, valid for ten minutes from `now_s`.
pub fn authorization(from: Address, to: Address, amount: U256, now_s: u64) -> Payload {
    authorization_until(from, to, amount, (7, now_s + 600))
}

/// The same with a nonce of 32 such bytes, valid before this second.
pub fn authorization_until(
    from: Address,
    to: Address,
    amount: U256,
    (nonce, valid_before_s): (u8, u64),
) -> Payload {
    let fields = |names: &[(&str, &str)]| -> serde_json::Value {
        names.iter().map(|(name, kind)| serde_json::json!({"name": name, "type": kind})).collect()
    };
    let json = serde_json::json!({
        "types": {
            "EIP712Domain": fields(&[
                ("name", "string"), ("version", "string"), ("chainId", "uint256"), ("verifyingContract", "address"),
            ]),
            "TransferWithAuthorization": fields(&[
                ("from", "address"), ("to", "address"), ("value", "uint256"), ("validAfter", "uint256"),
                ("validBefore", "uint256"), ("nonce", "bytes32"),
            ]),
        },
        "primaryType": "TransferWithAuthorization",
        "domain": {"name": "USDC", "version": "2", "chainId": BASE_SEPOLIA, "verifyingContract": USDC.to_string()},
        "message": {
            "from": from.to_string(),
            "to": to.to_string(),
            "value": amount.to_string(),
            "validAfter": "0",
            "validBefore": valid_before_s.to_string(),
            "nonce": format!("0x{}", hex::encode([nonce; 32])),
        },
    });
    Payload::TypedData(json.to_string())
}
