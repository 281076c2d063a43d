//! What the gate asks of the record and of policy, and how the answer is written down: claim, evaluate, reserve, mark and
//! record, in one transaction. What one request was told, no other is told too.

use std::ops::ControlFlow;
use std::sync::Arc;

use quorate_audit::{Event, PendingReceipt};
use quorate_freeze::FrozenSet;
use quorate_intent::Decoded;
use quorate_ledger::{Before, Claim, LedgerError, Pending, Releasing, State};
use quorate_policy::{Approval, Asked, Decision, Facts, Full, evaluate};
use quorate_proto::v1;
use quorate_session::AgentRequest;
use quorate_store::Txn;
use quorate_types::{B256, Clock, ClusterId, PublicKey, UnixMillis};
use serde_json::{Value, json};

use crate::access::Caller;
use crate::error::OpError;
use crate::gate::Request;
use crate::link::quoted;
use crate::parsed::Parsed;
use crate::records::WalletRecord;
use crate::wire;

/// What is to be decided, and all it is decided by.
pub(crate) struct Question {
    pub(crate) cluster: ClusterId,
    pub(crate) caller: Caller,
    pub(crate) request: Request,
    pub(crate) freezes: Arc<FrozenSet>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) parsed: Arc<Parsed>,
}

/// A verdict in a transaction that is not synced yet.
pub(crate) enum Written {
    Denied(v1::Denial, PendingReceipt),
    Allowed(Box<Allowed>),
    /// Allowed, but there is nobody to ask. Nothing is reserved.
    NotStarted(OpError, PendingReceipt),
}

/// What was allowed, and by what.
pub(crate) struct Allowed {
    pub(crate) wallet: Arc<WalletRecord>,
    pub(crate) public_key: PublicKey,
    pub(crate) request: Request,
    pub(crate) decoded: Decoded,
    pub(crate) policy_hash: B256,
    /// None where an earlier try holds the spend.
    pub(crate) releasing: Option<Pending<Releasing>>,
    pub(crate) receipt: PendingReceipt,
}

impl Question {
    /// Breaks with the answer that was given before, where there is one. `at_hand` says whether there is anybody to ask.
    pub(crate) fn answer(
        self,
        txn: &mut dyn Txn,
        at_hand: impl FnOnce(&WalletRecord) -> Result<(), OpError>,
    ) -> Result<ControlFlow<Vec<u8>, Written>, OpError> {
        // Claim: one key, one payload, one answer.
        let wallet = self.parsed.wallet(txn, &self.request.wallet)?;
        let before = match self.claim(txn)? {
            Claim::Conflict => return Err(LedgerError::Conflict.into()),
            Claim::Done(answer) => return Ok(ControlFlow::Break(answer)),
            Claim::InFlight(state) => Some(state),
            Claim::Fresh => None,
        };
        let Some(public_key) = wallet.born.as_ref().map(|born| born.public_key) else {
            let reason = "its key generation is not complete, it cannot sign yet";
            return Err(OpError::conflict("wallet", reason));
        };
        // Decode: what would the bytes do?
        let decoded = quorate_intent::decode(&self.request.payload);
        let decoded = decoded.map_err(|error| OpError::invalid("payload", error))?;
        // Evaluate.
        let approval = match self.evaluate(txn, (&wallet, public_key), &decoded)? {
            Ok(approval) => approval,
            Err(denial) => {
                let event = self.event("sign.denied", &decoded).field("denial", wire::denial_json(&denial));
                return Ok(ControlFlow::Continue(Written::Denied(denial, self.append(txn, &event)?)));
            }
        };
        if let Err(error) = at_hand(&wallet) {
            let event = self.event("sign.not_started", &decoded).field("error", json!(error.to_string()));
            return Ok(ControlFlow::Continue(Written::NotStarted(error, self.append(txn, &event)?)));
        }
        // Reserve and mark.
        let policy_hash = approval.policy_hash();
        let receipt = self.append(txn, &self.allowed(&decoded, &approval))?;
        let releasing = self.reserve(txn, approval, before)?;
        let Self { request, .. } = self;
        let allowed = Allowed { wallet, public_key, request, decoded, policy_hash, releasing, receipt };
        Ok(ControlFlow::Continue(Written::Allowed(Box::new(allowed))))
    }

