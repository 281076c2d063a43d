//! What this node checks for itself before it joins a session. Nothing here believes the coordinator: it was only shown
//! what to look at.

use std::sync::Arc;

use quorate_approval::{SignedApproval, Subject};
use quorate_audit::Event;
use quorate_freeze::judge;
use quorate_intent::{Decoded, decode};
use quorate_ledger::{Before, IdempotencyKey};
use quorate_manifest::SignedDocument;
use quorate_policy::{
    Approval, Asked, Decision, Facts, Full, SignedPolicy, Stateless, evaluate, evaluate_stateless,
};
use quorate_proto::{agent_from_pb, payload_from_pb, required, v1};
use quorate_session::{AgentRequest, AgentSignature, Protocol, Terms};
use quorate_store::Read;
use quorate_types::{B256, Payload, Role, Transcript, WalletId};
use serde_json::json;

use crate::node::Node;
use crate::ops::hold;
use crate::place::{Place, never_cold, signing_place, with_key};
use crate::sessions::SessionError;
use crate::vault::WalletRecord;

/// A signing request this node has read for itself and would contribute to.
pub(crate) struct Request {
    pub(crate) wallet: WalletRecord,
    pub(crate) payload_hash: B256,
    pub(crate) decoded: Decoded,
    pub(crate) key: IdempotencyKey,
    pub(crate) agent: Option<AgentSignature>,
    /// The approvers' yes to just this, as it was brought: whether policy asks for it is another matter.
    pub(crate) approval: Option<SignedApproval>,
    pub(crate) policy: Arc<SignedPolicy>,
    pub(crate) terms: Terms,
}

impl Request {
    /// Reads and judges what the coordinator shows: role, wallet, payload, policy.
    ///
    /// # Errors
    /// [`SessionError::Denied`] where this node's own policy says no; [`SessionError::Caller`] naming a field.
    pub(crate) fn read(node: &Node, start: v1::StartSign) -> Result<Self, SessionError> {
        let request = Self::open(node, start)?;
        // A service node has a ledger. What is over a limit now is denied before anything is computed or has left.
        if node.role == Role::Service {
            let approved = request.approve_fully(node, &*node.store);
            // Whoever was not told of the hold begins it now: it is never too late to wait.
            if let Err(SessionError::Denied(denial)) = &approved
                && denial.waits()
            {
                hold::begin(node, &request)?;
            }
            approved?;
        } else {
            request.approve(node)?;
        }
        Ok(request)
    }

    /// Reads what the coordinator shows, and judges nothing of it but that it is whole.
    ///
    /// # Errors
    /// As [`Request::read`].
    pub(crate) fn open(node: &Node, start: v1::StartSign) -> Result<Self, SessionError> {
        never_cold(node)?;
        let id: WalletId = required("wallet", &start.wallet)?;
        let key: IdempotencyKey = required("idempotency_key", &start.idempotency_key)?;
        let agent = agent_from_pb(start.agent)?;
        let payload = payload_from_pb(start.payload)?;
        let (wallet, place) = signing_place(node, &id)?;
        let decoded = read_payload(&payload)?;
        let policy = node.documents.policy(&id);
        let policy = policy.ok_or_else(|| denied_without_policy(node, &wallet, &decoded))?;
        if start.policy_hash != policy.hash().as_slice() {
            let reason = format!("this node has version {} in force, which is another", policy.version());
            return Err(SessionError::caller("policy_hash", reason));
        }
        let terms = Terms {
            policy_hash: Some(policy.hash()),
            ..with_key(node, &wallet, place.terms(node, Protocol::Sign, subject(payload.hash(), &key)))?
        };
        let approval = start.approval.map(|document| read_approval(&place, document)).transpose()?;
        let payload_hash = payload.hash();
        let request = Self { wallet, payload_hash, decoded, key, agent, approval, policy, terms };
        if let Some(approval) = &request.approval {
            let about = approval.covers(&request.subject(&request.summary()), node.clock.now());
            about.map_err(|error| SessionError::caller("approval", error))?;
        }
        Ok(request)
    }

