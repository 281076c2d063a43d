//! redb: a copy-on-write B-tree, one writer at a time, readers that never wait.
//!
//! Commits are two-phase. redb would otherwise go back to the previous commit, in silence, where the last one turns
//! out damaged after a crash; with two-phase commits it refuses. The price is a second fsync.

use std::io::ErrorKind;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::backends::FileBackend;
use redb::{
    Builder, Database, Durability, ReadableDatabase, ReadableTable, ReadableTableMetadata, StorageBackend,
    TableDefinition, WriteTransaction,
};
use zeroize::Zeroizing;

use crate::acknowledged::Acknowledged;
use crate::dir::DataDir;
use crate::keyspace::{Range, whole_key};
use crate::poison::Poison;
use crate::{Backend, Durable, Read, Store, StoreError, Txn, Value, Visit};

const FILE: &str = "store.redb";
const RECORDS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("records");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const COMMITS: &str = "commits";
/// Records a scan within a write takes at first, and at most: what only looks for the first one copies no others.
const FIRST_CHUNK: usize = 2;
const CHUNK: usize = 32;
/// Sealed pages only are ever in it.
const CACHE: usize = 32 << 20;

/// A store in a redb file. Its values are in clear: servers use it under [`crate::Sealed`].
pub struct RedbStore {
    // Closed before the directory's lock is let go: fields drop in this order.
    db: Database,
    acknowledged: Acknowledged,
    writer: Mutex<()>,
    poison: Poison,
    dir: DataDir,
}

impl RedbStore {
    /// Opens, or creates, the database in `dir`, and checks all of it.
    ///
    /// # Errors
    /// A directory that is locked, not writable or not private, a database that is damaged or older than what it
    /// acknowledged.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let dir = DataDir::open(dir)?;
        let file = dir.file(FILE)?;
        let backend = FileBackend::new(file).map_err(|err| opening(&dir, err.into()))?;
        Self::with_backend(dir, backend)
    }

    fn with_backend(dir: DataDir, backend: impl StorageBackend) -> Result<Self, StoreError> {
        let (acknowledged, noted) = Acknowledged::open(&dir)?;
        let len = backend.len().map_err(|err| StoreError::io("reading", &dir.path().join(FILE), err))?;
        if len == 0 && noted > 0 {
            let reason = format!("{FILE} is gone or empty, after {noted} commits");
            return Err(StoreError::Missing { path: dir.path().to_owned(), reason });
        }
        let db = checked(&dir, backend, len > 0)?;
        let store = Self { db, acknowledged, writer: Mutex::default(), poison: Poison::default(), dir };
        store.check_count(noted)?;
        Ok(store)
    }

    /// Refuses a database that lost acknowledged commits; lays out a new one.
    fn check_count(&self, noted: u64) -> Result<(), StoreError> {
        let counted = match self.count() {
            Ok(counted) => counted,
            Err(redb::Error::TableDoesNotExist(_)) if noted == 0 => return self.lay_out(),
            Err(redb::Error::TableDoesNotExist(_)) => 0,
            Err(err) => return Err(self.fault(err)),
        };
        if counted < noted {
            return Err(StoreError::RolledBack { path: self.dir.path().to_owned(), counted, noted });
        }
        if counted > noted {
            self.acknowledged.note(counted);
        }
        Ok(())
    }

    fn count(&self) -> Result<u64, redb::Error> {
        let meta = self.db.begin_read()?.open_table(META)?;
        Ok(meta.get(COMMITS)?.map_or(0, |count| count.value()))
    }

    /// The first commit: the tables, so that no reader finds them missing, and the file's own name.
    fn lay_out(&self) -> Result<(), StoreError> {
        let txn = RedbTxn { store: self, txn: self.begin_redb()?, _writer: self.lock() };
        txn.edit(|txn| txn.open_table(RECORDS).map(drop).map_err(Into::into))?;
        let _durable = Box::new(txn).commit()?;
        self.dir.sync()
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin_redb(&self) -> Result<WriteTransaction, StoreError> {
        let begin = || -> Result<WriteTransaction, redb::Error> {
            let mut txn = self.db.begin_write()?;
            txn.set_durability(Durability::Immediate)?;
            txn.set_two_phase_commit(true);
            Ok(txn)
        };
        begin().map_err(|err| self.fault(err))
    }

    /// Damage is told, and nothing is lost by it. Anything else that fails under redb leaves what it holds in doubt.
    fn fault(&self, err: redb::Error) -> StoreError {
        match err {
            redb::Error::Corrupted(what) => StoreError::Corrupt(what),
            redb::Error::ValueTooLarge(len) => StoreError::TooLarge(len),
            err => self.poison.fail(err),
        }
    }
}

/// Opens a database and reads all of it. redb meets some damage with a panic before it has looked at a checksum; where
/// panics unwind, that too is told as damage, and where they abort, the process has stopped and nothing is lost.
fn checked(dir: &DataDir, backend: impl StorageBackend, exists: bool) -> Result<Database, StoreError> {
    let open = || -> Result<Database, redb::Error> {
        let mut db = Builder::new().set_cache_size(CACHE).create_with_backend(backend)?;
        if exists && !db.check_integrity()? {
            tracing::warn!(path = %dir.path().display(), "the database needed a repair");
        }
        Ok(db)
    };
    tracing::debug!(path = %dir.path().display(), "opening and checking the database");
    match catch_unwind(AssertUnwindSafe(open)) {
        Ok(opened) => opened.map_err(|err| opening(dir, err)),
        Err(_) => Err(StoreError::Corrupt(format!("{FILE}: its pages make no sense"))),
    }
}

