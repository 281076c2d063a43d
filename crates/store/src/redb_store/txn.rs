//! One writer's transaction: its writes stay beside the database until it is done, so that one which is given up leaves
//! nothing behind in a transaction that others share.

use std::ops::Bound;
use std::{iter, vec};

use redb::ReadableTable;

use super::turns::Turn;
use super::{RECORDS, RedbStore, get};
use crate::keyspace::{Range, whole_key};
use crate::overlay::{Overlay, Record};
use crate::{Durable, Read, StoreError, Txn, Value, Visit};

/// Largest value, in bytes: less than redb takes, so that no write fails for its size once its writer is done.
const MAX_VALUE: usize = 1 << 30;

/// Records a scan takes at a time. redb opens a table once at a time within a write, and the visitor may read it again:
/// so it is closed before a visit, and opened again for the next few.
const CHUNK: usize = 32;

/// A backend key and its value.
type Owned = (Vec<u8>, Vec<u8>);

/// A writer's transaction.
pub(super) struct RedbTxn<'a> {
    store: &'a RedbStore,
    turn: Turn<'a>,
    writes: Overlay,
}

impl<'a> RedbTxn<'a> {
    /// Waits for the writers before this one.
    ///
    /// # Errors
    /// A store that is poisoned, or whose disk failed.
    pub(super) fn begin(store: &'a RedbStore) -> Result<Self, StoreError> {
        Ok(Self { store, turn: Turn::wait(store)?, writes: Overlay::default() })
    }

    /// The records from `start` on, without this writer's own.
    fn records(&self, start: Vec<u8>) -> impl Iterator<Item = Record> {
        let mut from = Bound::Included(start);
        let mut chunk: vec::IntoIter<Owned> = Vec::new().into_iter();
        iter::from_fn(move || {
            if chunk.as_slice().is_empty() {
                match self.chunk(&from) {
                    Ok(next) => chunk = next.into_iter(),
                    Err(err) => return Some(Err(err)),
                }
            }
            let record = chunk.next()?;
            from = Bound::Excluded(record.0.clone());
            Some(Ok(record))
        })
    }

    fn chunk(&self, from: &Bound<Vec<u8>>) -> Result<Vec<Owned>, StoreError> {
        let txn = self.turn.txn()?;
        let read = || -> Result<_, redb::Error> {
            let records = txn.open_table(RECORDS)?;
            let records = records.range::<&[u8]>((from.as_ref().map(Vec::as_slice), Bound::Unbounded))?;
            let mut chunk = Vec::new();
            for record in records.take(CHUNK) {
                let (key, value) = record?;
                chunk.push((key.value().to_vec(), value.value().to_vec()));
            }
            Ok(chunk)
        };
        read().map_err(|err| self.store.fault(err))
    }

    /// Hands the writes over to the open transaction. One that fails half way leaves that in doubt, for everyone.
    fn apply(&mut self) -> Result<(), StoreError> {
        let writes = std::mem::take(&mut self.writes);
        let txn = self.turn.txn()?;
        let write = || -> Result<(), redb::Error> {
            let mut records = txn.open_table(RECORDS)?;
            for (key, value) in writes {
                match value {
                    Some(value) => records.insert(key.as_slice(), value.as_slice())?,
                    None => records.remove(key.as_slice())?,
                };
            }
            Ok(())
        };
        write().map_err(|err| self.store.poison.fail(err))
    }
}

impl Read for RedbTxn<'_> {
    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Value>, StoreError> {
        let whole = whole_key(table, key)?;
        let txn = self.turn.txn()?;
        if let Some(written) = self.writes.get(&whole) {
            return Ok(written);
        }
        let read = || get(&txn.open_table(RECORDS)?, &whole);
        read().map_err(|err| self.store.fault(err))
    }

    fn scan(&self, table: &str, prefix: &[u8], from: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        let range = Range::new(table, prefix, from)?;
        self.writes.scan(&range, self.records(range.start.clone()), visit)
    }
}

impl Txn for RedbTxn<'_> {
    fn put(&mut self, table: &str, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        if value.len() > MAX_VALUE {
            return Err(StoreError::TooLarge(value.len()));
        }
        self.writes.put(table, key, value)
    }

    fn delete(&mut self, table: &str, key: &[u8]) -> Result<(), StoreError> {
        self.writes.delete(table, key)
    }

    fn commit(mut self: Box<Self>) -> Result<Durable, StoreError> {
        self.apply()?;
        self.turn.commit()
    }
}
