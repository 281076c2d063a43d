//! A store in memory, for tests: the same promises as the real one, but the disk.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use zeroize::Zeroizing;

use crate::keyspace::{Range, whole_key};
use crate::overlay::{Overlay, Record, visit_all};
use crate::{Backend, Durable, Read, Store, StoreError, Txn, Value, Visit};

type Records = Arc<BTreeMap<Vec<u8>, Vec<u8>>>;

/// A store in memory. Clones share it, so that a test can drop a server and start it again on what it wrote.
#[derive(Clone, Default)]
pub struct MemStore(Arc<Shared>);

#[derive(Default)]
struct Shared {
    records: RwLock<Records>,
    writer: Mutex<()>,
}

impl MemStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// A store of its own that begins with what is committed here now.
    pub fn fork(&self) -> Self {
        let records = RwLock::new(self.snapshot());
        Self(Arc::new(Shared { records, writer: Mutex::default() }))
    }

    /// What is committed now.
    fn snapshot(&self) -> Records {
        self.0.records.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn from(records: &Records, range: &Range) -> impl Iterator<Item = Record> {
    records
        .range::<[u8], _>((Bound::Included(&range.start[..]), Bound::Unbounded))
        .map(|(key, value)| Ok((key.clone(), value.clone())))
}

impl Read for MemStore {
    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Value>, StoreError> {
        Ok(self.snapshot().get(&whole_key(table, key)?).map(|value| Zeroizing::new(value.clone())))
    }

    fn scan(
        &self,
        table: &str,
        prefix: &[u8],
        start: &[u8],
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        let range = Range::new(table, prefix, start)?;
        visit_all(&range, from(&self.snapshot(), &range), visit)
    }
}

impl Store for MemStore {
    fn begin(&self) -> Result<Box<dyn Txn + '_>, StoreError> {
        let writer = self.0.writer.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Box::new(MemTxn {
            store: self,
            base: self.snapshot(),
            writes: Overlay::default(),
            _writer: writer,
        }))
    }
}

impl Backend for MemStore {
    fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.snapshot().is_empty())
    }
}

struct MemTxn<'a> {
    store: &'a MemStore,
    base: Records,
    writes: Overlay,
    _writer: MutexGuard<'a, ()>,
}

impl Read for MemTxn<'_> {
    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Value>, StoreError> {
        let whole = whole_key(table, key)?;
        match self.writes.get(&whole) {
            Some(written) => Ok(written),
            None => Ok(self.base.get(&whole).map(|value| Zeroizing::new(value.clone()))),
        }
    }

    fn scan(
        &self,
        table: &str,
        prefix: &[u8],
        start: &[u8],
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        let range = Range::new(table, prefix, start)?;
        self.writes.scan(&range, from(&self.base, &range), visit)
    }
}

impl Txn for MemTxn<'_> {
    fn put(&mut self, table: &str, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.writes.put(table, key, value)
    }

    fn delete(&mut self, table: &str, key: &[u8]) -> Result<(), StoreError> {
        self.writes.delete(table, key)
    }

    fn commit(self: Box<Self>) -> Result<Durable, StoreError> {
        let Self { store, base, writes, _writer } = *self;
        drop(base);
        let mut records = store.0.records.write().unwrap_or_else(PoisonError::into_inner);
        let map = Arc::make_mut(&mut records);
        for (key, value) in writes {
            match value {
                Some(value) => map.insert(key, value.to_vec()),
                None => map.remove(&key),
            };
        }
        Ok(Durable::synced())
    }
}
