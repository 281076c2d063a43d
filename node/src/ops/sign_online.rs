//! A signature through the pool, from this node's side: one message in, one answer out, and one sync.
//!
//! Everything [`super::sign`] asks is asked here: the guard, the policy and the freeze orders, and of the service node its
//! own ledger. What a presignature is used for is synced before anything made with it leaves, and the same use gets the
//! same answer again. The signing has an execution id of its own, made of the presignature's, which holds both nodes'
//! nonces, and of all that the nodes must agree on; the coordinator chooses neither.

use std::sync::Arc;

use quorate_audit::{Event, PendingReceipt};
use quorate_failpoint::Point;
use quorate_intent::SigningDigest;
use quorate_proto::{v1, v1::session_outcome::Outcome};
use quorate_session::{Eid, LastWord, SignedStatement, Statement};
use quorate_store::Txn;
use quorate_types::{B256, Role, UnixMillis};
use serde::{Deserialize, Serialize};

use super::contribution::{Contribution, Stated, blame, statement};
use super::keygen::attestation;
use super::sign::{charge_and_record, record};
use crate::guard::Request;
use crate::node::Node;
use crate::place::NEVER_PRESIGNED;
use crate::pool::slots::{Bound, Once, Use, answer_once};
use crate::pool::{Binding, Ready};
use crate::sessions::{Link, SessionError, commit};

/// How long the agent node's contribution may be on its way, in milliseconds: as long as a session. A coordinator cannot
/// store one up and have it completed when the agent node would no longer make it.
const FRESH_MS: u64 = 60_000;

/// Largest contribution read, in bytes: a scalar, and a statement with its signature.
const MAX_CONTRIBUTION: usize = 32 + quorate_session::MAX_STATEMENT_BYTES + 256;

/// What the agent node seals to the service node.
#[derive(Serialize, Deserialize)]
struct Message {
    made_at: UnixMillis,
    contribution: Contribution,
}

/// What the service node answers, but for what the request says already.
#[derive(Serialize, Deserialize)]
struct Answer {
    signature: Vec<u8>,
    intent: SignedStatement,
}

/// One use of one presignature, as this node reads it.
struct Online {
    request: Request,
    /// Of a payload that was read: a presignature signs no other.
    digest: SigningDigest,
    used: Use,
}

/// How far a use got in its transaction.
enum Step {
    /// Bound, now or before, to just this.
    Bound(Bound),
    /// Bound to another digest. It is in the log.
    Misused(PendingReceipt),
}

/// Takes part in one signature with a presignature this node holds.
///
/// # Errors
/// [`SessionError`]; [`SessionError::Denied`] where this node's policy says no; one that names `presignature` where it is
/// not held here, and another one, or a session of its own, may do.
pub(crate) async fn run(
    node: &Arc<Node>,
    start: v1::StartOnline,
    link: &mut Link,
) -> Result<Outcome, SessionError> {
    let v1::StartOnline { presignature, request, contribution } = start;
    let online = {
        let node = Arc::clone(node);
        let read = move || Online::read(&node, &presignature, request);
        tokio::task::spawn_blocking(read).await.map_err(|error| SessionError::Bug(error.to_string()))??
    };
    link.name(&online.request.terms.participants);
    let (eid, role) = (online.used.eid, node.role);
    let answer = bind(node, link, online, move |node, txn, online| match role {
        Role::Agent => contribute(node, txn, online),
        Role::Service => complete(node, txn, online, &contribution),
        Role::Cold => Err(SessionError::caller("role", "a cold node never signs")),
    });
    let answer = answer.await?;
    if role == Role::Agent {
        node.failpoints.pass(Point::AgentOnlineSynced)?;
        return Ok(Outcome::Contributed(answer));
    }
    node.failpoints.pass(Point::ServiceOnlineSynced)?;
    let Ok((Answer { signature, intent }, [])) = postcard::take_from_bytes(&answer) else {
        return Err(SessionError::Bug("an answer in a slot is malformed".to_owned()));
    };
    Ok(Outcome::Signed(v1::SessionSigned { signature, eid: eid.to_vec(), intent: Some(attestation(intent)) }))
}

impl Online {
    fn read(node: &Node, presignature: &[u8], request: Option<v1::StartSign>) -> Result<Self, SessionError> {
        let id = B256::try_from(presignature);
        let id = id.map_err(|_| SessionError::caller("presignature", "must be 32 bytes"))?;
        let request = request.ok_or_else(|| SessionError::caller("request", "missing"))?;
        let request = Request::read(node, request)?;
        let digest = request.decoded.digest.read().filter(|_| !request.wallet.terms.raw_digest).cloned();
        let digest = digest.ok_or_else(|| SessionError::caller("payload", NEVER_PRESIGNED))?;
        let eid = *Eid::online(&id, &request.terms).as_bytes();
        let used = Use { id, digest: digest.digest(), eid };
        Ok(Self { request, digest, used })
    }

    /// Takes the presignature out of the pool, for good.
    fn take(&self, node: &Node) -> Result<Ready, SessionError> {
        let binding = Binding::of(&self.request.terms);
        let ready = binding.and_then(|binding| node.pool.take(&self.used.id, &binding, node.boot));
        ready.ok_or_else(|| SessionError::caller("presignature", "not held by this node"))
    }
}

