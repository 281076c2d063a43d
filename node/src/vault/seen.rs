//! Which execution ids were used. One is never used twice.

use std::ops::ControlFlow;

use quorate_store::Txn;
use quorate_types::{B256, UnixMillis};

use super::{Vault, VaultError};

/// Execution id to when it was marked.
const SEEN: &str = "vault.session";
/// When, and execution id: what to forget first.
const BY_TIME: &str = "vault.session-time";

/// How long a mark is kept. This node's own fresh nonce is in every execution id, so an old one cannot come again; the
/// marks guard against a broken random generator, such as a machine restored from a snapshot.
const KEPT_MS: u64 = 30 * 24 * 60 * 60 * 1000;

/// Old marks forgotten with each new one.
const FORGET: usize = 4;

impl Vault {
    /// Marks an execution id as used, in the caller's transaction.
    ///
    /// # Errors
    /// [`VaultError::SessionSeen`] where it was marked before; or the store.
    pub(crate) fn mark_session(
        &self,
        txn: &mut dyn Txn,
        eid: &B256,
        now: UnixMillis,
    ) -> Result<(), VaultError> {
        if txn.get(SEEN, eid.as_slice())?.is_some() {
            return Err(VaultError::SessionSeen);
        }
        forget(txn, now)?;
        txn.put(SEEN, eid.as_slice(), &now.to_be_bytes())?;
        Ok(txn.put(BY_TIME, &[&now.to_be_bytes(), eid.as_slice()].concat(), &[])?)
    }
}

fn forget(txn: &mut dyn Txn, now: UnixMillis) -> Result<(), VaultError> {
    let horizon = now.saturating_sub(KEPT_MS).to_be_bytes();
    let mut old = Vec::new();
    txn.scan(BY_TIME, &[], &[], &mut |key, _| {
        if old.len() == FORGET || key.get(..8).is_none_or(|at| at >= horizon.as_slice()) {
            return ControlFlow::Break(());
        }
        old.push(key.to_vec());
        ControlFlow::Continue(())
    })?;
    for key in old {
        txn.delete(SEEN, key.get(8..).unwrap_or_default())?;
        txn.delete(BY_TIME, &key)?;
    }
    Ok(())
}
