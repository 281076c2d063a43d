//! Auxiliary info: one record per group, its tables built once.

use std::sync::Arc;

use quorate_mpc::GroupAux;
use quorate_store::{Read, Txn};
use quorate_types::{B256, GroupId, Role};

use super::record::{has_wallets, keep_file};
use super::{Vault, VaultError, lock};
use crate::cold::Sealed;

/// Group to auxiliary info, this node's primes included.
const AUX: &str = "vault.aux";
/// Group to the hash of its public part.
const HASHES: &str = "vault.aux-hash";

impl Vault {
    /// The group's auxiliary info with its tables, where the group is enrolled. Cached. None on a cold node.
    ///
    /// # Errors
    /// The store, or a record that does not hold.
    pub(crate) fn aux(&self, group: &GroupId) -> Result<Option<Arc<GroupAux>>, VaultError> {
        // Held while the tables are built, so that they are built once.
        let mut cache = lock(&self.aux);
        if let Some(aux) = cache.get(group) {
            return Ok(Some(Arc::clone(aux)));
        }
        let Some(aux) = self.aux_record(group)? else { return Ok(None) };
        let tables = aux.with_tables().map_err(|error| VaultError::Aux(group.clone(), error))?;
        let aux = Arc::new(tables);
        cache.insert(group.clone(), Arc::clone(&aux));
        Ok(Some(aux))
    }

    /// The group's auxiliary info as it is stored, without tables. None on a cold node.
    ///
    /// # Errors
    /// The store, or a record that does not hold.
    pub(crate) fn aux_record(&self, group: &GroupId) -> Result<Option<GroupAux>, VaultError> {
        let Some(bytes) = self.store.get(AUX, group.as_str().as_bytes())? else { return Ok(None) };
        let failed = |error| VaultError::Aux(group.clone(), error);
        let aux = GroupAux::from_bytes(&bytes, self.moduli).map_err(failed)?;
        if aux.party() != self.role.index() {
            return Err(VaultError::Malformed(format!("group {group}")));
        }
        Ok(Some(aux))
    }

    /// The hash of the group's public auxiliary info, where the group is enrolled. Also on a cold node.
    ///
    /// # Errors
    /// The store, or a malformed record.
    pub(crate) fn aux_hash(&self, group: &GroupId) -> Result<Option<B256>, VaultError> {
        hash(&*self.store, group)
    }

    /// Refuses where the group's auxiliary info is no longer the one a session agreed on. Asked in the transaction that
    /// keeps what the session made: a relay may hold one session's last message back while another one ends.
    ///
    /// # Errors
    /// [`VaultError::OtherAux`], or the store.
    pub(crate) fn check_aux(
        &self,
        txn: &mut dyn Txn,
        group: &GroupId,
        agreed: &B256,
    ) -> Result<(), VaultError> {
        if hash(&*txn, group)?.as_ref() == Some(agreed) {
            Ok(())
        } else {
            Err(VaultError::OtherAux(group.clone()))
        }
    }

    /// Keeps the group's auxiliary info, in place of an older one that no wallet was made beside.
    ///
    /// # Errors
    /// [`VaultError::HasWallets`], the store, or a cold node: see [`Self::keep_aux_hash`].
    pub(crate) fn keep_aux(
        &self,
        txn: &mut dyn Txn,
        group: &GroupId,
        aux: &GroupAux,
    ) -> Result<(), VaultError> {
        if self.role == Role::Cold {
            return Err(VaultError::ColdSecret("auxiliary info"));
        }
        check_free(&*txn, group)?;
        let bytes = aux.to_bytes().map_err(|error| VaultError::Aux(group.clone(), error))?;
        txn.put(AUX, group.as_str().as_bytes(), &bytes)?;
        Ok(txn.put(HASHES, group.as_str().as_bytes(), aux.hash().as_slice())?)
    }

    /// Keeps the hash of auxiliary info that left, proven, in a sealed file.
    ///
    /// # Errors
    /// [`VaultError::HasWallets`], or the store.
    pub(crate) fn keep_aux_hash(
        &self,
        txn: &mut dyn Txn,
        group: &GroupId,
        hash: &B256,
        file: &Sealed,
    ) -> Result<(), VaultError> {
        check_free(&*txn, group)?;
        txn.put(HASHES, group.as_str().as_bytes(), hash.as_slice())?;
        keep_file(txn, file)
    }

    /// Takes auxiliary info that was just kept, tables built, into the cache. Shares joined with an older one go.
    pub(crate) fn remember_aux(&self, group: &GroupId, aux: Arc<GroupAux>) {
        lock(&self.aux).insert(group.clone(), aux);
        lock(&self.shares).clear();
    }
}

fn hash(read: &dyn Read, group: &GroupId) -> Result<Option<B256>, VaultError> {
    let Some(bytes) = read.get(HASHES, group.as_str().as_bytes())? else { return Ok(None) };
    let malformed = |_| VaultError::Malformed(format!("group {group}"));
    B256::try_from(bytes.as_slice()).map(Some).map_err(malformed)
}

/// Asked again where the session ends: wallets may have been made since it began.
fn check_free(read: &dyn Read, group: &GroupId) -> Result<(), VaultError> {
    if has_wallets(read, group)? { Err(VaultError::HasWallets(group.clone())) } else { Ok(()) }
}
