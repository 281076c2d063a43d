//! What a node that was restored from a backup may not do yet. A backup holds keys and no memory: what was spent, and
//! which documents came last, is forgotten. The mark is made before the first share is written, and stays for life.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use quorate_policy::SignedPolicy;
use quorate_recovery::Readmission;
use quorate_store::{Read, Store, StoreError, Txn};
use quorate_types::{B256, UnixMillis, WalletId};
use serde::{Deserialize, Serialize};

use crate::node::Node;
use crate::sessions::SessionError;

/// Holds the mark.
const MARK: &str = "restored";
const KEY: &[u8] = b"mark";
/// Restored wallet to the lowest version of its policy that is signed under, 8 bytes big-endian; 0 where none is yet.
const FLOORS: &str = "restored.wallet";

/// Why the mark could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum MarkError {
    /// Of another version of this software, or damaged before it was sealed.
    #[error("stored mark of a restore: malformed")]
    Malformed,
    /// The store.
    #[error("store: {0}")]
    Store(#[from] StoreError),
}

/// One restore of this node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    format: u8,
    /// Drawn by the restore.
    pub(crate) restore: B256,
    /// When it was.
    pub(crate) at_ms: UnixMillis,
    /// What the operators said since.
    readmitted: Option<Readmitted>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Readmitted {
    sign_from_ms: UnixMillis,
    manifest: u64,
    freezes: BTreeMap<String, u64>,
}

impl Mark {
    /// The mark of a restore that nobody has acknowledged.
    pub(crate) const fn new(restore: B256, at_ms: UnixMillis) -> Self {
        Self { format: 1, restore, at_ms, readmitted: None }
    }

    /// The mark in the store, where this node was restored.
    ///
    /// # Errors
    /// [`MarkError`].
    pub(crate) fn load(read: &dyn Read) -> Result<Option<Self>, MarkError> {
        let Some(bytes) = read.get(MARK, KEY)? else { return Ok(None) };
        match postcard::take_from_bytes::<Self>(&bytes) {
            Ok((mark, [])) if mark.format == 1 => Ok(Some(mark)),
            _ => Err(MarkError::Malformed),
        }
    }

    /// Writes it in the caller's transaction.
    ///
    /// # Errors
    /// [`MarkError`].
    pub(crate) fn write(&self, txn: &mut dyn Txn) -> Result<(), MarkError> {
        let bytes = postcard::to_allocvec(self).map_err(|_| MarkError::Malformed)?;
        Ok(txn.put(MARK, KEY, &bytes)?)
    }

    /// Takes in what the operators say. What they said before stays the least.
    pub(crate) fn readmit(&mut self, said: &Readmission) {
        let known = self.readmitted.get_or_insert_default();
        known.sign_from_ms = known.sign_from_ms.max(said.sign_from_ms);
        known.manifest = known.manifest.max(said.manifest);
        for (scope, sequence) in &said.freezes {
            let kept = known.freezes.entry(scope.clone()).or_default();
            *kept = (*kept).max(*sequence);
        }
    }
}

/// The lowest version of a restored wallet's policy that is signed under; 0 where the operators have not named it.
/// None where the wallet was made since.
pub(crate) fn floor(read: &dyn Read, wallet: &WalletId) -> Result<Option<u64>, MarkError> {
    let Some(bytes) = read.get(FLOORS, wallet.as_str().as_bytes())? else { return Ok(None) };
    let bytes = <[u8; 8]>::try_from(bytes.as_slice()).map_err(|_| MarkError::Malformed)?;
    Ok(Some(u64::from_be_bytes(bytes)))
}

/// Sets a restored wallet's floor. It never goes down.
pub(crate) fn raise_floor(txn: &mut dyn Txn, wallet: &WalletId, version: u64) -> Result<(), MarkError> {
    let version = version.max(floor(&*txn, wallet)?.unwrap_or(0));
    Ok(txn.put(FLOORS, wallet.as_str().as_bytes(), &version.to_be_bytes())?)
}

/// How many restored wallets no readmission has named.
pub(crate) fn unnamed(read: &dyn Read) -> Result<usize, MarkError> {
    let mut count = 0;
    read.scan(FLOORS, &[], &[], &mut |_, floor| {
        count += usize::from(floor == [0; 8]);
        ControlFlow::Continue(())
    })?;
    Ok(count)
}

/// What a running node goes by.
pub(crate) struct Restored {
    mark: Option<Mark>,
    store: Arc<dyn Store>,
}

impl Restored {
    /// As the store says at start. It changes only while the node is stopped.
    ///
    /// # Errors
    /// [`MarkError`].
    pub(crate) fn load(store: Arc<dyn Store>) -> Result<Self, MarkError> {
        let mark = Mark::load(&*store)?;
        if let Some(mark) = mark.as_ref().filter(|mark| mark.readmitted.is_none()) {
            tracing::warn!(restore = %mark.restore, "restored from a backup: nothing is signed before `quorate-node readmit`");
        }
        Ok(Self { mark, store })
    }

    /// When this node was restored, in Unix milliseconds; 0 where it never was. Its log begins there.
    pub(crate) fn life(&self) -> UnixMillis {
        self.mark.as_ref().map_or(0, |mark| mark.at_ms)
    }

    /// Whether this node may take part in making keys.
    ///
    /// # Errors
    /// [`SessionError::Caller`] where it was restored and nobody has acknowledged it.
    pub(crate) fn check(&self) -> Result<(), SessionError> {
        self.readmitted()?;
        Ok(())
    }

    fn readmitted(&self) -> Result<Option<&Readmitted>, SessionError> {
        let Some(mark) = &self.mark else { return Ok(None) };
        let readmitted = mark.readmitted.as_ref();
        readmitted.map(Some).ok_or_else(|| {
            refused("was restored from a backup, and its operators have not readmitted it: `quorate-node readmit`")
        })
    }

    /// Whether a wallet may sign under a policy.
    ///
    /// # Errors
    /// [`SessionError::Caller`] saying what the operators' readmission still demands.
    pub(crate) fn check_wallet(&self, node: &Node, policy: &SignedPolicy) -> Result<(), SessionError> {
        let Some(said) = self.readmitted()? else { return Ok(()) };
        if node.clock.now() < said.sign_from_ms {
            return Err(refused(format!(
                "was restored, and signs from Unix millisecond {} on",
                said.sign_from_ms
            )));
        }
        let version = node.documents.manifest().manifest().version();
        if version < said.manifest {
            let least = said.manifest;
            return Err(refused(format!("was restored, and has manifest {version}, not yet {least}")));
        }
        for (scope, least) in &said.freezes {
            let frozen = node.documents.frozen();
            let seen = frozen.orders().find(|order| order.scope().to_string() == *scope);
            if seen.is_none_or(|order| order.sequence() < *least) {
                return Err(refused(format!(
                    "was restored, and has not yet seen freeze order {least} for {scope}"
                )));
            }
        }
        let wallet = policy.wallet();
        match floor(&*self.store, wallet).map_err(|error| SessionError::Bug(error.to_string()))? {
            Some(0) => Err(refused(format!("was restored, and no readmission names wallet {wallet}"))),
            Some(least) if policy.version() < least => {
                let version = policy.version();
                Err(refused(format!("was restored, and has policy {version} of {wallet}, not yet {least}")))
            }
            _ => Ok(()),
        }
    }
}

fn refused(reason: impl ToString) -> SessionError {
    SessionError::caller("node", reason)
}
