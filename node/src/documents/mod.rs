//! The documents people signed that this node goes by: one manifest, a policy per wallet, and freeze orders.
//!
//! A document is synced before it is in force, and versions only go up: neither a coordinator, nor an older file on
//! disk, nor a restart brings an older one back.

mod error;
mod freezes;
mod manifest;
mod policies;
mod record;
mod waiting;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use arc_swap::ArcSwap;
use quorate_freeze::FrozenSet;
use quorate_manifest::{Manifest, Pinned};
use quorate_policy::SignedPolicy;
use quorate_session::NodePublicKey;
use quorate_store::Store;
use quorate_types::{Clock, ClusterId, NodeId, Role, WalletId};

pub use error::DocumentsError;
pub(crate) use manifest::{Offered, read_document};
use policies::Held;
pub(crate) use policies::{Created, Put};

/// Who this node is. A manifest must say the same.
pub(crate) struct Expected {
    /// The cluster.
    pub(crate) cluster: ClusterId,
    /// The node.
    pub(crate) me: NodeId,
    /// Its role.
    pub(crate) role: Role,
    /// Its identity key.
    pub(crate) key: NodePublicKey,
    /// Whether it was told that it is a dev node.
    pub(crate) dev: bool,
}

impl Expected {
    fn check(&self, manifest: &Manifest) -> Result<(), DocumentsError> {
        let refuse = |field, reason: String| Err(DocumentsError::NotOurs { field, reason });
        if *manifest.cluster() != self.cluster {
            return refuse(
                "cluster",
                format!("is {}, this node belongs to {}", manifest.cluster(), self.cluster),
            );
        }
        if manifest.is_dev() != self.dev {
            let reason = format!("is {}, this node is configured with {}", manifest.is_dev(), self.dev);
            return refuse("dev", reason);
        }
        let Some(entry) = manifest.node(&self.me) else {
            return refuse("nodes", format!("there is no {} in it", self.me));
        };
        if entry.key != self.key {
            return refuse(
                "nodes",
                format!("{} has the key {}, this node's is {}", self.me, entry.key, self.key),
            );
        }
        if entry.role != self.role {
            return refuse(
                "nodes",
                format!("{} is {}, this node is configured as {}", self.me, entry.role, self.role),
            );
        }
        Ok(())
    }
}

/// The documents in force.
pub(crate) struct Documents {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    expected: Expected,
    pinned: ArcSwap<Pinned>,
    policies: RwLock<HashMap<WalletId, Held>>,
    frozen: ArcSwap<FrozenSet>,
    // One change at a time, so that what is checked is what is replaced.
    changing: Mutex<()>,
}

impl Documents {
    /// The manifest in force.
    pub(crate) fn manifest(&self) -> Arc<Pinned> {
        self.pinned.load_full()
    }

    /// The wallet's policy in force. None means that nothing is allowed.
    pub(crate) fn policy(&self, wallet: &WalletId) -> Option<Arc<SignedPolicy>> {
        let policies = self.policies.read().unwrap_or_else(PoisonError::into_inner);
        policies.get(wallet).and_then(Held::in_force)
    }

    /// What is frozen now.
    pub(crate) fn frozen(&self) -> Arc<FrozenSet> {
        self.frozen.load_full()
    }

    fn change(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod loosening_tests;
#[cfg(test)]
mod tests;
