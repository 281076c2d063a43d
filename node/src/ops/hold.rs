//! A request goes on hold here when this node hears of it, by its own clock and in its own ledger.

use quorate_audit::Event;
use quorate_policy::{Facts, hold};
use quorate_proto::{required, v1};
use quorate_store::update;
use quorate_types::{B256, Role, WalletId};
use serde_json::json;

use crate::guard::Request;
use crate::node::Node;
use crate::sessions::SessionError;

/// Writes down since when. Nothing is answered: whoever asks too early hears when it is time. Waits for the disk.
pub(crate) fn run(node: &Node, start: v1::StartSign) {
    let wallet = start.wallet.clone();
    match hear(node, start) {
        Ok(()) => {}
        Err(SessionError::Fatal(reason)) => node.stop(&reason),
        Err(error) => tracing::warn!(%wallet, %error, "a hold was not begun"),
    }
}

fn hear(node: &Node, start: v1::StartSign) -> Result<(), SessionError> {
    only_service(node)?;
    let request = Request::open(node, start)?;
    match request.approve_fully(node, &*node.store) {
        Ok(_) => Ok(()),
        Err(SessionError::Denied(denial)) if denial.waits() => begin(node, &request),
        // What stands against it beside the hold is no hold to be kept.
        Err(error) => Err(error),
    }
}

/// Forgets when one began: somebody said no to it at the coordinator. Whoever tells that in vain, or in bad faith, has others
/// wait longer and nothing else. Waits for the disk.
pub(crate) fn end(node: &Node, ended: &v1::EndHold) {
    match forget(node, ended) {
        Ok(()) => {}
        Err(SessionError::Fatal(reason)) => node.stop(&reason),
        Err(error) => tracing::warn!(%error, "a hold was not ended"),
    }
}

fn forget(node: &Node, ended: &v1::EndHold) -> Result<(), SessionError> {
    only_service(node)?;
    let wallet: WalletId = required("wallet", &ended.wallet)?;
    let hash = B256::try_from(ended.payload_hash.as_slice());
    let hash = hash.map_err(|_| SessionError::caller("payload_hash", "must be 32 bytes"))?;
    // So many a minute: a coordinator that has them begin and end for ever would fill the log.
    let now = node.clock.now();
    if !quorate_ledger::is_held(&*node.store, &wallet, hash)?
        || node.ended_holds.take(wallet.clone(), now).is_none()
    {
        return Ok(());
    }
    let (receipt, synced) = update(&*node.store, |txn| {
        if !quorate_ledger::end_hold(txn, &wallet, hash)? {
            return Ok(None);
        }
        let event = Event::new("sign.hold_ended").wallet(&wallet).field("payload_hash", json!(hash));
        Ok::<_, SessionError>(Some(quorate_audit::append(txn, now, &event)?))
    })?;
    receipt.map(|receipt| receipt.confirm(&synced));
    Ok(())
}

fn only_service(node: &Node) -> Result<(), SessionError> {
    if node.role == Role::Service {
        return Ok(());
    }
    Err(SessionError::caller("role", "only a service node keeps holds"))
}

/// Begins the hold of a request against which nothing else stands, where none is running.
///
/// # Errors
/// [`SessionError`] where the store fails.
pub(crate) fn begin(node: &Node, request: &Request) -> Result<(), SessionError> {
    let wallet = &request.wallet.wallet;
    let needed = |facts: &Facts<'_>| {
        hold(request.policy.policy(), facts).filter(|hold| facts.held_since != Some(hold.since))
    };
    if needed(&request.facts(node, &*node.store)?).is_none() {
        return Ok(());
    }
    let (receipt, synced) = update(&*node.store, |txn| {
        let facts = request.facts(node, txn)?;
        let Some(hold) = needed(&facts) else { return Ok(None) };
        quorate_ledger::hold(txn, wallet, request.payload_hash, (hold.since, request.standing(node)))?;
        let event = request.event("sign.held").field("until_ms", hold.until);
        metrics::counter!("quorate_node_holds").increment(1);
        Ok::<_, SessionError>(Some(quorate_audit::append(txn, facts.now, &event)?))
    })?;
    receipt.map(|receipt| receipt.confirm(&synced));
    Ok(())
}
