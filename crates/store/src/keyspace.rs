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

/// The table and the key that make up a backend's key.
pub(crate) fn table_and_key(whole: &[u8]) -> Result<(&str, &[u8]), StoreError> {
    let parts = || {
        let (len, rest) = whole.split_first()?;
        let (table, key) = rest.split_at_checked(usize::from(*len))?;
        Some((std::str::from_utf8(table).ok()?, key))
    };
    parts().ok_or_else(|| StoreError::Corrupt("a key without its table".to_owned()))
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
    fn a_backends_key_is_its_table_and_key() {
        for (table, key) in [("t", &b""[..]), ("tt", b"k"), (&"t".repeat(255), &[0xff; 3])] {
            assert_eq!(table_and_key(&whole_key(table, key).unwrap()).unwrap(), (table, key));
        }
        assert!(table_and_key(b"").is_err() && table_and_key(&[2, b't']).is_err());
    }

    #[test]
    fn a_table_name_has_1_to_255_bytes() {
        assert!(whole_key(&"t".repeat(255), b"").is_ok());
        for bad in ["", &"t".repeat(256)] {
            assert!(matches!(whole_key(bad, b""), Err(StoreError::Table { .. })));
        }
    }
}
