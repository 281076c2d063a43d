//! A signature, from this node's side. The agent node contributes first; the service node last, and only after its own
//! policy, its own ledger and its own log have been asked and synced.

use std::sync::Arc;

use quorate_audit::{Event, PendingReceipt};
use quorate_failpoint::Point;
use quorate_ledger::{Charged, Pending, charge};
use quorate_mpc::PartialSignature;
use quorate_policy::{Approval, Full, Stateless};
use quorate_proto::{v1, v1::session_outcome::Outcome};
use quorate_session::{Recipient, SignedStatement, Statement};
use quorate_store::Txn;
use quorate_types::{Role, Signature};
use serde_json::json;

use super::contribution::{Contribution, blame, statement};
use super::half::Half;
use super::keygen::attestation;
use crate::approvals::use_up;
use crate::guard::Request;
use crate::node::Node;
use crate::sessions::{Joined, Link, PARTIAL_ROUND, SessionError, commit};

/// Takes part in one signature.
///
/// # Errors
/// [`SessionError`]; [`SessionError::Denied`] where this node's policy says no.
pub(crate) async fn run(
    node: &Arc<Node>,
    start: v1::StartSign,
    link: &mut Link,
) -> Result<Outcome, SessionError> {
    let request = {
        let node = Arc::clone(node);
        let read = move || Request::read(&node, start);
        tokio::task::spawn_blocking(read).await.map_err(|error| SessionError::Bug(error.to_string()))??
    };
    let mut joined = link.agree(node, request.terms.clone()).await?;
    let half = Half::make(node, &request, &mut joined).await?;
    bring_in(node, request, &mut joined, half).await
}

/// What remains where this node's half is made: it asks its guard again, commits, and lets its contribution leave.
pub(super) async fn bring_in(
    node: &Arc<Node>,
    request: Request,
    joined: &mut Joined<'_>,
    half: Half,
) -> Result<Outcome, SessionError> {
    match node.role {
        Role::Agent => contribute(node, &Arc::new(request), joined, half).await,
        Role::Service => complete(node, request, joined, half).await,
        Role::Cold => Err(SessionError::caller("role", "a cold node never signs")),
    }
}

/// The agent node: states that its agent asked for exactly this, and sends its partial signature with it.
async fn contribute(
    node: &Arc<Node>,
    request: &Arc<Request>,
    joined: &mut Joined<'_>,
    half: Half,
) -> Result<Outcome, SessionError> {
    let service = Role::Service.index();
    let approval = request.approve(node)?;
    write_down(node, request, (approval, joined.eid())).await?;
    let intent = statement(node, request, joined.eid()).sign(&node.me, &node.key)?;
    let contribution = Contribution { partial: half.issue().to_bytes(), intent };
    let body = postcard::to_allocvec(&contribution).map_err(|error| SessionError::Bug(error.to_string()))?;
    joined.link().mark_released();
    node.failpoints.pass(Point::AgentSessionSynced)?;
    joined.send(PARTIAL_ROUND, Recipient::One(service), &body).await?;
    Ok(Outcome::Released(true))
}

/// Uses up the request's approval, and writes down what this node is about to contribute to.
async fn write_down(
    node: &Arc<Node>,
    request: &Arc<Request>,
    (approval, eid): (Approval<Stateless>, [u8; 32]),
) -> Result<(), SessionError> {
    let request = Arc::clone(request);
    let work = move |node: &Node, txn: &mut dyn Txn| {
        let receipt = record(txn, (&request, &approval), eid)?;
        node.failpoints.pass(Point::AgentSessionUnsynced)?;
        Ok(receipt)
    };
    let (receipt, synced) = commit(node, work).await?;
    receipt.confirm(&synced);
    Ok(())
}

/// The agent node's part of a signature in its log, in the transaction that precedes it.
///
/// # Errors
/// [`SessionError::Caller`] where another request used up the approval; the store's.
pub(super) fn record(
    txn: &mut dyn Txn,
    (request, approval): (&Request, &Approval<Stateless>),
    eid: [u8; 32],
) -> Result<PendingReceipt, SessionError> {
    use_up(txn, request, approval.at())?;
    Ok(quorate_audit::append(txn, approval.at(), &contributed((request, approval), eid))?)
}

/// The service node: checks the agent's word and its partial, asks its own policy, charges its own ledger, and only then
/// completes the signature. The signature exists nowhere before the charge is synced.
async fn complete(
    node: &Arc<Node>,
    request: Request,
    joined: &mut Joined<'_>,
    half: Half,
) -> Result<Outcome, SessionError> {
    let agent = Role::Agent.index();
    let body = joined.receive_partial(agent).await?;
    // Before the peer's word is weighed: under another manifest it would be held against another key.
    request.approve(node)?;
    let (theirs, intent) = read_contribution(node, &request, joined, &body)?;
    half.check(agent, &theirs)?;

    let eid = joined.eid();
    let work = move |node: &Node, txn: &mut dyn Txn| {
        let approval = request.approve_fully(node, txn)?;
        let charged = charge_and_record(txn, (&request, approval), eid)?;
        node.failpoints.pass(Point::ServiceSessionUnsynced)?;
        Ok(charged)
    };
    let ((charged, receipt), synced) = commit(node, work).await?;
    receipt.confirm(&synced);
    let _charged: Charged = charged.confirm(&synced);
    joined.link().mark_released();
    let signature: Signature = half.combine((agent, theirs)).await?;
    node.failpoints.pass(Point::ServiceSessionSynced)?;
    Ok(Outcome::Signed(v1::SessionSigned {
        signature: signature.to_bytes().to_vec(),
        eid: eid.to_vec(),
        intent: Some(attestation(intent)),
    }))
}

fn read_contribution(
    node: &Node,
    request: &Request,
    joined: &Joined<'_>,
    body: &[u8],
) -> Result<(PartialSignature, SignedStatement), SessionError> {
    let Ok((contribution, [])) = postcard::take_from_bytes::<Contribution>(body) else {
        return Err(blame("its contribution is malformed"));
    };
    let stated = contribution.check(node, joined.node(Role::Agent.index()))?;
    if stated.statement != statement(node, request, joined.eid()) {
        return Err(blame("its intent is not the request this node was shown"));
    }
    Ok((stated.partial, stated.intent))
}

/// Charge and audit entry, in the transaction that `approval` comes from: two requests cannot both pass a limit that has
/// room for one. A payload is charged once, however often it is signed.
///
/// # Errors
/// [`SessionError`] where the charges do not sum, or the store fails.
pub(super) fn charge_and_record(
    txn: &mut dyn Txn,
    (request, approval): (&Request, Approval<Full>),
    eid: [u8; 32],
) -> Result<(Pending<Charged>, PendingReceipt), SessionError> {
    let now = approval.at();
    use_up(txn, request, now)?;
    let (counters, left_out) = approval.logged_counters();
    let event = contributed((request, &approval), eid)
        .field("counters", json!(counters))
        .field("counters_left_out", left_out);
    let charged = charge(txn, approval, request.payload_hash)?;
    Ok((charged, quorate_audit::append(txn, now, &event)?))
}

/// What a node contributes to, and why.
fn contributed<Scope>((request, approval): (&Request, &Approval<Scope>), eid: [u8; 32]) -> Event {
    request
        .event("sign.contributed")
        .field("tier", approval.tier().as_str())
        .field("approved_by", request.approval.as_ref().map(|approval| approval.approvers().to_vec()))
        .field("eid", hex::encode(eid))
}
