//! The `types` of typed data: names that cannot be confused, no cycles, and a bound on the work they cause.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::TypedDataError;

/// Name of the domain's own type.
pub(super) const DOMAIN: &str = "EIP712Domain";

const MAX_TYPES: usize = 64;
const MAX_NAME: usize = 64;
const MAX_DIMENSIONS: usize = 4;
/// Bytes of all names together. Hashing a message hashes its types once per struct in it.
const MAX_TEXT: usize = 8 * 1024;
/// Fields of a struct when every struct in it is written out. Types that share structs can double at each level.
const MAX_EXPANDED: usize = 2048;

/// One field: its name and its type, as written.
pub(super) struct Field {
    pub(super) name: String,
    pub(super) ty: String,
}

/// Struct types that have passed every check below.
pub(super) struct Schema(BTreeMap<String, Vec<Field>>);

impl Schema {
    pub(super) fn parse(types: &Map<String, Value>) -> Result<Self, TypedDataError> {
        if types.len() > MAX_TYPES {
            return Err(TypedDataError::TooMuch { what: "types", max: MAX_TYPES });
        }
        let mut structs = BTreeMap::new();
        let mut text: usize = 0;
        for (name, fields) in types {
            if !is_name(name) || is_built_in_like(name) {
                return Err(TypedDataError::BadName);
            }
            let fields = parse_fields(name, fields)?;
            let lengths = fields.iter().map(|field| field.name.len() + field.ty.len());
            text = lengths.fold(text.saturating_add(name.len()), usize::saturating_add);
            if text > MAX_TEXT {
                return Err(TypedDataError::TooMuch { what: "types: bytes of names", max: MAX_TEXT });
            }
            structs.insert(name.clone(), fields);
        }
        let schema = Self(structs);
        let mut sizes = BTreeMap::new();
        for name in schema.0.keys() {
            schema.expand(name, &mut sizes)?;
        }
        Ok(schema)
    }

    pub(super) fn defines(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn fields(&self, name: &str) -> Option<&[Field]> {
        self.0.get(name).map(Vec::as_slice)
    }

    /// Number of fields when every struct is written out. `None` in `sizes` marks a struct still being counted:
    /// to meet it again is a cycle. Recursion is at most [`MAX_TYPES`] deep.
    fn expand<'a>(
        &'a self,
        name: &'a str,
        sizes: &mut BTreeMap<&'a str, Option<usize>>,
    ) -> Result<usize, TypedDataError> {
        match sizes.get(name) {
            Some(Some(size)) => return Ok(*size),
            Some(None) => return Err(TypedDataError::Cyclic(name.to_owned())),
            None => sizes.insert(name, None),
        };
        let mut size: usize = 1;
        for field in self.fields(name).unwrap_or_default() {
            let base = base(&field.ty);
            let inner = if is_built_in(base) {
                1
            } else if self.defines(base) {
                self.expand(base, sizes)?
            } else {
                return Err(TypedDataError::UndefinedType {
                    owner: name.to_owned(),
                    field: field.name.clone(),
                });
            };
            size = size.saturating_add(inner);
        }
        if size > MAX_EXPANDED {
            return Err(TypedDataError::TooMuch { what: "types: fields when expanded", max: MAX_EXPANDED });
        }
        sizes.insert(name, Some(size));
        Ok(size)
    }
}

fn parse_fields(owner: &str, fields: &Value) -> Result<Vec<Field>, TypedDataError> {
    let shape = TypedDataError::Shape { field: "types", expected: "arrays of {name, type}" };
    let Some(fields) = fields.as_array() else { return Err(shape) };
    // Also keeps the search for duplicates below small.
    if fields.len() > MAX_EXPANDED {
        return Err(TypedDataError::TooMuch { what: "types: fields", max: MAX_EXPANDED });
    }
    let mut parsed: Vec<Field> = Vec::new();
    for field in fields {
        let text = |key| field.get(key).and_then(Value::as_str);
        let (Some(name), Some(ty), Some(2)) = (text("name"), text("type"), field.as_object().map(Map::len))
        else {
            return Err(shape);
        };
        if !is_name(name) {
            return Err(TypedDataError::BadName);
        }
        let names = || (owner.to_owned(), name.to_owned());
        if !is_type(ty) {
            let (owner, field) = names();
            return Err(TypedDataError::BadType { owner, field });
        }
        if parsed.iter().any(|known| known.name == name) {
            let (owner, field) = names();
            return Err(TypedDataError::DuplicateField { owner, field });
        }
        parsed.push(Field { name: name.to_owned(), ty: ty.to_owned() });
    }
    Ok(parsed)
}

/// An identifier. `:` occurs in the wild; `$` is left out because it sorts before `(`, which would change the
/// order of types in `encodeType`.
fn is_name(name: &str) -> bool {
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts
        && name.len() <= MAX_NAME
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
}

/// A name or built-in type, and array brackets.
fn is_type(ty: &str) -> bool {
    let (base, brackets) = ty.split_at(base(ty).len());
    let known = is_built_in(base) || (is_name(base) && !is_built_in_like(base));
    let mut dimensions = brackets.split_inclusive(']');
    let sized = |d: &str| d.strip_prefix('[').and_then(|d| d.strip_suffix(']')).is_some_and(is_size);
    known && dimensions.clone().count() <= MAX_DIMENSIONS && dimensions.all(sized)
}

fn is_size(size: &str) -> bool {
    let digits = size.len() <= 5 && size.bytes().all(|b| b.is_ascii_digit());
    digits && !size.starts_with('0')
}

fn base(ty: &str) -> &str {
    ty.split_once('[').map_or(ty, |(base, _)| base)
}

fn is_built_in(name: &str) -> bool {
    let integer = |prefix| width(name, prefix).is_some_and(|w| w.is_multiple_of(8) && (8..=256).contains(&w));
    let bytes = width(name, "bytes").is_some_and(|len| (1..=32).contains(&len));
    matches!(name, "address" | "bool" | "string" | "bytes") || integer("uint") || integer("int") || bytes
}

/// The number after `prefix`, in its one decimal spelling (Rust's `parse` alone would take `+8`).
fn width(name: &str, prefix: &str) -> Option<u16> {
    let digits = name.strip_prefix(prefix)?;
    let width: u16 = digits.parse().ok()?;
    (width.to_string() == digits).then_some(width)
}

/// Also what looks like one: a struct called `uint` or `bytes33` would be read differently elsewhere.
fn is_built_in_like(name: &str) -> bool {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    matches!(stem, "address" | "bool" | "string" | "bytes" | "byte" | "uint" | "int" | "function" | "tuple")
}
