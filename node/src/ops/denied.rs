//! A request this node's own policy denied, where that policy counts such attempts.

use quorate_audit::Event;
use quorate_store::update;

use crate::guard::Request;
use crate::node::Node;
use crate::sessions::SessionError;

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
        let rules: Vec<_> = denial.failures.iter().map(|failure| failure.rule.clone()).collect();
        let event = Event::new("sign.denied")
            .wallet(wallet)
            .field("payload_hash", request.payload_hash.to_string())
            .field("summary", request.decoded.intent.summary())
            .field("asked_by", serde_json::json!(request.agent))
            .field("rules", serde_json::json!(rules));
        Ok::<_, SessionError>(Some(quorate_audit::append(txn, now, &event)?))
    })?;
    receipt.map(|receipt| receipt.confirm(&synced));
    Ok(())
}
