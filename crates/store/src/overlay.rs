//! A write that is kept beside its base until it commits.

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::ops::Bound;

use zeroize::Zeroizing;

#[cfg(any(feature = "doubles", feature = "sled"))]
use crate::Visit;
use crate::keyspace::{Range, whole_key};
use crate::{StoreError, Value};

/// The uncommitted writes: a value, or `None` for a removal.
#[derive(Default)]
pub(crate) struct Overlay(BTreeMap<Vec<u8>, Option<Value>>);

/// A record of the base, in the backend's keys.
#[cfg(any(feature = "doubles", feature = "sled"))]
pub(crate) type Record = Result<(Vec<u8>, Vec<u8>), StoreError>;

impl Overlay {
    pub(crate) fn put(&mut self, table: &str, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.0.insert(whole_key(table, key)?, Some(Zeroizing::new(value.to_vec())));
        Ok(())
    }

    pub(crate) fn delete(&mut self, table: &str, key: &[u8]) -> Result<(), StoreError> {
        self.0.insert(whole_key(table, key)?, None);
        Ok(())
    }

    /// What this transaction wrote at a backend key, if it did: `Some(None)` is a removal.
    pub(crate) fn get(&self, whole: &[u8]) -> Option<Option<Value>> {
        self.0.get(whole).cloned()
    }

    /// What this transaction wrote in a range, ascending, by the caller's keys.
    pub(crate) fn of<'a>(&'a self, range: &'a Range) -> impl Iterator<Item = (&'a [u8], Option<&'a Value>)> {
        let own = self.0.range::<[u8], _>((Bound::Included(&range.start[..]), Bound::Unbounded));
        own.map_while(|(whole, value)| Some((range.strip(whole)?, value.as_ref())))
    }

    /// The base's records from `range.start` on, with this transaction's writes over them.
    #[cfg(any(feature = "doubles", feature = "sled"))]
    pub(crate) fn scan(
        &self,
        range: &Range,
        base: impl Iterator<Item = Record>,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        let mut base = base.peekable();
        let mut own =
            self.0.range::<[u8], _>((Bound::Included(&range.start[..]), Bound::Unbounded)).peekable();
        loop {
            let take_own = match (own.peek(), base.peek()) {
                (None, None) => return Ok(()),
                (Some((mine, _)), Some(Ok((theirs, _)))) => *mine <= theirs,
                (Some(_), None) => true,
                (_, Some(_)) => false,
            };
            let record = if take_own { next_own(&mut own, &mut base) } else { base.next().transpose()? };
            let Some((whole, value)) = record else { continue };
            let Some(key) = range.strip(&whole) else { return Ok(()) };
            if visit(key, &value).is_break() {
                return Ok(());
            }
        }
    }
}

/// The overlay's next record, past the base's record it hides. `None` for a removal.
#[cfg(any(feature = "doubles", feature = "sled"))]
fn next_own(
    own: &mut std::iter::Peekable<btree_map::Range<'_, Vec<u8>, Option<Value>>>,
    base: &mut std::iter::Peekable<impl Iterator<Item = Record>>,
) -> Option<(Vec<u8>, Vec<u8>)> {
    let (whole, value) = own.next()?;
    base.next_if(|theirs| theirs.as_ref().is_ok_and(|(key, _)| key == whole));
    value.as_ref().map(|value| (whole.clone(), value.to_vec()))
}

impl IntoIterator for Overlay {
    type Item = (Vec<u8>, Option<Value>);
    type IntoIter = btree_map::IntoIter<Vec<u8>, Option<Value>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// Visits a base alone.
#[cfg(any(feature = "doubles", feature = "sled"))]
pub(crate) fn visit_all(
    range: &Range,
    base: impl Iterator<Item = Record>,
    visit: &mut Visit<'_>,
) -> Result<(), StoreError> {
    for record in base {
        let (whole, value) = record?;
        let Some(key) = range.strip(&whole) else { break };
        if visit(key, &value).is_break() {
            break;
        }
    }
    Ok(())
}
