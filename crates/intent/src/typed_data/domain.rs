//! The domain of typed data: exactly the five standard fields, or fewer, in the standard order.

use alloy_sol_types::Eip712Domain;
use quorate_types::{Address, B256, U256};
use serde_json::{Map, Value};

use super::message::{is_hex, is_uint};
use super::schema::{DOMAIN, Schema};
use crate::{ChainId, Domain, TypedDataError};

const STANDARD: [(&str, &str); 5] = [
    ("name", "string"),
    ("version", "string"),
    ("chainId", "uint256"),
    ("verifyingContract", "address"),
    ("salt", "bytes32"),
];

/// A domain that was read, and its hash.
pub(super) struct HashedDomain {
    pub(super) fields: Domain,
    pub(super) separator: B256,
}

pub(super) fn read(schema: &Schema, domain: &Map<String, Value>) -> Result<HashedDomain, TypedDataError> {
    if domain.is_empty() {
        return Err(TypedDataError::EmptyDomain);
    }
    if domain.keys().any(|key| !STANDARD.iter().any(|(name, _)| name == key)) {
        return Err(TypedDataError::UnknownKey("domain"));
    }
    let given = STANDARD.iter().filter(|(name, _)| domain.contains_key(*name)).copied();
    let declared = schema.fields(DOMAIN).ok_or(TypedDataError::DomainType)?;
    if !declared.iter().map(|field| (field.name.as_str(), field.ty.as_str())).eq(given) {
        return Err(TypedDataError::DomainType);
    }
    let fields = Domain {
        name: value(domain, "name", "a string", text)?,
        version: value(domain, "version", "a string", text)?,
        chain_id: value(domain, "chainId", "a chain id above 0, of at most 64 bits", chain_id)?,
        verifying_contract: value(domain, "verifyingContract", "an address", address)?,
        salt: value(domain, "salt", "32 bytes in hex", salt)?,
    };
    let separator = hash(&fields);
    Ok(HashedDomain { fields, separator })
}

/// The separator alloy computes for `domain`.
fn hash(domain: &Domain) -> B256 {
    Eip712Domain::new(
        domain.name.clone().map(Into::into),
        domain.version.clone().map(Into::into),
        domain.chain_id.map(U256::from),
        domain.verifying_contract,
        domain.salt,
    )
    .separator()
}

fn value<T>(
    domain: &Map<String, Value>,
    field: &'static str,
    expected: &'static str,
    read: fn(&Value) -> Option<T>,
) -> Result<Option<T>, TypedDataError> {
    let Some(value) = domain.get(field) else { return Ok(None) };
    read(value).map(Some).ok_or(TypedDataError::DomainValue { field, expected })
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn chain_id(value: &Value) -> Option<ChainId> {
    let id = match value.as_str() {
        Some(text) if is_uint(text) => text.parse::<U256>().ok()?.try_into().ok()?,
        Some(_) => return None,
        None => value.as_u64()?,
    };
    Some(id).filter(|id| *id != 0)
}

fn address(value: &Value) -> Option<Address> {
    value.as_str().filter(|text| is_hex(text, Some(20)))?.parse().ok()
}

fn salt(value: &Value) -> Option<B256> {
    value.as_str().filter(|text| is_hex(text, Some(32)))?.parse().ok()
}
