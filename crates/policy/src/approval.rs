//! The proof that a policy said yes.

use quorate_intent::Charge;
use quorate_types::{B256, WalletId};

/// A yes. Only [`evaluate`](crate::evaluate) makes one, and it cannot be copied: one yes is for one request.
#[derive(Debug, PartialEq, Eq)]
pub struct Approval {
    pub(crate) policy_hash: B256,
    pub(crate) policy_version: u64,
    pub(crate) wallet: WalletId,
    pub(crate) charges: Vec<Charge>,
}

impl Approval {
    /// The policy that said yes.
    pub const fn policy_hash(&self) -> B256 {
        self.policy_hash
    }

    /// Its version.
    pub const fn policy_version(&self) -> u64 {
        self.policy_version
    }

    /// The wallet that may sign.
    pub const fn wallet(&self) -> &WalletId {
        &self.wallet
    }

    /// What the rules were shown, and what a ledger must reserve.
    pub fn charges(&self) -> &[Charge] {
        &self.charges
    }
}
