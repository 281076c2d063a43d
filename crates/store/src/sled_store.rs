//! sled behind the same trait. On Linux, sled 0.34's `flush` writes without fsync, so the commit here fsyncs every
//! file sled has, and its directories, itself.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::dir::{DataDir, make_private};
use crate::keyspace::{Range, whole_key};
use crate::overlay::{Overlay, Record, visit_all};
use crate::poison::Poison;
use crate::{Backend, Durable, Read, Store, StoreError, Txn, Value, Visit};

const NAME: &str = "sled";
/// How sled words it, the error's kind being `Other`.
const BUSY: &str = "could not acquire lock";
const WINDING_DOWN: Duration = Duration::from_secs(5);

/// A store in a sled database. Its values are in clear: servers use it under [`crate::Sealed`].
pub struct SledStore {
    db: sled::Db,
    /// Readers wait while a commit is between sled and the disk: nobody acts on what is not durable.
    settled: RwLock<()>,
    writer: Mutex<()>,
    poison: Poison,
    path: PathBuf,
    dir: DataDir,
}

impl SledStore {
    /// Opens, or creates, the database in `dir`.
    ///
    /// # Errors
    /// A directory that is locked, not writable or not private, or a database that is damaged.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let dir = DataDir::open(dir)?;
        let path = dir.path().join(NAME);
        let db = open_when_free(&path)?;
        let store = Self {
            db,
            settled: RwLock::default(),
            writer: Mutex::default(),
            poison: Poison::default(),
            path,
            dir,
        };
        for_each_file(&store.path, &mut |path, is_dir| {
            make_private(path, if is_dir { 0o700 } else { 0o600 })
        })?;
        store.barrier()?;
        store.dir.sync()?;
        Ok(store)
    }

    /// Returns once everything sled wrote is on disk.
    fn barrier(&self) -> Result<(), StoreError> {
        self.db.flush().map_err(|err| self.poison.fail(err))?;
        let synced = for_each_file(&self.path, &mut |path, _| match File::open(path) {
            Ok(file) => file.sync_all().map_err(|err| StoreError::io("syncing", path, err)),
            // sled removed it meanwhile: what it held is in another file, which comes or came.
            Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(err) => Err(StoreError::io("opening", path, err)),
        });
        synced.map_err(|err| self.poison.fail(err))
    }

    fn read(&self, whole: &[u8]) -> Result<Option<Value>, StoreError> {
        let value = self.db.get(whole).map_err(fault)?;
        Ok(value.map(|value| Zeroizing::new(value.to_vec())))
    }

    fn records(&self, range: &Range) -> impl Iterator<Item = Record> {
        self.db
            .range(range.start.as_slice()..)
            .map(|record| record.map(|(key, value)| (key.to_vec(), value.to_vec())).map_err(fault))
    }
}

/// Opens sled. Its threads may still be ending after a store was dropped, and hold its lock; nobody else can, for the
/// directory is ours alone.
fn open_when_free(path: &Path) -> Result<sled::Db, StoreError> {
    let end = Instant::now() + WINDING_DOWN;
    loop {
        // No background flush: sled writes when a commit says so.
        match sled::Config::new().path(path).flush_every_ms(None).open() {
            Err(sled::Error::Io(err)) if err.to_string().contains(BUSY) && Instant::now() < end => {
                std::thread::sleep(Duration::from_millis(10));
            }
            opened => return opened.map_err(|err| opening(path, err)),
        }
    }
}

fn opening(path: &Path, err: sled::Error) -> StoreError {
    match err {
        sled::Error::Io(err) => StoreError::io("opening", path, err),
        err => fault(err),
    }
}

fn fault(err: sled::Error) -> StoreError {
    StoreError::Corrupt(format!("{NAME}: {err}"))
}