    /// Asks this node's own policy, its limits over time apart, and the freeze orders it has seen, now: once before joining,
    /// and again before the contribution leaves.
    ///
    /// # Errors
    /// [`SessionError::Denied`] with every rule that says no; [`SessionError::Caller`] where the documents changed.
    pub(crate) fn approve(&self, node: &Node) -> Result<Approval<Stateless>, SessionError> {
        self.still_in_force(node)?;
        let facts = self.facts(node, &*node.store)?;
        self.judge(node, &facts, evaluate_stateless(Some(&self.policy), &facts))
    }

    /// The same with limits over time, against `ledger`. Where what comes of it is charged, that is the transaction that
    /// charges it.
    ///
    /// # Errors
    /// As [`approve`](Self::approve), or where the ledger cannot be read.
    pub(crate) fn approve_fully(
        &self,
        node: &Node,
        ledger: &dyn Read,
    ) -> Result<Approval<Full>, SessionError> {
        self.still_in_force(node)?;
        let facts = self.facts(node, ledger)?;
        let before = Before::payload(ledger, self.payload_hash, self.decoded.intent.once());
        self.judge(node, &facts, evaluate(Some(&self.policy), &facts, &before)?)
    }

    /// What this node knows of the request now.
    ///
    /// # Errors
    /// [`SessionError`] where the ledger cannot be read.
    pub(crate) fn facts(&self, node: &Node, ledger: &dyn Read) -> Result<Facts<'_>, SessionError> {
        let asking = AgentRequest {
            cluster: &node.cluster,
            wallet: &self.wallet.wallet,
            payload_hash: self.payload_hash,
            idempotency_key: self.key.as_str(),
        };
        let (key, facts) = (self.wallet.terms.agent_key.as_ref(), facts(node, &self.wallet, &self.decoded));
        // Asked anew each time: it may have expired since.
        let holds =
            |approval: &&SignedApproval| approval.covers(&self.subject(&self.summary()), facts.now).is_ok();
        Ok(Facts {
            asked: Asked::check(key, &asking, self.agent.as_ref(), facts.now),
            approved_by: self.approval.as_ref().filter(holds).map_or(&[], SignedApproval::approvers),
            held_since: quorate_ledger::held_since(
                ledger,
                &self.wallet.wallet,
                self.payload_hash,
                self.standing(node),
            )?,
            ..facts
        })
    }

    /// Who asked for what, and what it is judged by.
    pub(crate) fn event(&self, kind: &'static str) -> Event {
        Event::new(kind)
            .wallet(&self.wallet.wallet)
            .field("agent", json!(self.wallet.agent))
            .field("idempotency_key", json!(self.key))
            .field("payload_hash", json!(self.payload_hash))
            .field("digest", json!(self.decoded.digest.digest()))
            .field("policy_version", self.policy.version())
            .field("policy_hash", json!(self.policy.hash()))
            .field("summary", self.summary())
            .field("asked_by", json!(self.agent))
    }

    /// Names the freeze orders this node has seen about it: one that comes ends a hold for good.
    pub(crate) fn standing(&self, node: &Node) -> B256 {
        let WalletRecord { wallet, agent, .. } = &self.wallet;
        node.documents.frozen().standing_over(wallet, agent, &self.decoded.intent)
    }

    fn summary(&self) -> String {
        self.decoded.intent.summary()
    }

    fn subject<'a>(&'a self, summary: &'a str) -> Subject<'a> {
        Subject {
            wallet: &self.wallet.wallet,
            payload_hash: self.payload_hash,
            idempotency_key: self.key.as_str(),
            summary,
            policy_hash: self.policy.hash(),
            timeout_s: self.policy.policy().approval().map_or(0, |approvers| approvers.timeout_s),
        }
    }

    fn judge<Scope>(
        &self,
        node: &Node,
        facts: &Facts<'_>,
        decision: Decision<Scope>,
    ) -> Result<Approval<Scope>, SessionError> {
        match judge(&node.documents.frozen(), &self.wallet.agent, facts, decision) {
            Decision::Allow(approval) => Ok(approval),
            Decision::Deny(denial) => Err(SessionError::Denied(Box::new(denial))),
        }
    }

    /// A manifest or a policy that came into force during the session ends it: nothing is signed under one that is no
    /// longer in force. So does the proof that this node was put back to an older state.
    fn still_in_force(&self, node: &Node) -> Result<(), SessionError> {
        if node.documents.manifest().hash() != self.terms.manifest_hash {
            return Err(SessionError::caller("manifest", "another came into force during the session"));
        }
        let in_force = node.documents.policy(&self.wallet.wallet).map(|policy| policy.hash());
        if in_force != Some(self.policy.hash()) {
            return Err(SessionError::caller("policy_hash", "another came into force during the session"));
        }
        node.own_log.check()?;
        node.restored.check_wallet(node, &self.policy)
    }
}

