//! Which execution ids were used. One is never used twice.

use quorate_store::Txn;
use quorate_types::{B256, UnixMillis};

use super::{Vault, VaultError};
use crate::kept::Kept;

/// Execution id to when it was marked.
const SEEN: &str = "vault.session";

/// How long a mark is kept: thirty days. This node's own fresh nonce is in every execution id, so an old one cannot come again; the
/// marks guard against a broken random generator, such as a machine restored from a snapshot.
const KEPT: Kept = Kept { records: SEEN, by_time: "vault.session-time", for_ms: 30 * 24 * 60 * 60 * 1000 };

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
        Ok(KEPT.put(txn, eid, &now.to_be_bytes(), now)?)
    }
}
