//! What a value must be.

use quorate_types::Bytes;

use super::few;
use crate::finding::Findings;
use crate::scalar::{Condition, Scalar, uint};

const MAX_VALUES: usize = 256;

/// `one_of` or `at_most`.
pub(super) fn condition(
    path: &str,
    scalar: Scalar,
    (one_of, at_most): (&Option<Vec<String>>, &Option<String>),
    findings: &mut Findings,
) -> Option<Condition> {
    match (one_of, at_most) {
        (Some(texts), None) => {
            if !few(&format!("{path}.one_of"), texts.len(), MAX_VALUES, findings) {
                return None;
            }
            let mut values = Vec::new();
            for (at, text) in texts.iter().enumerate() {
                match scalar.parse(text) {
                    Ok(value) => values.push(value),
                    Err(reason) => findings.error(format!("{path}.one_of[{at}]"), reason),
                }
            }
            Some(Condition::OneOf(values))
        }
        (None, Some(text)) => {
            let max = uint(text).filter(|_| matches!(scalar, Scalar::Uint(_)));
            if max.is_none() {
                findings
                    .error(format!("{path}.at_most"), "expected a decimal integer, for an unsigned integer");
            }
            max.map(Condition::AtMost)
        }
        _ => {
            findings.error(path, "expected one of: one_of, at_most");
            None
        }
    }
}

/// `0x` and hex digits, two for each byte.
pub(crate) fn bytes(text: &str) -> Option<Bytes> {
    let digits = text.strip_prefix("0x")?;
    let plain = digits.len().is_multiple_of(2) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    if plain { text.parse().ok() } else { None }
}
