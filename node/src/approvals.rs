//! Approvals this node acted on: each is for one request, and is used up by it.

use quorate_approval::Nonce;
use quorate_store::Txn;
use quorate_types::{B256, Transcript};

use crate::guard::Request;
use crate::kept::Kept;
use crate::sessions::SessionError;

/// Nonce to the request it was used for. An approval lives for 31 days at most; two clocks may differ by one.
const USED: Kept =
    Kept { records: "approval.used", by_time: "approval.used-by-time", for_ms: 32 * 24 * 60 * 60 * 1000 };

/// Uses up the request's approval, if it has one, in the transaction that precedes this node's contribution. The same
/// request may be signed again.
///
/// # Errors
/// [`SessionError::Caller`] where another request used it; the store's.
pub(crate) fn use_up(txn: &mut dyn Txn, request: &Request, now: u64) -> Result<(), SessionError> {
    let Some(approval) = &request.approval else { return Ok(()) };
    let id = id(approval.nonce());
    match txn.get(USED.records, id.as_slice())? {
        Some(used_for) if used_for.as_slice() == request.terms.subject.as_slice() => Ok(()),
        Some(_) => Err(SessionError::caller("approval", "another request used it up")),
        None => Ok(USED.put(txn, &id, request.terms.subject.as_slice(), now)?),
    }
}

fn id(nonce: Nonce) -> B256 {
    Transcript::new("quorate/approval-nonce/v1").field(&nonce.0).finish()
}
