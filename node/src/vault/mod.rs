//! Shares and auxiliary info at rest, and the public record of every wallet this node holds a share of.
//!
//! No share is ever overwritten or deleted here. A wallet may have several keys until one of them is activated by the
//! three nodes' statements: all of their shares are kept, so that no coordinator can have a key destroyed that somebody
//! was told of. A cold node's vault keeps records and hashes only.

mod aux_info;
mod error;
mod record;
mod seen;
mod shares;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quorate_mpc::{GroupAux, Moduli};
use quorate_store::Store;
use quorate_types::{GroupId, Role};

pub(crate) use error::VaultError;
pub(crate) use record::WalletRecord;
use shares::Cache;

/// Everything this node keeps of its groups and wallets.
pub(crate) struct Vault {
    store: Arc<dyn Store>,
    role: Role,
    moduli: Moduli,
    aux: Mutex<HashMap<GroupId, Arc<GroupAux>>>,
    shares: Mutex<Cache>,
}

impl Vault {
    /// The vault of a node of `role`, in `store`. Auxiliary info that `moduli` does not allow is not read.
    pub(crate) fn new(store: Arc<dyn Store>, role: Role, moduli: Moduli) -> Self {
        Self { store, role, moduli, aux: Mutex::default(), shares: Mutex::default() }
    }
}

/// What is cached is whole at every moment, so a thread that panicked beside it spoiled nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
