//! What the gate asks of the record and of policy, and how the answer is written down: claim, evaluate, reserve, mark and
//! record, in one transaction. What one request was told, no other is told too.

use std::ops::ControlFlow;
use std::sync::Arc;

use quorate_approval::{SignedApproval, Subject};
use quorate_audit::{Event, PendingReceipt, Quota};
use quorate_freeze::FrozenSet;
use quorate_intent::Decoded;
use quorate_ledger::{Before, Claim, LedgerError, Pending, Releasing, State};
use quorate_manifest::{Pinned, SignedDocument};
use quorate_policy::{Approval, Asked, Decision, Denial, Facts, Full, SignedPolicy, evaluate};
use quorate_proto::v1;
use quorate_proto::v1::evaluation::Verdict;
use quorate_session::AgentRequest;
use quorate_store::{Read, Txn};
use quorate_types::{B256, Clock, Payload, PublicKey, UnixMillis, WalletId};
use serde_json::{Value, json};

use crate::access::Caller;
use crate::error::OpError;
use crate::gate::Request;
use crate::holds::HeldRequest;
use crate::link::quoted;
use crate::ops::sign::repeat;
use crate::parsed::Parsed;
use crate::records::{WalletRecord, of_request};
use crate::waiting::Case;
use crate::waits::Told;
use crate::wire;

/// What is to be decided, and all it is decided by.
pub(crate) struct Question {
    pub(crate) pinned: Arc<Pinned>,
    pub(crate) caller: Caller,
    pub(crate) request: Request,
    pub(crate) freezes: Arc<FrozenSet>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) parsed: Arc<Parsed>,
    pub(crate) refusals: Arc<Quota<WalletId>>,
}

/// A verdict in a transaction that is not synced yet.
pub(crate) enum Written {
    Denied(v1::Denial, PendingReceipt),
    Waiting(Box<Waiting>),
    Allowed(Box<Allowed>),
    /// No verdict: it cannot be read, its key is another request's, or it is allowed and there is nobody to ask. Nothing is
    /// reserved.
    NotStarted(OpError, PendingReceipt),
}

/// What waits, for time or for people.
pub(crate) struct Waiting {
    pub(crate) waiting: v1::Waiting,
    pub(crate) wallet: Arc<WalletRecord>,
    pub(crate) request: Request,
    pub(crate) policy_hash: B256,
    /// Whether a hold begins with it.
    pub(crate) begins: bool,
    pub(crate) receipt: PendingReceipt,
}

/// A request nobody was answered yet, and what its bytes do.
struct Claimed {
    wallet: Arc<WalletRecord>,
    public_key: PublicKey,
    decoded: Decoded,
    /// Where an earlier try at this very request stands.
    before: Option<State>,
    /// Its hold, where there is one under its key.
    held: Option<HeldRequest>,
}

/// One request, as it was read, with all that is on record about it.
pub(crate) struct Matter<'a> {
    wallet: &'a WalletRecord,
    public_key: PublicKey,
    pub(crate) decoded: &'a Decoded,
    /// What the payload does, in words.
    pub(crate) summary: String,
    pub(crate) policy: Option<Arc<SignedPolicy>>,
    /// What people were asked about it.
    pub(crate) case: Option<Case>,
    /// Their yes, where it is for just this.
    approval: Option<SignedApproval>,
    /// Under this key; the ledger knows it by its payload, and says since when.
    pub(crate) held: Option<HeldRequest>,
    pub(crate) held_since: Option<UnixMillis>,
    /// Names the freeze orders about it: one that comes ends a hold for good.
    pub(crate) standing: B256,
    pub(crate) now: UnixMillis,
}

