//! Values that conditions are about: one word of an ABI call, or one field of typed data.

use std::fmt;

use quorate_intent::TypedValue;
use quorate_types::{Address, Bytes, U256};

use crate::read::{address, bytes};

/// A type whose values a condition can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scalar {
    /// `uint8` to `uint256`.
    Uint(usize),
    /// `int8` to `int256`: read, and never named.
    Int(usize),
    Address,
    Bool,
    /// `bytes1` to `bytes32`.
    FixedBytes(usize),
    /// `string`, of typed data only.
    Text,
    /// `bytes`, of typed data only.
    Bytes,
}

/// A value that a condition names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Uint(U256),
    Address(Address),
    Bool(bool),
    Bytes(Bytes),
    Text(String),
    /// A negative one too: nothing equals it.
    Int,
}

/// What a value must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    /// One of these.
    OneOf(Vec<Value>),
    /// This or less.
    AtMost(U256),
}

impl Scalar {
    /// The type with this name, in its one canonical spelling.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let width = |prefix: &str| {
            let width: usize = name.strip_prefix(prefix)?.parse().ok()?;
            (name == format!("{prefix}{width}")).then_some(width)
        };
        let bits =
            |prefix: &str| width(prefix).filter(|bits| bits.is_multiple_of(8) && (8..=256).contains(bits));
        match name {
            "address" => Some(Self::Address),
            "bool" => Some(Self::Bool),
            "string" => Some(Self::Text),
            "bytes" => Some(Self::Bytes),
            _ => {
                let bytes = || width("bytes").filter(|len| (1..=32).contains(len)).map(Self::FixedBytes);
                bits("uint").map(Self::Uint).or_else(|| bits("int").map(Self::Int)).or_else(bytes)
            }
        }
    }

    /// Whether it fills exactly one word of a call.
    pub(crate) const fn is_one_word(self) -> bool {
        !matches!(self, Self::Text | Self::Bytes)
    }

    /// The value of this word; `None` where the word is not the one encoding of a value.
    pub(crate) fn read(self, word: &[u8; 32]) -> Option<Value> {
        let number = U256::from_be_bytes(*word);
        match self {
            Self::Uint(bits) => (number.bit_len() <= bits).then_some(Value::Uint(number)),
            Self::Int(bits) => {
                // Sign-extended: all bits above the sign are alike.
                let above = number.wrapping_shr(bits.checked_sub(1)?);
                let negative = U256::MAX.wrapping_shr(bits.checked_sub(1)?);
                (above.is_zero() || above == negative).then_some(Value::Int)
            }
            Self::Address => {
                let address = Address::from_word((*word).into());
                (address.into_word() == *word).then_some(Value::Address(address))
            }
            Self::Bool => (number <= U256::ONE).then_some(Value::Bool(number == U256::ONE)),
            Self::FixedBytes(len) => {
                let (value, rest) = word.split_at_checked(len)?;
                rest.iter().all(|byte| *byte == 0).then(|| Value::Bytes(Bytes::copy_from_slice(value)))
            }
            Self::Text | Self::Bytes => None,
        }
    }

    /// The value an author writes as `text`.
    pub(crate) fn parse(self, text: &str) -> Result<Value, &'static str> {
        match self {
            Self::Uint(bits) => match uint(text) {
                Some(number) if number.bit_len() <= bits => Ok(Value::Uint(number)),
                _ => Err("expected a decimal integer that fits its type"),
            },
            Self::Address => address(text).map(Value::Address),
            Self::Bool => text.parse().map(Value::Bool).map_err(|_| "expected true or false"),
            Self::FixedBytes(len) => match bytes(text) {
                Some(bytes) if bytes.len() == len => Ok(Value::Bytes(bytes)),
                _ => Err("expected 0x and as many hex digits as its type has"),
            },
            Self::Bytes => bytes(text).map(Value::Bytes).ok_or("expected 0x and hex digits"),
            Self::Text => Ok(Value::Text(text.to_owned())),
            Self::Int(_) => Err("signed integers cannot be named"),
        }
    }
}

/// A decimal integer in its one spelling.
pub(crate) fn uint(text: &str) -> Option<U256> {
    crate::amount::parse(text, 0).ok()
}

