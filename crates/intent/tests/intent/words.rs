//! Payloads the tests share.

use quorate_intent::{DecodeError, Decoded, TypedDataError, decode};
use quorate_types::{Address, Payload};
use serde_json::{Value, json};

pub(crate) const PAYER: &str = "0x857b06519E91e3A54538791bDbb0E22373e36b66";
pub(crate) const PAYEE: &str = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";
pub(crate) const BASE_USDC: &str = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913";
pub(crate) const SEPOLIA_USDC: &str = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";
pub(crate) const NONCE: &str = "0xf3746613c2d920b5fdabc0856f2aeb2d4f88ee6037b8cc5d04a71a4462f13480";

pub(crate) fn address(text: &str) -> Address {
    text.parse().unwrap()
}

/// `{name, type}` pairs from `"address from,uint256 value"`.
pub(crate) fn fields(text: &str) -> Value {
    let fields = text.split(',').filter(|field| !field.is_empty());
    fields
        .map(|field| field.split_once(' ').unwrap())
        .map(|(ty, name)| json!({"name": name, "type": ty}))
        .collect()
}

pub(crate) const FULL_DOMAIN: &str = "string name,string version,uint256 chainId,address verifyingContract";

/// Base mainnet USDC's domain.
pub(crate) fn usdc() -> Value {
    json!({"name": "USD Coin", "version": "2", "chainId": 8453, "verifyingContract": BASE_USDC})
}

/// Typed data with one struct type and a four-field domain.
pub(crate) fn typed(domain: Value, primary: &str, types: &str, message: Value) -> Value {
    json!({
        "types": {"EIP712Domain": fields(FULL_DOMAIN), primary: fields(types)},
        "primaryType": primary,
        "domain": domain,
        "message": message,
    })
}

pub(crate) const AUTHORIZATION: &str =
    "address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce";
pub(crate) const PERMIT: &str = "address owner,address spender,uint256 value,uint256 nonce,uint256 deadline";

/// The payment of the x402 specification, for `domain`.
pub(crate) fn payment(domain: Value) -> Value {
    let message = json!({
        "from": PAYER, "to": PAYEE, "value": "10000",
        "validAfter": "1740672089", "validBefore": "1740672154", "nonce": NONCE,
    });
    typed(domain, "TransferWithAuthorization", AUTHORIZATION, message)
}

pub(crate) fn read(json: &Value) -> Decoded {
    decode(&Payload::TypedData(json.to_string())).unwrap()
}

pub(crate) fn refused_text(json: &str) -> TypedDataError {
    match decode(&Payload::TypedData(json.to_owned())) {
        Err(DecodeError::TypedData(error)) => error,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn refused(json: &Value) -> TypedDataError {
    refused_text(&json.to_string())
}