/// Both are agreed on before anything is computed. The agent node states both in its intent: shown another key, it would
/// state what the service node has to hold against it.
fn subject(payload_hash: B256, key: &IdempotencyKey) -> B256 {
    let transcript = Transcript::new("quorate/sign-request/v1");
    transcript.field(payload_hash.as_slice()).field(key.as_str().as_bytes()).finish()
}

fn read_payload(payload: &Payload) -> Result<Decoded, SessionError> {
    decode(payload).map_err(|error| SessionError::caller("payload", error))
}

/// By the manifest that is in force here: whoever left it approves nothing.
fn read_approval(place: &Place, document: v1::SignedDocument) -> Result<SignedApproval, SessionError> {
    let document = SignedDocument { body: document.body, signatures: document.signatures };
    SignedApproval::verify(&document, place.manifest())
        .map_err(|error| SessionError::caller("approval", error))
}

fn facts<'a>(node: &Node, wallet: &'a WalletRecord, decoded: &'a Decoded) -> Facts<'a> {
    let WalletRecord { wallet: id, agent, .. } = wallet;
    Facts {
        raw_digest: wallet.terms.raw_digest,
        ..Facts::of(id, agent, wallet.public_key.address(), &decoded.intent, node.clock.now())
    }
}

fn denied_without_policy(node: &Node, wallet: &WalletRecord, decoded: &Decoded) -> SessionError {
    match evaluate_stateless(None, &facts(node, wallet, decoded)) {
        Decision::Deny(denial) => SessionError::Denied(Box::new(denial)),
        Decision::Allow(_) => SessionError::Bug("no policy allowed something".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::denied;
    use crate::testing::{Cluster, memory, payment, shares};
    use quorate_mpc::fixtures;
    use quorate_store::update;
    use quorate_types::Clock;

    struct Rig {
        cluster: Cluster,
        node: Arc<Node>,
    }

    /// A service node with one active wallet and version 1 of its policy.
    fn rig() -> Rig {
        let cluster = Cluster::new();
        let node = cluster.node(Role::Service, &memory());
        let [_, share, _] = shares();
        let record = cluster.record(Role::Service, &cluster.statement("w", &share));
        let aux = fixtures::group_aux(1).unwrap();
        let kept = update(&*node.store, |txn| {
            node.vault.keep_aux(txn, &record.group, &aux)?;
            node.vault.keep_share(txn, &record, &share)?;
            node.vault.activate(txn, &record.wallet, record.public_key)
        });
        assert!(kept.is_ok());
        node.documents.put_unguarded(&cluster.policy("w", 1, "1.00")).unwrap();
        Rig { cluster, node }
    }

    impl Rig {
        fn read(&self) -> Result<Request, SessionError> {
            self.read_as("k")
        }

        fn read_as(&self, key: &str) -> Result<Request, SessionError> {
            Request::read(&self.node, self.start(key))
        }

        fn start(&self, key: &str) -> v1::StartSign {
            let policy = self.node.documents.policy(&"w".parse().unwrap()).unwrap();
            v1::StartSign {
                wallet: "w".to_owned(),
                payload: Some(payment(0)),
                policy_hash: policy.hash().to_vec(),
                idempotency_key: key.to_owned(),
                agent: None,
                approval: None,
            }
        }

        fn denied_by(&self, key: &str) -> Vec<String> {
            let error = match self.read_as(key) {
                Err(error) => error,
                Ok(_) => return Vec::new(),
            };
            denied::write_down(&self.node, self.start(key), &error).unwrap();
            let SessionError::Denied(denial) = error else { panic!("{error}") };
            denial.failures.into_iter().map(|failure| failure.rule).collect()
        }

        fn written(&self) -> usize {
            let entries = quorate_audit::entries(&*self.node.store, 1, usize::MAX).unwrap();
            entries.iter().filter(|entry| entry.kind == "sign.denied").count()
        }

        fn refusal(&self, request: &Request) -> &'static str {
            match request.approve(&self.node) {
                Err(SessionError::Caller { field, .. }) => field,
                Err(other) => panic!("{other}"),
                Ok(_) => panic!("approved under what is no longer in force"),
            }
        }
    }

    #[test]
    fn nothing_is_approved_under_a_policy_that_was_replaced_meanwhile() {
        let rig = rig();
        let request = rig.read().ok().unwrap();
        assert!(request.approve(&rig.node).is_ok());
        rig.node.documents.put_unguarded(&rig.cluster.policy("w", 2, "0.50")).unwrap();
        assert_eq!(rig.refusal(&request), "policy_hash");
        assert!(matches!(rig.read(), Err(SessionError::Denied(_))), "and the new one says no");
    }

    #[test]
    fn nor_under_a_manifest_that_was_replaced_meanwhile() {
        let rig = rig();
        let request = rig.read().ok().unwrap();
        rig.node.documents.put_manifest(&rig.cluster.manifest(2, |_| {})).unwrap();
        assert_eq!(rig.refusal(&request), "manifest");
        assert!(rig.read().is_ok());
    }

    /// Whoever holds the coordinator asks this node for what the gate would have denied. It counts that by itself, and writes
    /// it down.
    #[test]
    fn what_this_node_denied_counts_where_its_policy_says_so() {
        let rig = rig();
        let line = "  velocity: [{max: 2, denied: true, window: {rolling_s: 60}}]\n";
        rig.node.documents.put_unguarded(&rig.cluster.policy_with(("w", 2), "0.50", line)).unwrap();
        assert_eq!(rig.denied_by("a"), ["per_transaction"]);
        assert_eq!(rig.denied_by("a"), ["per_transaction"], "the same attempt");
        assert_eq!(rig.denied_by("b"), ["per_transaction"]);
        for n in 0..5 {
            assert_eq!(rig.denied_by(&format!("c{n}")), ["per_transaction", "velocity"]);
        }
        assert_eq!(rig.written(), 8);
        let entries = quorate_audit::entries(&*rig.node.store, 1, usize::MAX).unwrap();
        let entry = entries.into_iter().find(|entry| entry.kind == "sign.denied").unwrap();
        assert_eq!((&entry.fields["agent"], &entry.fields["policy_version"]), (&"bot".into(), &2.into()));
        let failure = &entry.fields["failures"][0];
        assert_eq!((&failure["rule"], &failure["limit"]), (&"per_transaction".into(), &"0.5 USDC".into()));
        // What is allowed is too much now, until they have left the window.
        rig.node.documents.put_unguarded(&rig.cluster.policy_with(("w", 3), "1.00", line)).unwrap();
        assert_eq!(rig.denied_by("d"), ["velocity"]);
        rig.cluster.clock.advance(60_000);
        assert!(rig.denied_by("d").is_empty());
        assert_eq!(rig.written(), 9);
    }

    /// What counts is written down also where there is no more room for what does not.
    #[test]
    fn what_counts_is_never_left_out() {
        let rig = rig();
        let line = "  velocity: [{max: 2, denied: true, window: {rolling_s: 60}}]\n";
        rig.node.documents.put_unguarded(&rig.cluster.policy_with(("w", 2), "0.50", line)).unwrap();
        while rig.node.attempts.take(Some("w".parse().unwrap()), rig.cluster.clock.now()).is_some() {}
        for (key, written) in [("a", 1), ("a", 1), ("b", 2), ("c", 2)] {
            assert!(rig.denied_by(key).contains(&"per_transaction".to_owned()));
            assert_eq!(rig.written(), written, "{key}");
        }
    }

    #[test]
    fn and_not_otherwise() {
        let rig = rig();
        let line = "  velocity: [{max: 2, window: {rolling_s: 60}}]\n";
        rig.node.documents.put_unguarded(&rig.cluster.policy_with(("w", 2), "0.50", line)).unwrap();
        for n in 0..5 {
            assert_eq!(rig.denied_by(&format!("a{n}")), ["per_transaction"]);
        }
        assert_eq!(rig.written(), 5);
    }
}