impl Value {
    /// The value of a typed-data field; `None` for arrays and structs.
    pub(crate) fn of(value: &TypedValue) -> Option<Self> {
        match value {
            TypedValue::Bool(value) => Some(Self::Bool(*value)),
            TypedValue::Uint(value) => Some(Self::Uint(*value)),
            TypedValue::Int(_) => Some(Self::Int),
            TypedValue::Address(value) => Some(Self::Address(*value)),
            TypedValue::Bytes(value) => Some(Self::Bytes(value.clone())),
            TypedValue::Text(value) => Some(Self::Text(value.clone())),
            TypedValue::Array(_) | TypedValue::Struct(_) => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uint(value) => write!(f, "{value}"),
            Self::Address(value) => write!(f, "{value}"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Bytes(value) => write!(f, "{value}"),
            Self::Text(value) => write!(f, "{value:?}"),
            Self::Int => f.write_str("a signed integer"),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(max) => write!(f, "at most {max}"),
            Self::OneOf(values) => {
                let values: Vec<String> = values.iter().map(ToString::to_string).collect();
                write!(f, "one of {}", values.join(" "))
            }
        }
    }
}

impl Condition {
    /// Whether `value` is what it must be.
    pub(crate) fn holds(&self, value: &Value) -> bool {
        match (self, value) {
            (_, Value::Int) => false,
            (Self::OneOf(values), value) => values.contains(value),
            (Self::AtMost(max), Value::Uint(value)) => value <= max,
            (Self::AtMost(_), _) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(last: &[u8]) -> [u8; 32] {
        let mut word = [0; 32];
        word[32 - last.len()..].copy_from_slice(last);
        word
    }

    #[test]
    fn types_have_one_spelling() {
        for (name, scalar) in [
            ("uint8", Scalar::Uint(8)),
            ("uint256", Scalar::Uint(256)),
            ("int128", Scalar::Int(128)),
            ("bytes32", Scalar::FixedBytes(32)),
            ("bytes", Scalar::Bytes),
            ("string", Scalar::Text),
            ("address", Scalar::Address),
            ("bool", Scalar::Bool),
        ] {
            assert_eq!(Scalar::named(name), Some(scalar), "{name}");
        }
        for bad in [
            "uint",
            "int",
            "uint7",
            "uint0",
            "uint264",
            "uint08",
            "bytes0",
            "bytes33",
            "Address",
            "uint256[]",
            "",
        ] {
            assert_eq!(Scalar::named(bad), None, "{bad}");
        }
    }

    #[test]
    fn words_have_one_encoding() {
        assert_eq!(Scalar::Uint(8).read(&word(&[255])), Some(Value::Uint(U256::from(255))));
        assert_eq!(Scalar::Uint(8).read(&word(&[1, 0])), None);
        assert_eq!(Scalar::Uint(256).read(&[255; 32]), Some(Value::Uint(U256::MAX)));
        assert_eq!(Scalar::Bool.read(&word(&[1])), Some(Value::Bool(true)));
        assert_eq!(Scalar::Bool.read(&word(&[2])), None);
        assert_eq!(Scalar::Address.read(&word(&[7; 20])), Some(Value::Address(Address::repeat_byte(7))));
        assert_eq!(Scalar::Address.read(&word(&[7; 21])), None);
        let mut four = [0; 32];
        four[..4].copy_from_slice(&[1, 2, 3, 4]);
        assert_eq!(Scalar::FixedBytes(4).read(&four), Some(Value::Bytes(vec![1, 2, 3, 4].into())));
        assert_eq!(Scalar::FixedBytes(3).read(&four), None);
        for (word, reads) in
            [(word(&[127]), true), (word(&[128]), false), ([255; 32], true), (word(&[255]), false)]
        {
            assert_eq!(Scalar::Int(8).read(&word).is_some(), reads, "{word:?}");
        }
        assert!(Scalar::Int(256).read(&[128; 32]).is_some());
    }

    #[test]
    fn conditions_hold_up_to_their_end_and_for_their_type_only() {
        let at_most = Condition::AtMost(U256::from(5));
        assert!(at_most.holds(&Value::Uint(U256::from(5))));
        assert!(!at_most.holds(&Value::Uint(U256::from(6))));
        assert!(!at_most.holds(&Value::Bool(false)));
        let one_of = Condition::OneOf(vec![Value::Bool(true), Value::Text("x".to_owned())]);
        assert!(one_of.holds(&Value::Bool(true)) && one_of.holds(&Value::Text("x".to_owned())));
        assert!(!one_of.holds(&Value::Bool(false)) && !one_of.holds(&Value::Text("X".to_owned())));
        assert!(!Condition::OneOf(vec![Value::Int]).holds(&Value::Int));
    }
}
