//! The message of typed data, against its type.

use alloy_dyn_abi::{DynSolType, DynSolValue, Resolver};
use quorate_types::{B256, Bytes};
use serde_json::Value;

use crate::{TypedDataError, TypedValue};

/// Most values in a message, counting structs and arrays.
const MAX_VALUES: usize = 2048;

/// A message that was read, and its hashes.
pub(super) struct HashedMessage {
    pub(super) type_hash: B256,
    pub(super) struct_hash: B256,
    pub(super) value: TypedValue,
}

pub(super) fn read(
    resolver: &Resolver,
    primary_type: &str,
    message: &Value,
) -> Result<HashedMessage, TypedDataError> {
    // The schema was checked before: alloy failing here would mean that the two of us disagree, which refuses.
    let unresolved = |_| TypedDataError::UnknownPrimaryType;
    let ty = resolver.resolve(primary_type).map_err(unresolved)?;
    check(&ty, message, &mut 0)?;
    let mismatch = |_| TypedDataError::Value(primary_type.to_owned());
    let value = ty.coerce_json(message).map_err(mismatch)?;
    Ok(HashedMessage {
        type_hash: resolver.type_hash(primary_type).map_err(unresolved)?,
        struct_hash: resolver.eip712_data_word(&value).map_err(mismatch)?,
        value: typed(value)?,
    })
}

/// Refuses what alloy would forgive: fields beyond the type, and odd spellings of values.
fn check(ty: &DynSolType, value: &Value, seen: &mut usize) -> Result<(), TypedDataError> {
    *seen = seen.saturating_add(1);
    if *seen > MAX_VALUES {
        return Err(TypedDataError::TooMuch { what: "message: values", max: MAX_VALUES });
    }
    match (ty, value) {
        (DynSolType::CustomStruct { name, prop_names, tuple }, Value::Object(map)) => {
            for (field, ty) in prop_names.iter().zip(tuple) {
                let missing = || TypedDataError::MissingField { owner: name.clone(), field: field.clone() };
                check(ty, map.get(field).ok_or_else(missing)?, seen)?;
            }
            // Names in a type are unique, so a longer map has one the type does not.
            if map.len() == prop_names.len() { Ok(()) } else { Err(TypedDataError::ExtraField(name.clone())) }
        }
        (DynSolType::Array(inner), Value::Array(values)) => {
            values.iter().try_for_each(|value| check(inner, value, seen))
        }
        (DynSolType::FixedArray(inner, len), Value::Array(values)) if values.len() == *len => {
            values.iter().try_for_each(|value| check(inner, value, seen))
        }
        _ if is_plain(ty, value) && ty.coerce_json(value).is_ok() => Ok(()),
        _ => Err(TypedDataError::Value(name(ty))),
    }
}

/// The type's name for a refusal; alloy's would write out whole structs.
fn name(ty: &DynSolType) -> String {
    match ty {
        DynSolType::CustomStruct { name, .. } => name.clone(),
        DynSolType::Array(_) | DynSolType::FixedArray(..) => "array".to_owned(),
        _ => ty.sol_type_name().into_owned(),
    }
}

/// One plain spelling per kind of value: hex has its `0x`, integers are decimal or hex without underscores.
fn is_plain(ty: &DynSolType, value: &Value) -> bool {
    match (ty, value) {
        (DynSolType::Bool, Value::Bool(_)) | (DynSolType::String, Value::String(_)) => true,
        (DynSolType::Uint(_), Value::Number(number)) => number.is_u64(),
        (DynSolType::Uint(_), Value::String(text)) => is_uint(text),
        (DynSolType::Int(_), Value::Number(_)) => true,
        (DynSolType::Int(_), Value::String(text)) => is_decimal(text.strip_prefix('-').unwrap_or(text)),
        (DynSolType::Address, Value::String(text)) => is_hex(text, Some(20)),
        (DynSolType::FixedBytes(len), Value::String(text)) => is_hex(text, Some(*len)),
        (DynSolType::Bytes, Value::String(text)) => is_hex(text, None),
        _ => false,
    }
}

/// `0x` and two hex digits for each of `len` bytes, or of any number.
pub(super) fn is_hex(text: &str, len: Option<usize>) -> bool {
    text.strip_prefix("0x").is_some_and(|digits| {
        digits.bytes().all(|b| b.is_ascii_hexdigit())
            && digits.len().is_multiple_of(2)
            && len.is_none_or(|len| digits.len() == 2 * len)
    })
}

/// Decimal without leading zeros, or `0x` and at least one hex digit.
pub(super) fn is_uint(text: &str) -> bool {
    match text.strip_prefix("0x") {
        Some(digits) => !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit()),
        None => is_decimal(text),
    }
}

fn is_decimal(text: &str) -> bool {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits && (text == "0" || !text.starts_with('0'))
}

/// The value alloy hashes, in our words.
fn typed(value: DynSolValue) -> Result<TypedValue, TypedDataError> {
    Ok(match value {
        DynSolValue::Bool(value) => TypedValue::Bool(value),
        DynSolValue::Uint(value, _) => TypedValue::Uint(value),
        DynSolValue::Int(value, _) => TypedValue::Int(value.into_raw().into()),
        DynSolValue::Address(value) => TypedValue::Address(value),
        DynSolValue::FixedBytes(word, len) => {
            TypedValue::Bytes(Bytes::copy_from_slice(word.get(..len).unwrap_or_default()))
        }
        DynSolValue::Bytes(bytes) => TypedValue::Bytes(bytes.into()),
        DynSolValue::String(text) => TypedValue::Text(text),
        DynSolValue::Array(values) | DynSolValue::FixedArray(values) => {
            TypedValue::Array(values.into_iter().map(typed).collect::<Result<_, _>>()?)
        }
        DynSolValue::CustomStruct { prop_names, tuple, .. } => {
            let fields = prop_names.into_iter().zip(tuple);
            let fields = fields.map(|(name, value)| Ok((name, typed(value)?)));
            TypedValue::Struct(fields.collect::<Result<_, _>>()?)
        }
        // Not types of EIP-712; the schema lets none through.
        DynSolValue::Function(_) | DynSolValue::Tuple(_) => {
            return Err(TypedDataError::Value("EIP-712".to_owned()));
        }
    })
}
