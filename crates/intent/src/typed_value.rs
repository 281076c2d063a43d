//! The values of a typed-data message, as they are hashed, whatever JSON spelling they arrived in.

use quorate_types::{Address, B256, Bytes, U256};
use serde::Serialize;

/// A value of an EIP-712 message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TypedValue {
    /// `bool`.
    Bool(bool),
    /// `uint8` to `uint256`.
    Uint(U256),
    /// `int8` to `int256`, two's complement over 32 bytes.
    Int(B256),
    /// `address`.
    Address(Address),
    /// `bytes` and `bytes1` to `bytes32`.
    Bytes(Bytes),
    /// `string`.
    Text(String),
    /// An array, fixed or not.
    Array(Vec<TypedValue>),
    /// A struct: its fields in declared order.
    Struct(Vec<(String, TypedValue)>),
}

impl TypedValue {
    /// The field `name`, where this is a struct that has it.
    pub fn field(&self, name: &str) -> Option<&TypedValue> {
        match self {
            TypedValue::Struct(fields) => {
                fields.iter().find(|(known, _)| known == name).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    /// The value, where this is an unsigned integer.
    pub const fn as_uint(&self) -> Option<U256> {
        match self {
            TypedValue::Uint(value) => Some(*value),
            _ => None,
        }
    }

    /// The value, where this is an address.
    pub const fn as_address(&self) -> Option<Address> {
        match self {
            TypedValue::Address(value) => Some(*value),
            _ => None,
        }
    }

    /// The value, where this is exactly 32 bytes.
    pub fn as_b256(&self) -> Option<B256> {
        match self {
            TypedValue::Bytes(bytes) => B256::try_from(bytes.as_ref()).ok(),
            _ => None,
        }
    }
}
