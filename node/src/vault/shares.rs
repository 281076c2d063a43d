//! Signing shares, opened when they are needed and kept while they are in use.

use std::collections::HashMap;
use std::sync::Arc;

use quorate_mpc::SigningShare;
use quorate_types::WalletId;

use super::{Vault, VaultError, lock};

/// Wallets whose share may be open at once. Each is some 10 kB; the tables are their group's and shared.
const OPEN: usize = 256;

/// The open shares. Where it is full the one used longest ago is closed.
#[derive(Default)]
pub(super) struct Cache {
    open: HashMap<WalletId, (u64, Arc<SigningShare>)>,
    uses: u64,
}

impl Cache {
    fn get(&mut self, wallet: &WalletId) -> Option<Arc<SigningShare>> {
        self.uses = self.uses.wrapping_add(1);
        let (used, share) = self.open.get_mut(wallet)?;
        *used = self.uses;
        Some(Arc::clone(share))
    }

    fn put(&mut self, wallet: &WalletId, share: &Arc<SigningShare>) {
        if self.open.len() >= OPEN
            && let Some(oldest) = self.open.iter().min_by_key(|(_, (used, _))| *used)
        {
            let oldest = oldest.0.clone();
            self.open.remove(&oldest);
        }
        self.uses = self.uses.wrapping_add(1);
        self.open.insert(wallet.clone(), (self.uses, Arc::clone(share)));
    }

    /// Closes them all.
    pub(super) fn clear(&mut self) {
        self.open.clear();
    }
}

impl Vault {
    /// The wallet's share, ready to sign. Only of an active wallet.
    ///
    /// # Errors
    /// [`VaultError::NotActive`], [`VaultError::NotEnrolled`], the store, or a share that does not hold.
    pub(crate) fn signing_share(&self, wallet: &WalletId) -> Result<Arc<SigningShare>, VaultError> {
        if let Some(share) = lock(&self.shares).get(wallet) {
            return Ok(share);
        }
        let record = self.wallet(wallet)?.ok_or_else(|| VaultError::NotActive(wallet.clone()))?;
        let share = self.share(&record)?;
        let aux = self.aux(&record.group)?.ok_or_else(|| VaultError::NotEnrolled(record.group.clone()))?;
        let share = share.with_aux(&aux).map_err(|error| VaultError::Share(wallet.clone(), error))?;
        let share = Arc::new(share);
        lock(&self.shares).put(wallet, &share);
        Ok(share)
    }
}
