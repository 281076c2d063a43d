//! Typed data that a line may allow.

use std::fmt;

use quorate_intent::{Domain, TypedData, TypedValue};
use quorate_types::B256;

use crate::scalar::{Condition, Value};
use crate::words;

/// One line about typed data that is no payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypedLine {
    /// What people call it.
    pub label: String,
    /// The whole domain: what is not named must not be there.
    pub domain: Domain,
    /// What EIP-712 calls `encodeType`.
    pub encode_type: String,
    /// Keccak-256 of `encodeType`: the message's fields with names and types, and those of every struct in it.
    pub type_hash: B256,
    /// Fields by their path.
    pub(crate) conditions: Vec<(Vec<String>, Condition)>,
}

impl fmt::Display for TypedLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Domain { name, version, chain_id, verifying_contract, salt } = &self.domain;
        f.write_str(&self.encode_type)?;
        for (field, value) in [
            ("name", name.clone()),
            ("version", version.clone()),
            ("chain", chain_id.map(words::chain)),
            ("contract", verifying_contract.map(|contract| contract.to_string())),
            ("salt", salt.map(|salt| salt.to_string())),
        ] {
            if let Some(value) = value {
                write!(f, " {field} {value}")?;
            }
        }
        for (at, (path, condition)) in self.conditions.iter().enumerate() {
            write!(f, "{} {} {condition}", if at == 0 { " with" } else { "," }, path.join("."))?;
        }
        Ok(())
    }
}

impl TypedLine {
    /// Whether it is about such data, whatever its fields say.
    pub(crate) fn is_about(&self, data: &TypedData) -> bool {
        self.domain == data.domain && self.type_hash == data.type_hash
    }

    /// The first field that is not what it must be.
    pub(crate) fn fails(&self, message: &TypedValue) -> Option<String> {
        let holds = |(path, condition): &(Vec<String>, Condition)| {
            let field = path.iter().try_fold(message, |value, name| value.field(name));
            field.and_then(Value::of).is_some_and(|value| condition.holds(&value))
        };
        self.conditions.iter().find(|line| !holds(line)).map(|(path, _)| path.join("."))
    }
}
