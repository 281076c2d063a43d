//! The ceremony's transcript: every step as a line of JSON, each with the hash of the one before. Nothing secret.

use std::collections::BTreeMap;

use quorate_types::{B256, Transcript, UnixMillis};
use serde::{Deserialize, Serialize};
use serde_json::Value;

const DOMAIN: &str = "quorate/ceremony-step/v1";

/// Why a transcript does not hold.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("line {line}: {reason}")]
pub struct StepsError {
    /// Which line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// 0 for the first, one more with each.
    pub sequence: u64,
    /// The hash of the step before; zero for the first.
    pub previous: B256,
    /// When, in Unix milliseconds by the machine's clock.
    pub at_ms: UnixMillis,
    /// What was done, such as `drill`.
    pub step: String,
    /// Its particulars.
    pub detail: Value,
    /// Hash of all of the above.
    pub hash: B256,
}

fn hash(sequence: u64, previous: B256, at_ms: UnixMillis, step: &str, detail: &Value) -> B256 {
    Transcript::new(DOMAIN)
        .number(sequence)
        .field(previous.as_slice())
        .number(at_ms)
        .field(step.as_bytes())
        .field(sorted(detail).to_string().as_bytes())
        .finish()
}

/// With the keys of its maps in order, however `serde_json` is built: a value has one encoding.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let members: BTreeMap<&String, &Value> = map.iter().collect();
            Value::Object(members.into_iter().map(|(name, value)| (name.clone(), sorted(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

/// The step that follows `steps`.
pub fn next_step(steps: &[Step], at_ms: UnixMillis, step: &str, detail: Value) -> Step {
    let sequence = steps.len() as u64;
    let previous = steps.last().map_or(B256::ZERO, |last| last.hash);
    let hash = hash(sequence, previous, at_ms, step, &detail);
    Step { sequence, previous, at_ms, step: step.to_owned(), detail, hash }
}

/// Reads a transcript and checks its chain.
///
/// # Errors
/// [`StepsError`] naming the line.
pub fn read_steps(text: &str) -> Result<Vec<Step>, StepsError> {
    let mut steps: Vec<Step> = Vec::new();
    if !text.is_empty() && !text.ends_with('\n') {
        return Err(StepsError { line: text.lines().count(), reason: "the file was cut short".to_owned() });
    }
    for (at, line) in text.lines().enumerate() {
        let refuse = |reason: String| StepsError { line: at + 1, reason };
        let step: Step = serde_json::from_str(line).map_err(|error| refuse(format!("malformed: {error}")))?;
        let expected = next_step(&steps, step.at_ms, &step.step, step.detail.clone());
        if step != expected {
            return Err(refuse("does not follow the line before it: altered, removed or added".to_owned()));
        }
        steps.push(step);
    }
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_step_has_one_hash_whatever_order_its_particulars_were_set_in() {
        let one = json!({ "b": [{ "d": 1, "c": 2 }], "a": {} });
        let other = json!({ "a": {}, "b": [{ "c": 2, "d": 1 }] });
        let hash = |detail| next_step(&[], 1, "drill", detail).hash;
        assert_eq!(hash(one), hash(other.clone()));
        assert_ne!(hash(other), hash(json!({ "a": {}, "b": [{ "c": 1, "d": 2 }] })));
        // As it was before: in the order of the keys.
        let text = r#"{"a":{},"b":[{"c":2,"d":1}]}"#;
        assert_eq!(sorted(&json!({ "b": [{ "d": 1, "c": 2 }], "a": {} })).to_string(), text);
    }
}
