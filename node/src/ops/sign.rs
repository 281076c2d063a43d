//! A signature, from this node's side. The agent node contributes first; the service node last, and only after its own
//! policy, its own ledger and its own log have been asked and synced.

use std::sync::Arc;

use quorate_audit::Event;
use quorate_ledger::{Charged, charge};
use quorate_mpc::{PartialSignature, Party, Presignature, generate_presignature};
use quorate_policy::Approval;
use quorate_proto::{v1, v1::session_outcome::Outcome};
use quorate_session::{IntentStatement, Recipient, SignedStatement, Statement};
use quorate_types::{Role, Signature};
use serde::{Deserialize, Serialize};

use super::keygen::attestation;
use crate::guard::Request;
use crate::node::Node;
use crate::sessions::{Joined, Link, PARTIAL_ROUND, SessionError, commit};

/// The agent node's contribution: with the service node's it makes the signature, alone it makes nothing.
#[derive(Serialize, Deserialize)]
struct Contribution {
    partial: Vec<u8>,
    intent: SignedStatement,
}

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
    let presignature = presign(node, &request, &mut joined).await?;
    match node.role {
        Role::Agent => contribute(node, &request, &mut joined, presignature).await,
        Role::Service => complete(node, request, &mut joined, presignature).await,
        Role::Cold => Err(SessionError::caller("role", "a cold node never signs")),
    }
}

async fn presign(
    node: &Arc<Node>,
    request: &Request,
    joined: &mut Joined<'_>,
) -> Result<Presignature, SessionError> {
    let share = {
        let (node, wallet) = (Arc::clone(node), request.wallet.wallet.clone());
        let open = move || node.vault.signing_share(&wallet);
        tokio::task::spawn_blocking(open).await.map_err(|error| SessionError::Bug(error.to_string()))??
    };
    let (eid, me) = (joined.eid(), node.role.index());
    let participants = joined.indices();
    let protocol = |wire| async move {
        generate_presignature(Party { eid: &eid, me, participants: &participants }, &share, wire).await
    };
    joined.run(&node.maths, protocol).await
}

/// The agent node: states that its agent asked for exactly this, and sends its partial signature with it.
async fn contribute(
    node: &Arc<Node>,
    request: &Request,
    joined: &mut Joined<'_>,
    presignature: Presignature,
) -> Result<Outcome, SessionError> {
    let service = Role::Service.index();
    request.approve(node)?;
    let intent = statement(node, request, joined.eid()).sign(&node.me, &node.key)?;
    let (partial, _) = presignature.issue(&request.decoded.digest);
    let contribution = Contribution { partial: partial.to_bytes(), intent };
    let body = postcard::to_allocvec(&contribution).map_err(|error| SessionError::Bug(error.to_string()))?;
    joined.link().mark_released();
    joined.send(PARTIAL_ROUND, Recipient::One(service), &body).await?;
    Ok(Outcome::Released(true))
}

/// The service node: checks the agent's word and its partial, asks its own policy, charges its own ledger, and only then
/// completes the signature. The signature exists nowhere before the charge is synced.
async fn complete(
    node: &Arc<Node>,
    request: Request,
    joined: &mut Joined<'_>,
    presignature: Presignature,
) -> Result<Outcome, SessionError> {
    let agent = Role::Agent.index();
    let body = joined.receive_partial(agent).await?;
    // Before the peer's word is weighed: under another manifest it would be held against another key.
    let approval = request.approve(node)?;
    let (theirs, intent) = read_contribution(node, &request, joined, &body)?;
    let digest = request.decoded.digest.clone();
    presignature.check(agent, &theirs, &digest)?;

    let eid = joined.eid();
    let _charged: Charged = charge_and_record(node, request, approval, eid).await?;
    joined.link().mark_released();
    let (own, combiner) = presignature.issue(&digest);
    let signature: Signature = combiner.combine(&[(agent, theirs), (Role::Service.index(), own)])?;
    Ok(Outcome::Signed(v1::SessionSigned {
        signature: signature.to_bytes().to_vec(),
        eid: eid.to_vec(),
        intent: Some(attestation(intent)),
    }))
}

/// What the agent node must have stated for this request, word for word.
fn statement(node: &Node, request: &Request, eid: [u8; 32]) -> IntentStatement {
    IntentStatement {
        cluster: node.cluster.clone(),
        wallet: request.wallet.wallet.clone(),
        agent: request.wallet.agent.clone(),
        payload_hash: request.payload_hash,
        digest: request.decoded.digest.digest(),
        policy_hash: request.policy.hash(),
        idempotency_key: request.key.to_string(),
        eid,
    }
}

fn read_contribution(
    node: &Node,
    request: &Request,
    joined: &Joined<'_>,
    body: &[u8],
) -> Result<(PartialSignature, SignedStatement), SessionError> {
    let agent = Role::Agent.index();
    let blame = |reason: &str| SessionError::Peer { party: agent, reason: reason.to_owned() };
    let Ok((Contribution { partial, intent }, [])) = postcard::take_from_bytes::<Contribution>(body) else {
        return Err(blame("its contribution is malformed"));
    };
    if Some(&intent.node) != joined.node(agent) {
        return Err(blame("its intent is stated by another node"));
    }
    let pinned = node.documents.manifest();
    let key = |id: &_| pinned.manifest().node(id).map(|entry| entry.key);
    let stated = IntentStatement::verify(&intent, key).map_err(|error| blame(&error.to_string()))?;
    if stated != statement(node, request, joined.eid()) {
        return Err(blame("its intent is not the request this node was shown"));
    }
    Ok((PartialSignature::from_bytes(&partial, agent)?, intent))
}

/// Charge and audit entry, in one synced transaction. A payload is charged once, however often it is signed.
async fn charge_and_record(
    node: &Arc<Node>,
    request: Request,
    approval: Approval,
    eid: [u8; 32],
) -> Result<Charged, SessionError> {
    let charges = request.decoded.intent.charges().map_err(|error| SessionError::Bug(error.to_string()))?;
    let work = move |node: &Node, txn: &mut dyn quorate_store::Txn| {
        let now = node.clock.now();
        let charged = charge(txn, &request.wallet.wallet, request.payload_hash, &charges, now)?;
        let event = Event::new("sign.contributed")
            .wallet(&request.wallet.wallet)
            .field("payload_hash", request.payload_hash.to_string())
            .field("digest", request.decoded.digest.digest().to_string())
            .field("policy_hash", approval.policy_hash().to_string())
            .field("summary", request.decoded.intent.summary())
            .field("eid", hex::encode(eid));
        let receipt = quorate_audit::append(txn, now, &event)?;
        Ok((charged, receipt))
    };
    let ((charged, receipt), durable) = commit(node, work).await?;
    receipt.confirm(&durable);
    Ok(charged.confirm(&durable))
}