/// Calls `f` with each file under a directory, and each directory after what is in it.
fn for_each_file(
    path: &Path,
    f: &mut dyn FnMut(&Path, bool) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let listing = |err| StoreError::io("listing", path, err);
    for entry in path.read_dir().map_err(listing)? {
        let entry = entry.map_err(listing)?;
        if entry.file_type().map_err(listing)?.is_dir() {
            for_each_file(&entry.path(), f)?;
        } else {
            f(&entry.path(), false)?;
        }
    }
    f(path, true)
}

impl Read for SledStore {
    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Value>, StoreError> {
        let whole = whole_key(table, key)?;
        let _settled = self.settled.read().unwrap_or_else(PoisonError::into_inner);
        self.poison.check()?;
        self.read(&whole)
    }

    fn scan(&self, table: &str, prefix: &[u8], from: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        let range = Range::new(table, prefix, from)?;
        let settled = self.settled.read().unwrap_or_else(PoisonError::into_inner);
        self.poison.check()?;
        // Taken before the first visit: the visitor may read this store again, and a scan sees one moment.
        let within = |record: &Record| record.as_ref().map_or(true, |(key, _)| range.strip(key).is_some());
        let records: Vec<Record> = self.records(&range).take_while(within).collect();
        drop(settled);
        visit_all(&range, records.into_iter(), visit)
    }
}

impl Store for SledStore {
    fn begin(&self) -> Result<Box<dyn Txn + '_>, StoreError> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.poison.check()?;
        Ok(Box::new(SledTxn { store: self, writes: Overlay::default(), _writer: writer }))
    }
}

impl Backend for SledStore {
    fn is_empty(&self) -> Result<bool, StoreError> {
        self.poison.check()?;
        Ok(self.db.is_empty())
    }
}

/// Reads sled directly: nobody else writes while it lives.
struct SledTxn<'a> {
    store: &'a SledStore,
    writes: Overlay,
    _writer: MutexGuard<'a, ()>,
}

impl Read for SledTxn<'_> {
    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Value>, StoreError> {
        let whole = whole_key(table, key)?;
        match self.writes.get(&whole) {
            Some(written) => Ok(written),
            None => self.store.read(&whole),
        }
    }

    fn scan(&self, table: &str, prefix: &[u8], from: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        let range = Range::new(table, prefix, from)?;
        self.writes.scan(&range, self.store.records(&range), visit)
    }
}

impl Txn for SledTxn<'_> {
    fn put(&mut self, table: &str, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.writes.put(table, key, value)
    }

    fn delete(&mut self, table: &str, key: &[u8]) -> Result<(), StoreError> {
        self.writes.delete(table, key)
    }

    fn commit(self: Box<Self>) -> Result<Durable, StoreError> {
        let Self { store, writes, _writer } = *self;
        let mut batch = sled::Batch::default();
        for (key, value) in writes {
            match value {
                Some(value) => batch.insert(key, value.as_slice()),
                None => batch.remove(key),
            }
        }
        let _unsettled = store.settled.write().unwrap_or_else(PoisonError::into_inner);
        store.db.apply_batch(batch).map_err(|err| store.poison.fail(err))?;
        store.barrier()?;
        Ok(Durable::synced())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::update;

    #[test]
    fn a_commit_syncs_every_file_and_one_that_cannot_is_fatal_and_ends_the_store() {
        let dir = tempfile::tempdir().unwrap();
        let store = SledStore::open(dir.path()).unwrap();
        let put = || update::<_, StoreError>(&store, |txn| txn.put("t", b"k", b"v"));
        assert!(put().is_ok());
        let unopenable = store.path.join("loop");
        std::os::unix::fs::symlink("loop", &unopenable).unwrap();
        let err = put().expect_err("refused");
        assert!(matches!(err, StoreError::Sync(_)) && err.is_fatal(), "{err}");
        assert!(err.to_string().contains("loop"), "{err}");
        std::fs::remove_file(unopenable).unwrap();
        for err in [store.get("t", b"k").err(), store.begin().err(), store.is_empty().err()] {
            assert!(matches!(err, Some(StoreError::Poisoned)), "{err:?}");
        }
    }
}
