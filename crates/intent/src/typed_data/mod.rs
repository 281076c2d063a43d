//! EIP-712 typed data, from its standard JSON.
//!
//! Order: JSON without ambiguity, types, domain, message, then hashing by alloy, then meaning. Everything alloy is
//! handed has been checked before, because it forgives: it ignores keys it does not know, and what it would
//! ignore a person might read.

mod domain;
mod json;
mod message;
mod recognise;
mod schema;

use alloy_dyn_abi::Resolver;
use alloy_primitives::keccak256;
use quorate_types::{B256, U256};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{Decoded, Intent, SigningDigest, TypedData, TypedDataError, Validity};

pub use recognise::{PERMIT, RECEIVE_WITH_AUTHORIZATION, TRANSFER_WITH_AUTHORIZATION};

const KEYS: [&str; 4] = ["types", "primaryType", "domain", "message"];

pub(crate) fn decode(json: &str) -> Result<Decoded, TypedDataError> {
    let data = read(json::parse(json)?)?;
    let mut preimage = vec![0x19, 0x01];
    preimage.extend_from_slice(data.separator.as_slice());
    preimage.extend_from_slice(data.struct_hash.as_slice());
    let chain = data.domain.chain_id;
    let meaning = recognise::meaning(data)?;
    let intent = Intent {
        chain,
        signer: meaning.signer,
        action: meaning.action,
        native_value: U256::ZERO,
        max_native_fee: U256::ZERO,
        transaction: None,
        validity: meaning.validity,
    };
    Ok(Decoded { intent, digest: SigningDigest::of(preimage).into() })
}

fn read(json: Value) -> Result<TypedData, TypedDataError> {
    let outer = object("payload", &json)?;
    if outer.keys().any(|key| !KEYS.contains(&key.as_str())) {
        return Err(TypedDataError::UnknownKey("payload"));
    }
    let types = field(outer, "types")?;
    let schema = schema::Schema::parse(object("types", types)?)?;
    let domain = domain::read(&schema, object("domain", field(outer, "domain")?)?)?;
    let primary_type = field(outer, "primaryType")?.as_str().ok_or(TypedDataError::UnknownPrimaryType)?;
    if primary_type == schema::DOMAIN || !schema.defines(primary_type) {
        return Err(TypedDataError::UnknownPrimaryType);
    }
    // Checked above; alloy parses the same names again.
    let resolver: Resolver = Resolver::deserialize(types).map_err(|_| TypedDataError::BadName)?;
    let hashed = message::read(&resolver, primary_type, field(outer, "message")?)?;
    Ok(TypedData {
        domain: domain.fields,
        separator: domain.separator,
        primary_type: primary_type.to_owned(),
        type_hash: hashed.type_hash,
        struct_hash: hashed.struct_hash,
        message: hashed.value,
    })
}

fn field<'a>(outer: &'a Map<String, Value>, name: &'static str) -> Result<&'a Value, TypedDataError> {
    outer.get(name).ok_or(TypedDataError::Missing(name))
}

fn object<'a>(field: &'static str, value: &'a Value) -> Result<&'a Map<String, Value>, TypedDataError> {
    value.as_object().ok_or(TypedDataError::Shape { field, expected: "an object" })
}

/// What typed data turned out to be.
pub(crate) struct Meaning {
    pub(crate) signer: Option<quorate_types::Address>,
    pub(crate) action: crate::Action,
    pub(crate) validity: Validity,
}

/// Keccak-256 of a type as EIP-712 encodes it, such as `Mail(Person from,string text)Person(string name)`.
pub fn type_hash(encode_type: &str) -> B256 {
    keccak256(encode_type)
}
