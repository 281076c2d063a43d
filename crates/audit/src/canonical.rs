//! One JSON text per value, whatever order its fields were set in and however `serde_json` is built: object keys
//! sorted by their UTF-8 bytes, no white space, integers only, strings escaped as `serde_json` does (`"`, `\` and
//! control characters).

use serde_json::{Map, Number, Value};

use crate::EventError;

/// Deepest nesting; well below what `serde_json` reads back.
const MAX_DEPTH: usize = 32;

/// The canonical text of an object.
///
/// # Errors
/// [`EventError::Number`] or [`EventError::Depth`], naming the field, or the innermost one around it.
pub(crate) fn to_json(object: &Map<String, Value>) -> Result<String, EventError> {
    let mut out = String::new();
    write_object(&mut out, object, Place { field: None, depth: 0 })?;
    Ok(out)
}

#[derive(Clone, Copy)]
struct Place<'a> {
    /// the innermost name around it
    field: Option<&'a str>,
    depth: usize,
}

impl<'a> Place<'a> {
    fn inside(self, name: Option<&'a str>) -> Result<Self, EventError> {
        let below = Self { field: name.or(self.field), depth: self.depth + 1 };
        if below.depth > MAX_DEPTH { Err(EventError::Depth(below.name())) } else { Ok(below) }
    }

    fn name(self) -> String {
        self.field.unwrap_or_default().to_owned()
    }
}

fn write(out: &mut String, value: &Value, place: Place<'_>) -> Result<(), EventError> {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => out.push_str(&integer(number, place)?),
        Value::String(text) => write_string(out, text),
        Value::Array(items) => {
            let inside = place.inside(None)?;
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(out, item, inside)?;
            }
            out.push(']');
        }
        Value::Object(object) => write_object(out, object, place)?,
    }
    Ok(())
}

fn write_object(out: &mut String, object: &Map<String, Value>, place: Place<'_>) -> Result<(), EventError> {
    write_members(out, object.iter().collect(), place)
}

fn write_members(
    out: &mut String,
    mut members: Vec<(&String, &Value)>,
    place: Place<'_>,
) -> Result<(), EventError> {
    // A map iterates in order already, unless some crate in the build turns on serde_json's `preserve_order`.
    members.sort_unstable_by_key(|(name, _)| name.as_bytes());
    out.push('{');
    for (index, (name, value)) in members.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_string(out, name);
        out.push(':');
        write(out, value, place.inside(Some(name))?)?;
    }
    out.push('}');
    Ok(())
}

/// Also under serde_json's `arbitrary_precision`, where a number is text, only an integer passes, in one spelling.
fn integer(number: &Number, place: Place<'_>) -> Result<String, EventError> {
    let unsigned = number.as_u64().map(|n| n.to_string());
    unsigned
        .or_else(|| number.as_i64().map(|n| n.to_string()))
        .ok_or_else(|| EventError::Number(place.name()))
}

fn write_string(out: &mut String, text: &str) {
    // `Value`'s Display is serde_json's compact form, and cannot fail on a string.
    out.push_str(&Value::from(text).to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_sorted_by_bytes_whatever_order_they_come_in() {
        let names = ["b", "", "Z", "a\"", "é", "aa", "a", "\u{10000}", "\u{ffff}"].map(str::to_owned);
        let mut out = String::new();
        let null = Value::Null;
        write_members(
            &mut out,
            names.iter().map(|name| (name, &null)).collect(),
            Place { field: None, depth: 0 },
        )
        .unwrap();
        assert_eq!(
            out,
            "{\"\":null,\"Z\":null,\"a\":null,\"a\\\"\":null,\"aa\":null,\"b\":null,\"é\":null,\"\u{ffff}\":null,\"\u{10000}\":null}"
        );
    }
}
