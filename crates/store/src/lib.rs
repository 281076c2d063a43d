//! A small synced key-value store. One writer at a time, a commit that returns only after the disk has it, and a
//! [`Durable`] token to prove it: what must be on disk before it is said demands the token.
//!
//! [`open`] gives the store the servers run on: redb in a locked, private directory, every value sealed under a data
//! key that a [`Kek`] wraps. Values are sealed, **keys and table names are stored in clear**: never put a secret in a key.
//!
//! What this does not protect against: someone who can write to the disk may put back an older copy of the whole
//! directory. The audit chain and the nodes' independent ledgers are what notice that.

mod acknowledged;
mod binding;
mod dir;
mod error;
mod header;
mod kdf;
mod kek;
mod kek_config;
mod keyspace;
mod nested;
mod open;
mod overlay;
mod poison;
mod redb_store;
mod seal;
mod sealed;
mod store;
mod writer;

#[cfg(feature = "sled")]
mod sled_store;

#[cfg(feature = "doubles")]
mod failing;
#[cfg(feature = "doubles")]
mod mem;

pub use binding::Binding;
pub use error::StoreError;
pub use kek::Kek;
pub use kek_config::KekConfig;
pub use open::open;
pub use redb_store::RedbStore;
pub use sealed::{Backend, Sealed};
pub use store::{Durable, Read, Store, Txn, Value, Visit, update};
pub use writer::Writer;

#[cfg(feature = "sled")]
pub use open::open_sled;
#[cfg(feature = "sled")]
pub use sled_store::SledStore;

#[cfg(feature = "doubles")]
pub use failing::{Aftermath, FailingStore};
#[cfg(feature = "doubles")]
pub use mem::MemStore;