/// Lets `answer` be made where the presignature was not used yet, and binds it to that, in one transaction. What leaves is
/// synced.
async fn bind(
    node: &Arc<Node>,
    link: &mut Link,
    online: Online,
    answer: impl FnOnce(&Node, &mut dyn Txn, &Online) -> Result<Vec<u8>, SessionError> + Send + 'static,
) -> Result<Vec<u8>, SessionError> {
    let used = online.used;
    let work = move |node: &Node, txn: &mut dyn Txn| {
        let make = |txn: &mut dyn Txn| answer(node, txn, &online);
        match answer_once(txn, &used, node.clock.now(), make)? {
            Once::Answer(bound) => Ok(Step::Bound(bound)),
            Once::OtherRequest => {
                Err(SessionError::caller("presignature", "used for this digest in another request"))
            }
            Once::OtherDigest(bound_to) => Ok(Step::Misused(alarm(node, txn, (&online, bound_to))?)),
        }
    };
    // Before the disk is asked: a session that is given up meanwhile cannot tell whether the answer is in the slot.
    link.mark_released();
    let done = commit(node, work).await;
    if let Err(error) = &done
        && !matches!(error, SessionError::Fatal(_))
    {
        link.mark_kept();
    }
    match done? {
        (Step::Bound(bound), synced) => Ok(bound.confirm(&synced)),
        (Step::Misused(receipt), synced) => {
            receipt.confirm(&synced);
            link.mark_kept();
            Err(SessionError::caller("presignature", "used for another digest; this is in the log"))
        }
    }
}

/// Two digests under one presignature would give the share away. Whoever asks for that is at fault or at work.
fn alarm(
    node: &Node,
    txn: &mut dyn Txn,
    (online, bound_to): (&Online, B256),
) -> Result<PendingReceipt, SessionError> {
    let Use { id, digest, .. } = online.used;
    let wallet = &online.request.wallet.wallet;
    metrics::counter!("quorate_node_presignatures_misused").increment(1);
    tracing::error!(%wallet, presignature = %id, %digest, %bound_to, "a presignature was asked to sign a second digest");
    let event = Event::new("presignature.misused")
        .wallet(wallet)
        .field("presignature", id.to_string())
        .field("digest", digest.to_string())
        .field("bound_to", bound_to.to_string());
    Ok(quorate_audit::append(txn, node.clock.now(), &event)?)
}

/// The agent node: states that its agent asked for exactly this, and seals its partial signature with it.
fn contribute(node: &Node, txn: &mut dyn Txn, online: &Online) -> Result<Vec<u8>, SessionError> {
    let Online { request, digest, used } = online;
    let approval = request.approve(node)?;
    // Written with the slot, or not at all.
    let _receipt = record(txn, (request, &approval), used.eid)?;
    let intent = statement(node, request, used.eid).sign(&node.me, &node.key)?;
    let (presignature, last_word) = online.take(node)?.into_parts();
    let (partial, _) = presignature.issue(digest);
    let contribution = Contribution { partial: partial.to_bytes(), intent };
    let body = encode(&Message { made_at: node.clock.now(), contribution })?;
    node.failpoints.pass(Point::AgentOnlineUnsynced)?;
    Ok(last_word.seal(&body)?)
}

/// The service node: checks the agent's word and its partial, asks its own policy, charges its own ledger and completes
/// the signature, which exists nowhere else before the transaction is synced.
fn complete(node: &Node, txn: &mut dyn Txn, online: &Online, sealed: &[u8]) -> Result<Vec<u8>, SessionError> {
    let (Online { request, digest, used }, agent) = (online, Role::Agent.index());
    // Before the peer's word is weighed: under another manifest it would be held against another key.
    let approval = request.approve_fully(node, txn)?;
    let (presignature, last_word) = online.take(node)?.into_parts();
    let Stated { partial: theirs, intent, .. } = read_contribution(node, online, last_word, sealed)?;
    // Written with the slot, or not at all: also where the agent node's part turns out to be wrong.
    let (_charged, _receipt) = charge_and_record(txn, (request, approval), used.eid)?;
    let (own, combiner) = presignature.issue(digest);
    let signature = combiner.combine(&[(agent, theirs), (Role::Service.index(), own)])?;
    node.failpoints.pass(Point::ServiceOnlineUnsynced)?;
    encode(&Answer { signature: signature.to_bytes().to_vec(), intent })
}

fn read_contribution(
    node: &Node,
    online: &Online,
    last_word: LastWord,
    sealed: &[u8],
) -> Result<Stated, SessionError> {
    let Online { request, used, .. } = online;
    let not_for_this = |reason: &str| SessionError::caller("contribution", reason);
    if sealed.len() > MAX_CONTRIBUTION {
        return Err(not_for_this("too long"));
    }
    let body =
        last_word.open(sealed).ok_or_else(|| not_for_this("not sealed under this presignature's key"))?;
    // From here on the agent node itself made what is wrong.
    let Ok((Message { made_at, contribution }, [])) = postcard::take_from_bytes(&body) else {
        return Err(blame("its contribution is malformed"));
    };
    let agent = request.terms.participants.iter().find(|party| party.index == Role::Agent.index());
    let stated = contribution.check(node, agent.map(|party| &party.node))?;
    if stated.statement.eid != used.eid {
        // It may have been shown something else, and did what it was asked.
        return Err(not_for_this(
            "the agent node was shown another request, or goes by another policy or manifest",
        ));
    }
    if stated.statement != statement(node, request, used.eid) {
        return Err(blame("its intent is not the request it agreed to"));
    }
    let age = node.clock.now().abs_diff(made_at);
    if age > FRESH_MS {
        let reason = format!("the agent node contributed {} s from now, by its clock", age / 1000);
        return Err(SessionError::caller("presignature", reason));
    }
    Ok(stated)
}

fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, SessionError> {
    postcard::to_allocvec(value).map_err(|error| SessionError::Bug(error.to_string()))
}

#[cfg(test)]
mod tests;
