//! Why the vault refused.

use quorate_mpc::{AuxError, ShareError};
use quorate_store::StoreError;
use quorate_types::{GroupId, WalletId};

/// Why the vault refused, sorted by whose fault it is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VaultError {
    // Whoever asked.
    /// The wallet has its key already, for ever.
    #[error("wallet {0} is active already; its key is never made again")]
    Active(WalletId),
    /// The wallet was started too often without ever being activated.
    #[error("wallet {0} has too many keys that were never activated; take another name")]
    TooManyPending(WalletId),
    /// No such wallet, or none that its three nodes have vouched for.
    #[error("wallet {0} is not active on this node")]
    NotActive(WalletId),
    /// No auxiliary info for the group.
    #[error("group {0} is not enrolled on this node")]
    NotEnrolled(GroupId),
    /// New auxiliary info would not fit the shares that were made beside the old.
    #[error("group {0} has wallets; its auxiliary info is never made again")]
    HasWallets(GroupId),
    /// The group's auxiliary info is not what the session agreed on.
    #[error("group {0} was enrolled again meanwhile")]
    OtherAux(GroupId),
    /// The execution id was used before.
    #[error("execution id: already used on this node")]
    SessionSeen,

    // This program.
    /// A cold node's secrets leave by sealed files; its store keeps none.
    #[error("a cold node keeps no {0}")]
    ColdSecret(&'static str),
    /// That very key is there already, with its share.
    #[error("wallet {0}: this key is kept already")]
    Kept(WalletId),

    // The disk.
    /// A record of another version, or damaged before it was sealed.
    #[error("vault record of {0}: malformed")]
    Malformed(String),
    /// A stored share that does not hold.
    #[error("wallet {0}: {1}")]
    Share(WalletId, ShareError),
    /// Stored auxiliary info that does not hold.
    #[error("group {0}: {1}")]
    Aux(GroupId, AuxError),
    /// The store.
    #[error("store: {0}")]
    Store(#[from] StoreError),
}
