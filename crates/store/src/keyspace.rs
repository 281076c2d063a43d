//! How a table and a key become one ordered key of the backend: `len(table) || table || key`. The length comes
//! first, so no table's keys can run into another's.

use crate::StoreError;

/// The one table callers may not use: the sealing header lives there.
pub(crate) const HEADER_TABLE: &str = "quorate.header";

/// The backend's key.
pub(crate) fn whole_key(table: &str, key: &[u8]) -> Result<Vec<u8>, StoreError> {
    let len = match u8::try_from(table.len()) {
        Ok(len) if len > 0 => len,
        _ => {
            return Err(StoreError::Table {
                table: table.chars().take(64).collect(),
                reason: "a table name has 1 to 255 bytes",
            });
        }
    };
    let mut whole = Vec::with_capacity(1 + table.len() + key.len());
    whole.push(len);
    whole.extend_from_slice(table.as_bytes());
    whole.extend_from_slice(key);
    Ok(whole)
}

/// A scan in the backend's keys.
pub(crate) struct Range {
    /// the first key that may match
    pub(crate) start: Vec<u8>,
    /// what every match begins with
    prefix: Vec<u8>,
    /// bytes of the table part
    table: usize,
}

impl Range {
    /// The keys of `table` that start with `prefix` and are `>= from`.
    pub(crate) fn new(table: &str, prefix: &[u8], from: &[u8]) -> Result<Self, StoreError> {
        let start = whole_key(table, prefix.max(from))?;
        Ok(Self { start, prefix: whole_key(table, prefix)?, table: 1 + table.len() })
    }

    /// The caller's key, or `None` once the scan has run past the prefix.
    pub(crate) fn strip<'k>(&self, whole: &'k [u8]) -> Option<&'k [u8]> {
        if whole.starts_with(&self.prefix) { whole.get(self.table..) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_never_run_into_each_other() {
        assert_ne!(whole_key("a", b"bc").unwrap(), whole_key("ab", b"c").unwrap());
        let range = Range::new("a", b"", b"").unwrap();
        assert_eq!(range.strip(&whole_key("a", b"k").unwrap()), Some(&b"k"[..]));
        assert_eq!(range.strip(&whole_key("ab", b"k").unwrap()), None);
    }

    #[test]
    fn a_table_name_has_1_to_255_bytes() {
        assert!(whole_key(&"t".repeat(255), b"").is_ok());
        for bad in ["", &"t".repeat(256)] {
            assert!(matches!(whole_key(bad, b""), Err(StoreError::Table { .. })));
        }
    }
}