/// What was allowed, and by what.
pub(crate) struct Allowed {
    pub(crate) wallet: Arc<WalletRecord>,
    pub(crate) public_key: PublicKey,
    pub(crate) request: Request,
    pub(crate) decoded: Decoded,
    pub(crate) policy: Arc<SignedPolicy>,
    /// The approvers' yes, for the nodes.
    pub(crate) approval: Option<SignedDocument>,
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
        let wallet = self.parsed.wallet(txn, &self.request.wallet)?;
        let Claimed { wallet, public_key, decoded, before, held } = match self.claimed(txn, wallet) {
            Ok(ControlFlow::Continue(claimed)) => claimed,
            Ok(ControlFlow::Break(answer)) => return Ok(ControlFlow::Break(answer)),
            Err(error) => return self.refused(txn, error),
        };
        // Evaluate.
        let matter = self.matter(txn, (&wallet, public_key), (&decoded, held))?;
        let approval = match self.evaluate(txn, &matter)? {
            Decision::Allow(approval) => match self.no(&matter) {
                None => approval,
                Some(denial) => {
                    self.forget(txn, &matter)?;
                    return Ok(ControlFlow::Continue(self.denied(txn, &matter, &denial)?));
                }
            },
            Decision::Deny(denial) => {
                let told = match self.may_wait(txn, &matter, denial) {
                    Ok(Ok(told)) => told,
                    Ok(Err(denial)) => return Ok(ControlFlow::Continue(self.denied(txn, &matter, &denial)?)),
                    Err(error) => return self.refused(txn, error),
                };
                let Told { waiting, policy_hash, begins, receipt } = told;
                let (wallet, request) = (wallet.clone(), self.request);
                let waiting = Waiting { waiting, wallet, request, policy_hash, begins, receipt };
                return Ok(ControlFlow::Continue(Written::Waiting(Box::new(waiting))));
            }
        };
        if let Err(error) = at_hand(&wallet) {
            let event = self.event("sign.not_started", &matter).field("error", json!(error.to_string()));
            return Ok(ControlFlow::Continue(Written::NotStarted(error, self.append(txn, &event)?)));
        }
        // Reserve and mark.
        let receipt = self.append(txn, &self.allowed(&matter, &approval))?;
        let releasing = self.reserve(txn, approval, before)?;
        let approval = matter.approval.map(|approval| approval.document().clone());
        let policy = matter.policy.ok_or_else(|| OpError::defect("allowed without a policy"))?;
        let Self { request, .. } = self;
        let allowed = Allowed { wallet, public_key, request, decoded, policy, approval, releasing, receipt };
        Ok(ControlFlow::Continue(Written::Allowed(Box::new(allowed))))
    }

    /// What the gate would answer now. Nothing is claimed, reserved or written, so it binds nobody.
    pub(crate) fn foretell(self, read: &dyn Read) -> Result<v1::Evaluation, OpError> {
        let wallet = self.parsed.wallet(read, &self.request.wallet)?;
        let Claimed { wallet, public_key, decoded, held, .. } = match self.claimed(read, wallet)? {
            ControlFlow::Continue(claimed) => claimed,
            ControlFlow::Break(answer) => {
                let answered = Verdict::Answered(repeat(&answer)?);
                return Ok(v1::Evaluation { summary: String::new(), verdict: Some(answered) });
            }
        };
        let matter = self.matter(read, (&wallet, public_key), (&decoded, held))?;
        let verdict = match self.evaluate(read, &matter)? {
            Decision::Allow(approval) => match self.no(&matter) {
                None => Verdict::Allowed(wire::allowed(&approval)),
                Some(denial) => Verdict::Denied(wire::denial_to_pb(&denial)),
            },
            Decision::Deny(denial) => self.would_wait(&matter, denial)?,
        };
        Ok(v1::Evaluation { summary: matter.summary, verdict: Some(verdict) })
    }

    /// Claim: one key, one payload, one answer; then decode: what would the bytes do? Breaks with the answer that was
    /// given before.
    fn claimed(
        &self,
        read: &dyn Read,
        wallet: Arc<WalletRecord>,
    ) -> Result<ControlFlow<Vec<u8>, Claimed>, OpError> {
        let Request { key, payload_hash, .. } = &self.request;
        let before = match quorate_ledger::claim(read, &wallet.wallet, key, *payload_hash)? {
            Claim::Conflict => return Err(LedgerError::Conflict.into()),
            Claim::Done(answer) => return Ok(ControlFlow::Break(answer)),
            Claim::InFlight(state) => Some(state),
            Claim::Fresh => None,
        };
        let held = of_request::<HeldRequest>(read, &wallet.wallet, key)?
            .filter(|held| !held.lapsed(self.clock.now()));
        // Whoever looks at what is on hold finds it under its key: no other payload takes that place.
        if held.as_ref().is_some_and(|held| held.payload_hash != *payload_hash) {
            return Err(LedgerError::Conflict.into());
        }
        let Some(public_key) = wallet.born.as_ref().map(|born| born.public_key) else {
            let reason = "its key generation is not complete, it cannot sign yet";
            return Err(OpError::conflict("wallet", reason));
        };
        let decoded = quorate_intent::decode(&self.request.payload);
        let decoded = decoded.map_err(|error| OpError::invalid("payload", error))?;
        Ok(ControlFlow::Continue(Claimed { wallet, public_key, decoded, before, held }))
    }

    /// Writes down what a wallet was asked for in vain, as much of it as there is room for.
    fn refused(&self, txn: &mut dyn Txn, error: OpError) -> Result<ControlFlow<Vec<u8>, Written>, OpError> {
        use OpError::{Conflict, Invalid, Unavailable};
        if !matches!(error, Invalid { .. } | Conflict { .. } | Unavailable { .. }) {
            return Err(error);
        }
        let room = self.refusals.take(self.request.wallet.clone(), self.clock.now());
        let Some(left_out) = room else { return Err(error) };
        let Request { wallet, key, payload_hash, .. } = &self.request;
        let event = Event::new("sign.refused")
            .wallet(wallet)
            .field("caller", json!(self.caller.0.to_string()))
            .field("idempotency_key", json!(key.as_str()))
            .field("payload_hash", json!(payload_hash))
            .field("error", json!(quoted(&error.to_string())))
            .field("left_out", json!(left_out));
        Ok(ControlFlow::Continue(Written::NotStarted(error, self.append(txn, &event)?)))
    }

    fn matter<'a>(
        &self,
        txn: &dyn Read,
        (wallet, public_key): (&'a WalletRecord, PublicKey),
        (decoded, held): (&'a Decoded, Option<HeldRequest>),
    ) -> Result<Matter<'a>, OpError> {
        let (request, now, summary) = (&self.request, self.clock.now(), decoded.intent.summary());
        let policy = self.parsed.policy(txn, &wallet.wallet)?;
        let case = of_request::<Case>(txn, &request.wallet, &request.key)?;
        let subject = policy.as_ref().map(|policy| self.subject(policy, &summary));
        let approval = case.as_ref().zip(subject);
        let approval =
            approval.and_then(|(case, subject)| case.approved_for(self.pinned.manifest(), &subject, now));
        let standing = self.freezes.standing_over(&wallet.wallet, &wallet.agent, &decoded.intent);
        let held_since = quorate_ledger::held_since(txn, &request.wallet, request.payload_hash, standing)?;
        Ok(Matter {
            wallet,
            public_key,
            decoded,
            summary,
            policy,
            case,
            approval,
            held,
            held_since,
            standing,
            now,
        })
    }

    /// Limits are weighed in the transaction that reserves.
    fn evaluate(&self, txn: &dyn Read, matter: &Matter<'_>) -> Result<Decision<Full>, OpError> {
        let facts = self.facts(matter);
        let before = Before::request(txn, &self.request.key, facts.intent.once());
        let decision = evaluate(matter.policy.as_deref(), &facts, &before)?;
        Ok(quorate_freeze::judge(&self.freezes, &matter.wallet.agent, &facts, decision))
    }

    pub(crate) fn facts<'a>(&'a self, matter: &'a Matter<'_>) -> Facts<'a> {
        let WalletRecord { wallet, agent, .. } = matter.wallet;
        let address = matter.public_key.address();
        Facts {
            raw_digest: matter.wallet.terms.raw_digest,
            asked: self.asked(matter.wallet, matter.now),
            approved_by: matter.approval.as_ref().map_or(&[], SignedApproval::approvers),
            held_since: matter.held_since,
            metadata: Some(&self.request.metadata),
            ..Facts::of(wallet, agent, address, &matter.decoded.intent, matter.now)
        }
    }

    /// What approvers would have to have signed.
    pub(crate) fn subject<'a>(&'a self, policy: &SignedPolicy, summary: &'a str) -> Subject<'a> {
        Subject {
            wallet: &self.request.wallet,
            payload_hash: self.request.payload_hash,
            idempotency_key: self.request.key.as_str(),
            summary,
            policy_hash: policy.hash(),
            timeout_s: policy.policy().approval().map_or(0, |approvers| approvers.timeout_s),
        }
    }

    /// Where policy counts denied attempts, it is counted in the transaction that writes it down, or nothing is answered.
    fn denied(&self, txn: &mut dyn Txn, matter: &Matter<'_>, denial: &Denial) -> Result<Written, OpError> {
        let counts = matter.policy.as_ref().is_some_and(|policy| policy.policy().counts_denied());
        if counts && denial.is_attempt() {
            let Request { key, payload_hash, .. } = &self.request;
            let WalletRecord { wallet, agent, .. } = matter.wallet;
            quorate_ledger::count_denied(txn, (agent, wallet), (key, *payload_hash), matter.now)?;
        }
        let denial = wire::denial_to_pb(denial);
        let event = self.event("sign.denied", matter).field("denial", wire::denial_json(&denial));
        Ok(Written::Denied(denial, self.append(txn, &event)?))
    }

    /// Whose word it is: the agent's, where the wallet was created with its key.
    fn asked(&self, wallet: &WalletRecord, now: UnixMillis) -> Asked {
        let request = &self.request;
        let asking = AgentRequest {
            cluster: self.pinned.manifest().cluster(),
            wallet: &request.wallet,
            payload_hash: request.payload_hash,
            idempotency_key: request.key.as_str(),
        };
        Asked::check(wallet.terms.agent_key.as_ref(), &asking, request.agent.as_ref(), now)
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

    pub(crate) fn append(&self, txn: &mut dyn Txn, event: &Event) -> Result<PendingReceipt, OpError> {
        Ok(quorate_audit::append(txn, self.clock.now(), event)?)
    }

    /// Who asked for what, and what it is judged by.
    pub(crate) fn event(&self, kind: &'static str, matter: &Matter<'_>) -> Event {
        let (request, decoded, policy) = (&self.request, matter.decoded, matter.policy.as_deref());
        Event::new(kind)
            .wallet(&request.wallet)
            .field("agent", json!(matter.wallet.agent))
            .field("policy_version", json!(policy.map(SignedPolicy::version)))
            .field("policy_hash", json!(policy.map(SignedPolicy::hash)))
            .field("caller", json!(self.caller.0.to_string()))
            .field("idempotency_key", json!(request.key.as_str()))
            .field("payload_hash", json!(request.payload_hash))
            .field("digest", json!(decoded.digest.digest()))
            .field("summary", json!(quoted(&matter.summary)))
            .field("payload", payload(&request.payload))
            .field("asked_by", json!(request.agent))
            .field("metadata", json!(request.metadata))
    }

    fn allowed(&self, matter: &Matter<'_>, approval: &Approval<Full>) -> Event {
        let by = matter.approval.as_ref().map(SignedApproval::approvers).unwrap_or_default();
        let (counters, left_out) = approval.logged_counters();
        self.event("sign.allowed", matter)
            .field("tier", json!(approval.tier().as_str()))
            .field("approved_by", json!(by))
            .field("counters", json!(counters))
            .field("counters_left_out", left_out)
    }
}

/// Longest payload that is written down, in bytes: whoever asks for what is denied must not fill the disk with it.
const KEPT_PAYLOAD: usize = 4096;

/// What was asked for, so that another policy can be asked the same.
fn payload(payload: &Payload) -> Value {
    let bytes = payload.as_bytes();
    if bytes.len() > KEPT_PAYLOAD {
        Value::Null
    } else {
        json!({ payload.kind().as_str(): hex::encode(bytes) })
    }
}
