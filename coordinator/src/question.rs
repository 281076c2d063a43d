//! What the gate asks of policy, and how the answer is written down: evaluate, reserve and record, in one transaction.

use std::sync::Arc;

use quorate_audit::{Event, PendingReceipt};
use quorate_freeze::FrozenSet;
use quorate_intent::Decoded;
use quorate_ledger::{Before, Pending, Reservation, State};
use quorate_policy::{Approval, Asked, Decision, Facts, Full, SignedPolicy, evaluate};
use quorate_proto::v1;
use quorate_session::{AgentPublicKey, AgentRequest};
use quorate_store::Txn;
use quorate_types::{AgentId, B256, Clock, ClusterId, PublicKey, UnixMillis};
use serde_json::{Value, json};

use crate::access::Caller;
use crate::error::OpError;
use crate::gate::Request;
use crate::link::quoted;
use crate::wire;

/// What is to be decided, and all it is decided by.
pub(crate) struct Question {
    pub(crate) cluster: ClusterId,
    pub(crate) caller: Caller,
    pub(crate) request: Request,
    pub(crate) decoded: Decoded,
    pub(crate) policy: Option<SignedPolicy>,
    pub(crate) agent: AgentId,
    pub(crate) agent_key: Option<AgentPublicKey>,
    pub(crate) public_key: PublicKey,
    pub(crate) freezes: Arc<FrozenSet>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// A verdict in a transaction that is not synced yet.
pub(crate) enum Written {
    Denied(v1::Denial, PendingReceipt),
    Allowed {
        policy_hash: B256,
        /// None where an earlier try holds the spend.
        reservation: Option<Pending<Reservation>>,
        receipt: PendingReceipt,
    },
}

impl Question {
    /// Limits are weighed in the transaction that reserves: what one request was told, no other is told too. `before` is
    /// where an earlier try at this very request stands.
    pub(crate) fn answer(&self, txn: &mut dyn Txn, before: Option<State>) -> Result<Written, OpError> {
        let (request, now) = (&self.request, self.clock.now());
        let address = self.public_key.address();
        let (intent, asked) = (&self.decoded.intent, self.asked(now));
        let facts = Facts { wallet: &request.wallet, address, intent, now, asked };
        let decision = evaluate(self.policy.as_ref(), &facts, &Before::request(txn, &request.key))?;
        let approval = match quorate_freeze::judge(&self.freezes, &self.agent, &facts, decision) {
            Decision::Allow(approval) => approval,
            Decision::Deny(denial) => {
                let denial = wire::denial_to_pb(&denial);
                let event = event("sign.denied", &self.caller, request, &self.decoded)
                    .field("denial", wire::denial_json(&denial));
                return Ok(Written::Denied(denial, quorate_audit::append(txn, now, &event)?));
            }
        };
        let event = allowed(&self.caller, request, &self.decoded, &approval);
        let (policy_hash, receipt) = (approval.policy_hash(), quorate_audit::append(txn, now, &event)?);
        if before == Some(State::Reserved) {
            // Left by a try that ended before any node was asked.
            quorate_ledger::void(txn, &request.wallet, &request.key)?;
        }
        let reservation = match before {
            Some(State::Releasing) => None,
            _ => Some(quorate_ledger::reserve(txn, approval, &request.key, request.payload_hash)?),
        };
        Ok(Written::Allowed { policy_hash, reservation, receipt })
    }

    /// Whose word it is: the agent's, where the wallet was created with its key.
    fn asked(&self, now: UnixMillis) -> Asked {
        let request = &self.request;
        let asking = AgentRequest {
            cluster: &self.cluster,
            wallet: &request.wallet,
            payload_hash: request.payload_hash,
            idempotency_key: request.key.as_str(),
        };
        Asked::check(self.agent_key.as_ref(), &asking, request.agent.as_ref(), now)
    }
}

fn event(kind: &'static str, caller: &Caller, request: &Request, decoded: &Decoded) -> Event {
    Event::new(kind)
        .wallet(&request.wallet)
        .field("caller", json!(caller.0.to_string()))
        .field("idempotency_key", json!(request.key.as_str()))
        .field("payload_hash", json!(request.payload_hash))
        .field("digest", json!(decoded.digest.digest()))
        .field("summary", json!(quoted(&decoded.intent.summary())))
        .field("asked_by", asked_by(request))
        .field("metadata", json!(request.metadata))
}

/// The agent's own signature, as it was brought.
fn asked_by(request: &Request) -> Value {
    request.agent.as_ref().map_or(
        Value::Null,
        |agent| json!({ "agent_signature": hex::encode(agent.signature), "expires_at": agent.expires_at }),
    )
}

fn allowed(caller: &Caller, request: &Request, decoded: &Decoded, approval: &Approval<Full>) -> Event {
    event("sign.allowed", caller, request, decoded)
        .field("policy_version", json!(approval.policy_version()))
        .field("policy_hash", json!(approval.policy_hash()))
}
