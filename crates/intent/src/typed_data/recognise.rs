//! The typed data that moves tokens: EIP-3009 authorizations and EIP-2612 permits, of pinned tokens only.
//!
//! Recognised by type hash and domain separator together. A payload that has the name of one, or the address of a
//! pinned token, but not both hashes, is an attempt to pass for something else, and is refused.

use alloy_primitives::b256;
use quorate_types::{Address, B256, U256};

use super::Meaning;
use crate::{
    Action, Authorization, AuthorizationKind, TOKENS, Token, TypedData, TypedDataError, TypedValue, Validity,
    chain_name, token_by_separator,
};

/// `TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32
/// nonce)`, hashed (EIP-3009).
pub const TRANSFER_WITH_AUTHORIZATION: B256 =
    b256!("0x7c7c6cdb67a18743f49ec6fa9b35f50d52ed05cbed4cc592e13b44501c1a2267");

/// `ReceiveWithAuthorization` with the same fields, hashed (EIP-3009).
pub const RECEIVE_WITH_AUTHORIZATION: B256 =
    b256!("0xd099cc98ef71107a616c4f0f941f04c322d8e254fe26b3c6668db87aae413de8");

/// `Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)`, hashed (EIP-2612).
pub const PERMIT: B256 = b256!("0x6e71edae12b1b97f4d1f60370fef10105fa2faae0126114a169c64845d6126c9");

#[derive(Clone, Copy)]
enum Kind {
    Authorization(AuthorizationKind),
    Permit,
}

const KINDS: [(&str, B256, Kind); 3] = [
    (
        "TransferWithAuthorization",
        TRANSFER_WITH_AUTHORIZATION,
        Kind::Authorization(AuthorizationKind::Transfer),
    ),
    ("ReceiveWithAuthorization", RECEIVE_WITH_AUTHORIZATION, Kind::Authorization(AuthorizationKind::Receive)),
    ("Permit", PERMIT, Kind::Permit),
];

pub(super) fn meaning(data: TypedData) -> Result<Meaning, TypedDataError> {
    let token = token_by_separator(data.separator);
    if token.is_none() {
        refuse_borrowed_address(&data)?;
    }
    let named = KINDS.iter().find(|(name, _, _)| *name == data.primary_type);
    match (token, named) {
        (None, None) => Ok(other(data)),
        (Some(token), None) => Err(TypedDataError::UnknownTokenType(token.symbol)),
        (_, Some((name, hash, _))) if data.type_hash != *hash => Err(TypedDataError::TypeHash(name)),
        (None, Some((name, _, _))) => Err(TypedDataError::UnknownToken(name)),
        (Some(token), Some((name, _, kind))) => {
            let read = match kind {
                Kind::Authorization(kind) if token.eip3009 => authorization(token, *kind, &data.message),
                Kind::Permit if token.eip2612 => permit(token, &data.message),
                Kind::Authorization(_) | Kind::Permit => {
                    return Err(TypedDataError::UnknownTokenType(token.symbol));
                }
            };
            // The type hash fixes every field's name and type.
            read.ok_or(TypedDataError::TypeHash(name))
        }
    }
}

/// On any chain: the same bytes may be a token's address on one chain and nobody's on the next.
fn refuse_borrowed_address(data: &TypedData) -> Result<(), TypedDataError> {
    let borrowed = TOKENS.iter().find(|token| Some(token.address) == data.domain.verifying_contract);
    borrowed.map_or(Ok(()), |token| {
        let network = chain_name(token.chain).unwrap_or("its chain");
        Err(TypedDataError::TokenDomain { symbol: token.symbol, network })
    })
}

fn other(data: TypedData) -> Meaning {
    Meaning { signer: None, action: Action::TypedData(Box::new(data)), validity: Validity::default() }
}

fn authorization(token: &Token, kind: AuthorizationKind, message: &TypedValue) -> Option<Meaning> {
    let nonce = message.field("nonce")?.as_b256()?;
    let one = U256::from(1);
    // Strict on both sides in the contract, inclusive here.
    let validity = Validity {
        not_before_s: Some(seconds(uint(message, "validAfter")?.saturating_add(one))),
        not_after_s: Some(seconds(uint(message, "validBefore")?.saturating_sub(one))),
    };
    let action = Action::TokenTransfer {
        token: token.address,
        recipient: address(message, "to")?,
        amount: uint(message, "value")?,
        authorization: Some(Authorization { kind, nonce }),
    };
    Some(Meaning { signer: Some(address(message, "from")?), action, validity })
}

fn permit(token: &Token, message: &TypedValue) -> Option<Meaning> {
    let owner = address(message, "owner")?;
    let validity = Validity { not_before_s: None, not_after_s: Some(seconds(uint(message, "deadline")?)) };
    let action = Action::TokenPermit {
        token: token.address,
        owner,
        spender: address(message, "spender")?,
        amount: uint(message, "value")?,
        nonce: uint(message, "nonce")?,
    };
    Some(Meaning { signer: Some(owner), action, validity })
}

fn uint(message: &TypedValue, field: &str) -> Option<U256> {
    message.field(field)?.as_uint()
}

fn address(message: &TypedValue, field: &str) -> Option<Address> {
    message.field(field)?.as_address()
}

/// Beyond u64 is for ever, in either direction: see [`Validity`].
fn seconds(time: U256) -> u64 {
    u64::try_from(time).unwrap_or(u64::MAX)
}
