//! A request that came to nothing here, written down: whoever holds the coordinator and tries what a node lets through
//! leaves a trace in that node's own log.

use std::sync::Arc;

use quorate_audit::Event;
use quorate_policy::{Denial, RuleFailure};
use quorate_proto::v1::session_start::Protocol;
use quorate_proto::{payload_from_pb, v1};
use quorate_store::{Txn, update};
use quorate_types::{Role, UnixMillis, WalletId};
use serde_json::{Value, json};

use crate::guard::Request;
use crate::node::Node;
use crate::sessions::SessionError;
use crate::vault::WalletRecord;

/// Rule failures written down of a denial, and characters of anybody's words: an entry of the log has a largest size.
const MAX_FAILURES: usize = 16;
const MAX_WORDS: usize = 240;

/// What is asked for, where it is a signature.
pub(crate) fn attempt(protocol: Option<&Protocol>) -> Option<v1::StartSign> {
    match protocol? {
        Protocol::Sign(start) => Some(start.clone()),
        Protocol::Online(online) => Some(online.request.clone().unwrap_or_default()),
        Protocol::Aux(_) | Protocol::Keygen(_) | Protocol::Presign(_) => None,
    }
}

/// Writes down that `start` came to nothing, before anybody is told. What is then told: the error, or why it could not be
/// written down.
pub(crate) async fn written(node: &Arc<Node>, start: v1::StartSign, error: SessionError) -> SessionError {
    let node = Arc::clone(node);
    let work = move || match write_down(&node, start, &error) {
        Ok(()) => error,
        Err(failed) => failed,
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| SessionError::Bug(error.to_string()))
}

/// An attempt is written down where it was denied, or was wrong by somebody's fault; not where the network failed. Where a
/// service node's policy counts denied attempts, it is counted in its own ledger in the same transaction. What was denied at the
/// gate this node never hears of; what it denies here an honest gate would have.
///
/// # Errors
/// [`SessionError`] where the store fails.
pub(crate) fn write_down(
    node: &Node,
    start: v1::StartSign,
    error: &SessionError,
) -> Result<(), SessionError> {
    let now = node.clock.now();
    let (event, counted_by) = match error {
        SessionError::Denied(denial) => {
            let (event, read) = denied(node, &start, denial);
            // The agent node keeps no ledger.
            let counts =
                |request: &Request| node.role == Role::Service && request.policy.policy().counts_denied();
            (event, read.filter(counts))
        }
        SessionError::Caller { .. } | SessionError::Peer { .. } => {
            (shown("sign.refused", &start).field("error", short(&error.to_string())), None)
        }
        SessionError::Network(_)
        | SessionError::Waiting { .. }
        | SessionError::Bug(_)
        | SessionError::Fatal(_) => return Ok(()),
    };
    let wallet = known(node, &start.wallet)?;
    let event = match &wallet {
        Some(wallet) => event.wallet(wallet),
        None => event.field("asked_wallet", short(&start.wallet)),
    };
    // What names no wallet of this node's is taken together: names can be made up.
    let left_out = node.attempts.take(wallet, now);
    if left_out.is_none() && counted_by.is_none() {
        return Ok(());
    }
    let event = event.field("left_out", left_out.unwrap_or_default());
    let (receipt, synced) = update(&*node.store, |txn| {
        let counted = match &counted_by {
            Some(request) => count(node, txn, (request, now))?,
            None => false,
        };
        if left_out.is_none() && !counted {
            return Ok(None);
        }
        Ok::<_, SessionError>(Some(quorate_audit::append(txn, now, &event)?))
    })?;
    receipt.map(|receipt| receipt.confirm(&synced));
    Ok(())
}

/// A denial, with the request as this node reads it, where it can.
fn denied(node: &Node, start: &v1::StartSign, denial: &Denial) -> (Event, Option<Request>) {
    let kind = "sign.denied";
    let read = Request::open(node, start.clone()).ok();
    let failures: Vec<_> = denial.failures.iter().take(MAX_FAILURES).map(told).collect();
    let event = read.as_ref().map_or_else(|| shown(kind, start), |request| request.event(kind));
    (event.field("failures", failures), read)
}

fn told(failure: &RuleFailure) -> Value {
    json!({
        "rule": failure.rule,
        "limit": short(&failure.limit),
        "used": failure.used.as_deref().map(short),
        "requested": short(&failure.requested),
        "resets_at_ms": failure.resets_at_ms,
    })
}

/// What this node was shown.
fn shown(kind: &'static str, start: &v1::StartSign) -> Event {
    let payload_hash = payload_from_pb(start.payload.clone()).ok().map(|payload| payload.hash());
    Event::new(kind)
        .field("payload_hash", json!(payload_hash))
        .field("idempotency_key", short(&start.idempotency_key))
        .field("policy_hash", short(&hex::encode(&start.policy_hash)))
}

/// The wallet of that name, where this node has it.
fn known(node: &Node, name: &str) -> Result<Option<WalletId>, SessionError> {
    let Ok(wallet) = name.parse::<WalletId>() else { return Ok(None) };
    Ok(node.vault.wallet(&wallet)?.map(|_| wallet))
}

/// By the denial as it is in this transaction. Whether it was counted now.
fn count(
    node: &Node,
    txn: &mut dyn Txn,
    (request, now): (&Request, UnixMillis),
) -> Result<bool, SessionError> {
    match request.approve_fully(node, txn) {
        Err(SessionError::Denied(denial)) if denial.is_attempt() && !denial.waits() => {}
        Err(SessionError::Denied(_)) | Ok(_) => return Ok(false),
        Err(error) => return Err(error),
    }
    let WalletRecord { wallet, agent, .. } = &request.wallet;
    Ok(quorate_ledger::count_denied(txn, (agent, wallet), (&request.key, request.payload_hash), now)?)
}

/// Somebody's words, on one line of bounded length.
fn short(words: &str) -> String {
    words.chars().filter(|c| !c.is_control()).take(MAX_WORDS).collect()
}