    fn claim(&self, txn: &dyn Txn) -> Result<Claim, OpError> {
        let Request { wallet, key, payload_hash, .. } = &self.request;
        Ok(quorate_ledger::claim(txn, wallet, key, *payload_hash)?)
    }

    /// Limits are weighed in the transaction that reserves.
    fn evaluate(
        &self,
        txn: &dyn Txn,
        (wallet, public_key): (&WalletRecord, PublicKey),
        decoded: &Decoded,
    ) -> Result<Result<Approval<Full>, v1::Denial>, OpError> {
        let policy = self.parsed.policy(txn, &wallet.wallet)?;
        let (address, now) = (public_key.address(), self.clock.now());
        let (intent, asked) = (&decoded.intent, self.asked(wallet, now));
        let facts = Facts { wallet: &wallet.wallet, address, intent, now, asked };
        let before = Before::request(txn, &self.request.key, intent.once());
        let decision = evaluate(policy.as_deref(), &facts, &before)?;
        Ok(match quorate_freeze::judge(&self.freezes, &wallet.agent, &facts, decision) {
            Decision::Allow(approval) => Ok(approval),
            Decision::Deny(denial) => Err(wire::denial_to_pb(&denial)),
        })
    }

    /// Whose word it is: the agent's, where the wallet was created with its key.
    fn asked(&self, wallet: &WalletRecord, now: UnixMillis) -> Asked {
        let request = &self.request;
        let asking = AgentRequest {
            cluster: &self.cluster,
            wallet: &request.wallet,
            payload_hash: request.payload_hash,
            idempotency_key: request.key.as_str(),
        };
        Asked::check(wallet.agent_key.as_ref(), &asking, request.agent.as_ref(), now)
    }

    /// `before` is where an earlier try at this very request stands. What that one holds stays held.
    fn reserve(
        &self,
        txn: &mut dyn Txn,
        approval: Approval<Full>,
        before: Option<State>,
    ) -> Result<Option<Pending<Releasing>>, OpError> {
        let Request { wallet, key, payload_hash, .. } = &self.request;
        match before {
            Some(State::Releasing) => return Ok(None),
            // Left by an earlier version of this program, before any node was asked.
            Some(State::Reserved) => quorate_ledger::void(txn, wallet, key)?,
            _ => {}
        }
        Ok(Some(quorate_ledger::reserve_releasing(txn, approval, key, *payload_hash)?))
    }

    fn append(&self, txn: &mut dyn Txn, event: &Event) -> Result<PendingReceipt, OpError> {
        Ok(quorate_audit::append(txn, self.clock.now(), event)?)
    }

    fn event(&self, kind: &'static str, decoded: &Decoded) -> Event {
        let request = &self.request;
        Event::new(kind)
            .wallet(&request.wallet)
            .field("caller", json!(self.caller.0.to_string()))
            .field("idempotency_key", json!(request.key.as_str()))
            .field("payload_hash", json!(request.payload_hash))
            .field("digest", json!(decoded.digest.digest()))
            .field("summary", json!(quoted(&decoded.intent.summary())))
            .field("asked_by", asked_by(request))
            .field("metadata", json!(request.metadata))
    }

    fn allowed(&self, decoded: &Decoded, approval: &Approval<Full>) -> Event {
        self.event("sign.allowed", decoded)
            .field("policy_version", json!(approval.policy_version()))
            .field("policy_hash", json!(approval.policy_hash()))
    }
}

/// The agent's own signature, as it was brought.
fn asked_by(request: &Request) -> Value {
    request.agent.as_ref().map_or(
        Value::Null,
        |agent| json!({ "agent_signature": hex::encode(agent.signature), "expires_at": agent.expires_at }),
    )
}