fn opening(dir: &DataDir, err: redb::Error) -> StoreError {
    match err {
        redb::Error::DatabaseAlreadyOpen => StoreError::Locked { path: dir.path().to_owned() },
        redb::Error::Io(err) if matches!(err.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof) => {
            StoreError::Corrupt(format!("{FILE}: {err}"))
        }
        redb::Error::Io(err) => StoreError::io("opening", &dir.path().join(FILE), err),
        err => StoreError::Corrupt(format!("{FILE}: {err}")),
    }
}

/// The value at a backend key.
fn get(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    whole: &[u8],
) -> Result<Option<Value>, redb::Error> {
    Ok(table.get(whole)?.map(|value| Zeroizing::new(value.value().to_vec())))
}

fn scan(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    range: &Range,
    visit: &mut Visit<'_>,
) -> Result<(), redb::Error> {
    for record in table.range::<&[u8]>(range.start.as_slice()..)? {
        let (whole, value) = record?;
        let Some(key) = range.strip(whole.value()) else { break };
        if visit(key, value.value()).is_break() {
            break;
        }
    }
    Ok(())
}

/// A backend key and its value.
type Record = (Vec<u8>, Vec<u8>);

/// The next few records. redb opens a table once at a time within a write, and the visitor may read it again: so it is
/// closed before a visit, and opened again for the next few.
fn next(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    after: &Bound<Vec<u8>>,
    most: usize,
) -> Result<Vec<Record>, redb::Error> {
    let records = table.range::<&[u8]>((after.as_ref().map(Vec::as_slice), Bound::Unbounded))?;
    records
        .take(most)
        .map(|record| {
            record.map(|(key, value)| (key.value().to_vec(), value.value().to_vec())).map_err(Into::into)
        })
        .collect()
}

impl RedbStore {
    fn read<T>(
        &self,
        f: impl FnOnce(redb::ReadOnlyTable<&'static [u8], &'static [u8]>) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        self.poison.check()?;
        let table = || Ok(self.db.begin_read()?.open_table(RECORDS)?);
        table().and_then(f).map_err(|err| self.fault(err))
    }
}

impl Read for RedbStore {
    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Value>, StoreError> {
        let whole = whole_key(table, key)?;
        self.read(|records| get(&records, &whole))
    }

    fn scan(&self, table: &str, prefix: &[u8], from: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        let range = Range::new(table, prefix, from)?;
        self.read(|records| scan(&records, &range, visit))
    }
}

impl Store for RedbStore {
    fn begin(&self) -> Result<Box<dyn Txn + '_>, StoreError> {
        self.poison.check()?;
        let writer = self.lock();
        // The writer this one waited for may have failed.
        self.poison.check()?;
        Ok(Box::new(RedbTxn { store: self, txn: self.begin_redb()?, _writer: writer }))
    }
}

impl Backend for RedbStore {
    fn is_empty(&self) -> Result<bool, StoreError> {
        self.read(|records| Ok(records.is_empty()?))
    }
}

struct RedbTxn<'a> {
    store: &'a RedbStore,
    txn: WriteTransaction,
    // Held until the commit's outcome is known, and the store poisoned if it failed.
    _writer: MutexGuard<'a, ()>,
}

impl RedbTxn<'_> {
    fn edit<T>(&self, f: impl FnOnce(&WriteTransaction) -> Result<T, redb::Error>) -> Result<T, StoreError> {
        self.store.poison.check()?;
        f(&self.txn).map_err(|err| self.store.fault(err))
    }
}

impl Read for RedbTxn<'_> {
    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Value>, StoreError> {
        let whole = whole_key(table, key)?;
        self.edit(|txn| get(&txn.open_table(RECORDS)?, &whole))
    }

    fn scan(&self, table: &str, prefix: &[u8], from: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        let range = Range::new(table, prefix, from)?;
        let (mut after, mut most) = (Bound::Included(range.start.clone()), FIRST_CHUNK);
        loop {
            let mut chunk = self.edit(|txn| next(&txn.open_table(RECORDS)?, &after, most))?;
            most = CHUNK.min(most.saturating_mul(4));
            for (whole, value) in &chunk {
                let Some(key) = range.strip(whole) else { return Ok(()) };
                if visit(key, value).is_break() {
                    return Ok(());
                }
            }
            match chunk.pop() {
                Some((last, _)) => after = Bound::Excluded(last),
                None => return Ok(()),
            }
        }
    }
}

impl Txn for RedbTxn<'_> {
    fn put(&mut self, table: &str, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let whole = whole_key(table, key)?;
        self.edit(|txn| {
            txn.open_table(RECORDS)?.insert(whole.as_slice(), value)?;
            Ok(())
        })
    }

    fn delete(&mut self, table: &str, key: &[u8]) -> Result<(), StoreError> {
        let whole = whole_key(table, key)?;
        self.edit(|txn| {
            txn.open_table(RECORDS)?.remove(whole.as_slice())?;
            Ok(())
        })
    }

    fn commit(self: Box<Self>) -> Result<Durable, StoreError> {
        let count = self.edit(|txn| {
            let mut meta = txn.open_table(META)?;
            let count = meta.get(COMMITS)?.map_or(0, |count| count.value()).saturating_add(1);
            meta.insert(COMMITS, count)?;
            Ok(count)
        })?;
        let Self { store, txn, _writer } = *self;
        txn.commit().map_err(|err| store.poison.fail(err))?;
        store.acknowledged.note(count);
        Ok(Durable::synced())
    }
}

#[cfg(test)]
mod disk;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod together;
