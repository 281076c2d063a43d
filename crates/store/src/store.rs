//! The traits, and the proof a commit leaves behind.

use std::ops::ControlFlow;

use zeroize::Zeroizing;

use crate::StoreError;

/// A value as it comes out of the store. Wiped when dropped.
pub type Value = Zeroizing<Vec<u8>>;

/// What [`Read::scan`] calls for each record, with its key and its value. `Break` stops the scan.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// Reading. `&dyn Store` and `&dyn Txn` both coerce to `&dyn Read`, so a ledger reads from either.
///
/// A table is a name of 1 to 255 bytes and exists as soon as something is in it. A key may be empty.
pub trait Read {
    /// The value at `key`, or `None`. A [`Store`] answers from what is committed, a [`Txn`] sees its own writes.
    ///
    /// # Errors
    /// A refused table name, an unreadable disk, or a value that does not open. Never a wrong value.
    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Value>, StoreError>;

    /// Visits, in ascending byte order, every key of `table` that starts with `prefix` and is `>= from`; an empty
    /// `from` begins at the prefix's first key. `from` is a whole key, not a suffix. One scan sees one moment: what
    /// is committed meanwhile is not seen.
    ///
    /// # Errors
    /// As [`Read::get`]. Records visited before the error were genuine.
    fn scan(&self, table: &str, prefix: &[u8], from: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError>;
}

/// A store. It is synchronous and waits for the disk: call it from a blocking thread.
pub trait Store: Read + Send + Sync {
    /// Starts a write. One at a time: this blocks until the other one is done, so a thread that holds one must not
    /// ask for a second.
    ///
    /// # Errors
    /// A store that is poisoned, or whose disk failed.
    fn begin(&self) -> Result<Box<dyn Txn + '_>, StoreError>;
}

/// A write in progress. Dropped without [`Txn::commit`], nothing of it ever happened.
pub trait Txn: Read {
    /// Writes `value` at `key`, over what was there.
    ///
    /// # Errors
    /// A refused table name, or a disk that failed.
    fn put(&mut self, table: &str, key: &[u8], value: &[u8]) -> Result<(), StoreError>;

    /// Removes `key`. Removing what is not there is fine.
    ///
    /// # Errors
    /// A refused table name, or a disk that failed.
    fn delete(&mut self, table: &str, key: &[u8]) -> Result<(), StoreError>;

    /// Makes every write of this transaction durable, all or none, and returns after the disk has confirmed it.
    ///
    /// # Errors
    /// [`StoreError::Sync`]: nobody knows what is on disk, the store is poisoned and the process must stop.
    fn commit(self: Box<Self>) -> Result<Durable, StoreError>;
}

/// Proof that a transaction is on disk. Only [`Txn::commit`] makes one.
#[derive(Debug)]
#[must_use = "a durable commit is what later steps ask for"]
pub struct Durable(());

impl Durable {
    /// For the backends, after the disk answered.
    pub(crate) const fn synced() -> Self {
        Self(())
    }
}

/// Runs `f` in one transaction: commits if it returns `Ok`, rolls everything back if not.
///
/// # Errors
/// What `f` returned, or why the transaction could not begin or commit.
pub fn update<T, E: From<StoreError>>(
    store: &dyn Store,
    f: impl FnOnce(&mut dyn Txn) -> Result<T, E>,
) -> Result<(T, Durable), E> {
    let mut txn = store.begin()?;
    let out = f(txn.as_mut())?;
    let durable = txn.commit()?;
    Ok((out, durable))
}
