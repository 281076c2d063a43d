//! A store whose values are sealed, over one whose are not.
//!
//! Sealed are the values. Table names, keys, and the length and number of the values are in clear: the backend has to
//! order them. Each value is bound to its cluster, owner, epoch, table and key, so moved elsewhere it does not open.

use std::ops::ControlFlow;

use crate::header::data_key;
use crate::keyspace::HEADER_TABLE;
use crate::seal::{Sealer, associated};
use crate::{Binding, Durable, Kek, Read, Store, StoreError, Txn, Value, Visit};

const DOMAIN: &str = "quorate/store/value/v1";

/// What a [`Sealed`] store stands on.
pub trait Backend: Store {
    /// True if nothing at all is stored, in any table.
    ///
    /// # Errors
    /// A disk that failed.
    fn is_empty(&self) -> Result<bool, StoreError>;
}

/// A store whose values are sealed under a data key of its own.
pub struct Sealed<S> {
    inner: S,
    seal: Seal,
}

impl<S: Backend> Sealed<S> {
    /// Opens a sealed store; a new one gets a data key, which `kek` wraps and its header keeps.
    ///
    /// # Errors
    /// [`StoreError::WrongBinding`], [`StoreError::WrongKek`], [`StoreError::Corrupt`] for a damaged or missing
    /// header, or what the backend says.
    pub fn open(inner: S, binding: &Binding, kek: &Kek) -> Result<Self, StoreError> {
        let sealer = Sealer::new(&data_key(&inner, binding, kek)?);
        Ok(Self { inner, seal: Seal { sealer, binding: binding.clone() } })
    }
}

struct Seal {
    sealer: Sealer,
    binding: Binding,
}

impl Seal {
    fn associated(&self, table: &str, key: &[u8]) -> Vec<u8> {
        let Binding { cluster, owner, epoch } = &self.binding;
        let fields =
            [cluster.as_str().as_bytes(), owner.as_bytes(), table.as_bytes(), key, &epoch.to_be_bytes()];
        associated(DOMAIN, &fields)
    }

    fn seal(&self, table: &str, key: &[u8], plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.sealer.seal(&self.associated(table, key), plain).map_err(|_| StoreError::Table {
            table: table.to_owned(),
            reason: "the value is too large to seal",
        })
    }

    fn open(&self, table: &str, key: &[u8], sealed: &[u8]) -> Result<Value, StoreError> {
        self.sealer.open(&self.associated(table, key), sealed).map_err(|_| StoreError::Unsealed {
            table: table.to_owned(),
            key: hex::encode(key.get(..64).unwrap_or(key)),
        })
    }

    fn get(&self, from: &dyn Read, table: &str, key: &[u8]) -> Result<Option<Value>, StoreError> {
        allowed(table)?;
        from.get(table, key)?.map(|sealed| self.open(table, key, &sealed)).transpose()
    }

    fn scan(&self, from: &dyn Read, table: &str, bounds: (&[u8], &[u8]), visit: &mut Visit<'_>) -> Scanned {
        allowed(table)?;
        let mut failed = Ok(());
        from.scan(table, bounds.0, bounds.1, &mut |key, sealed| match self.open(table, key, sealed) {
            Ok(plain) => visit(key, &plain),
            Err(err) => {
                failed = Err(err);
                ControlFlow::Break(())
            }
        })?;
        failed
    }
}

type Scanned = Result<(), StoreError>;

/// Refuses the store's own table to its callers.
pub(crate) fn allowed(table: &str) -> Result<(), StoreError> {
    if table == HEADER_TABLE {
        return Err(StoreError::Table { table: table.to_owned(), reason: "reserved for the store's header" });
    }
    Ok(())
}

impl<S: Backend> Read for Sealed<S> {
    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Value>, StoreError> {
        self.seal.get(&self.inner, table, key)
    }

    fn scan(&self, table: &str, prefix: &[u8], from: &[u8], visit: &mut Visit<'_>) -> Scanned {
        self.seal.scan(&self.inner, table, (prefix, from), visit)
    }
}

impl<S: Backend> Store for Sealed<S> {
    fn begin(&self) -> Result<Box<dyn Txn + '_>, StoreError> {
        Ok(Box::new(SealedTxn { inner: self.inner.begin()?, seal: &self.seal }))
    }
}

struct SealedTxn<'a> {
    inner: Box<dyn Txn + 'a>,
    seal: &'a Seal,
}

impl Read for SealedTxn<'_> {
    fn get(&self, table: &str, key: &[u8]) -> Result<Option<Value>, StoreError> {
        self.seal.get(&*self.inner, table, key)
    }

    fn scan(&self, table: &str, prefix: &[u8], from: &[u8], visit: &mut Visit<'_>) -> Scanned {
        self.seal.scan(&*self.inner, table, (prefix, from), visit)
    }
}

impl Txn for SealedTxn<'_> {
    fn put(&mut self, table: &str, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        allowed(table)?;
        self.inner.put(table, key, &self.seal.seal(table, key, value)?)
    }

    fn delete(&mut self, table: &str, key: &[u8]) -> Result<(), StoreError> {
        allowed(table)?;
        self.inner.delete(table, key)
    }

    fn commit(self: Box<Self>) -> Result<Durable, StoreError> {
        self.inner.commit()
    }
}
