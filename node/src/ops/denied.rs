//! A request this node's own policy denied, where that policy counts such attempts.

use quorate_policy::RuleFailure;
use quorate_store::update;
use serde_json::{Value, json};

use crate::guard::Request;
use crate::node::Node;
use crate::sessions::SessionError;

/// Rule failures written down of a denial, and characters of each of their words: an entry of the log has a largest size.
const MAX_FAILURES: usize = 16;
const MAX_WORDS: usize = 240;

/// Counts it in this node's own ledger and log, by the denial as it is in that transaction. What was denied at the gate this
/// node never hears of; what it denies here an honest gate would have.
///
/// # Errors
/// [`SessionError`] where the store fails.
pub(crate) fn count(node: &Node, request: &Request) -> Result<(), SessionError> {
    if !request.policy.policy().counts_denied() {
        return Ok(());
    }
    let (receipt, synced) = update(&*node.store, |txn| {
        let denial = match request.approve_fully(node, txn) {
            Err(SessionError::Denied(denial)) if denial.is_attempt() && !denial.waits() => denial,
            Err(SessionError::Denied(_)) | Ok(_) => return Ok(None),
            Err(error) => return Err(error),
        };
        let (wallet, now) = (&request.wallet.wallet, node.clock.now());
        if !quorate_ledger::count_denied(txn, wallet, (&request.key, request.payload_hash), now)? {
            return Ok(None);
        }
        let failures: Vec<_> = denial.failures.iter().take(MAX_FAILURES).map(told).collect();
        let event = request.event("sign.denied").field("failures", failures);
        Ok::<_, SessionError>(Some(quorate_audit::append(txn, now, &event)?))
    })?;
    receipt.map(|receipt| receipt.confirm(&synced));
    Ok(())
}

fn told(failure: &RuleFailure) -> Value {
    let short = |words: &str| words.chars().take(MAX_WORDS).collect::<String>();
    json!({
        "rule": failure.rule,
        "limit": short(&failure.limit),
        "used": failure.used.as_deref().map(short),
        "requested": short(&failure.requested),
        "resets_at_ms": failure.resets_at_ms,
    })
}
