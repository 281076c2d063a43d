//! A request goes on hold here when this node hears of it, by its own clock and in its own ledger.

use quorate_audit::Event;
use quorate_policy::hold;
use quorate_proto::v1;
use quorate_store::update;
use quorate_types::Role;

use crate::guard::Request;
use crate::node::Node;
use crate::sessions::SessionError;

/// Writes down since when. Nothing is answered: whoever asks too early hears when it is time. Waits for the disk.
pub(crate) fn run(node: &Node, start: v1::StartSign) {
    let wallet = start.wallet.clone();
    match begin(node, start) {
        Ok(()) => {}
        Err(SessionError::Fatal(reason)) => node.stop(&reason),
        Err(error) => tracing::warn!(%wallet, %error, "a hold was not begun"),
    }
}

fn begin(node: &Node, start: v1::StartSign) -> Result<(), SessionError> {
    if node.role != Role::Service {
        return Err(SessionError::caller("role", "only a service node keeps holds"));
    }
    let request = Request::open(node, start)?;
    // What stands against it beside the hold is no hold to be kept.
    match request.approve_fully(node, &*node.store) {
        Ok(_) => return Ok(()),
        Err(SessionError::Denied(denial)) if denial.waits() => {}
        Err(error) => return Err(error),
    }
    let (receipt, synced) = update(&*node.store, |txn| {
        let facts = request.facts(node, txn)?;
        let Some(hold) = hold(request.policy.policy(), &facts) else { return Ok(None) };
        if facts.held_since == Some(hold.since) {
            return Ok(None);
        }
        let wallet = &request.wallet.wallet;
        quorate_ledger::hold(txn, wallet, request.payload_hash, hold.since)?;
        let event = Event::new("sign.held")
            .wallet(wallet)
            .field("payload_hash", request.payload_hash.to_string())
            .field("summary", request.decoded.intent.summary())
            .field("until_ms", hold.until);
        Ok::<_, SessionError>(Some(quorate_audit::append(txn, facts.now, &event)?))
    })?;
    receipt.map(|receipt| receipt.confirm(&synced));
    Ok(())
}
