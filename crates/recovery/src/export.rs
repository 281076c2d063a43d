//! The last resort: a wallet's whole key, in one process and then in one encrypted file.
//!
//! Whoever has that file and its passphrase has the wallet, and no policy stands between them and the money.

use quorate_mpc::{CoreShare, ShareError};
use quorate_types::{Address, B256, WalletId};

use crate::frame::Hello;
use crate::keystore::{self, KeystoreError};
use crate::package::SharePackage;
use crate::pair::{PairError, belong_together};

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The packages are not of one key.
    #[error(transparent)]
    Pair(#[from] PairError),
    /// They do not make it.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// It could not be encrypted.
    #[error(transparent)]
    Keystore(#[from] KeystoreError),
}

/// Two parties' packages of one key, checked; nothing is assembled yet.
pub struct Reconstruction {
    shares: [CoreShare; 2],
    address: Address,
}

impl Reconstruction {
    /// Checks that the packages are of two parties and of one key of `wallet`.
    ///
    /// # Errors
    /// [`ExportError::Pair`].
    pub fn new(packages: [SharePackage; 2], wallet: &WalletId) -> Result<Self, ExportError> {
        let [one, two] = packages;
        let hello = |package: &SharePackage| Hello {
            facts: package.facts.clone(),
            wallet: package.wallet.clone(),
            nonce: B256::ZERO,
        };
        belong_together(&hello(&one), &hello(&two), wallet)?;
        Ok(Self { address: one.wallet.address, shares: [one.share, two.share] })
    }

    /// The key as an encrypted Web3 keystore (version 3). What is whole in memory is wiped before this returns.
    ///
    /// # Errors
    /// [`ExportError`]; it holds nothing secret.
    pub fn keystore(self, passphrase: &[u8]) -> Result<String, ExportError> {
        let secret = CoreShare::reconstruct(&self.shares)?;
        Ok(keystore::encrypt(&secret, self.address, passphrase)?)
    }
}
