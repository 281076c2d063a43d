//! How an admitted signing ends, and what becomes of its budget: it was marked as spent before the first message left, and
//! is given back only where every node says that nothing left it.

use quorate_audit::Event;
use quorate_failpoint::Point;
use quorate_ledger::NothingReleased;
use quorate_proto::v1;
use quorate_types::NodeId;
use serde_json::json;

use crate::coordinator::Coordinator;
use crate::error::OpError;
use crate::gate::{Admitted, Budget, Case};
use crate::holds::HeldRequest;
use crate::ops::sign::Path;
use crate::ops::signed::transaction_hash;
use crate::wire;

impl Admitted {
    /// Records the answer for ever, and gives it.
    pub(crate) async fn finish(
        &self,
        core: &Coordinator,
        signed: v1::Signed,
        path: Path,
    ) -> Result<v1::SignResponse, OpError> {
        quorate_failpoint::pass(Point::CoordinatorAnswered);
        let event = event("sign.signed", self.case())
            .field("signature", json!(hex::encode(&signed.signature)))
            .field("transaction_hash", json!(transaction_hash(&signed)))
            .field("path", json!(path.as_str()))
            .field("session_eid", json!(hex::encode(&signed.session_eid)))
            .field("intent", wire::attestation_json(signed.intent.as_ref()));
        let (wallet, key) = (self.case().request().wallet.clone(), self.case().request().key.clone());
        let (now, payload_hash) = (core.clock.now(), self.case().request().payload_hash);
        let write = core.db.update(move |txn| {
            // The recorded answer names the entry, so that it is the same whenever it is given.
            let (receipt, head) = quorate_audit::append_named(txn, now, &event)?;
            let answer =
                wire::signed(signed, v1::Receipt { sequence: head.sequence, hash: head.hash.to_vec() });
            let bytes = prost::Message::encode_to_vec(&answer);
            // One hold, one signature.
            quorate_ledger::end_hold(txn, &wallet, payload_hash)?;
            HeldRequest::forget(txn, &wallet, &key)?;
            Ok((quorate_ledger::finish(txn, &wallet, &key, &bytes, now)?, receipt, answer))
        });
        let ((recorded, receipt, answer), synced) = write.await?;
        recorded.confirm(&synced);
        receipt.confirm(&synced);
        quorate_failpoint::pass(Point::CoordinatorRecorded);
        Ok(answer)
    }

    /// Records that a node's own policy said no, and answers so.
    pub(crate) async fn denied(
        self,
        core: &Coordinator,
        denial: v1::Denial,
        nothing_released: Option<Vec<NodeId>>,
    ) -> Result<v1::SignResponse, OpError> {
        let event = event("sign.denied", self.case()).field("denial", wire::denial_json(&denial));
        let receipt = self.end(core, event, nothing_released).await?;
        Ok(wire::denied(denial, &receipt))
    }

    /// Records that it failed.
    pub(crate) async fn failed(
        self,
        core: &Coordinator,
        error: &OpError,
        nothing_released: Option<Vec<NodeId>>,
    ) -> Result<(), OpError> {
        let event = event("sign.failed", self.case()).field("error", json!(error.to_string()));
        self.end(core, event, nothing_released).await.map(drop)
    }

    async fn end(
        self,
        core: &Coordinator,
        event: Event,
        nothing_released: Option<Vec<NodeId>>,
    ) -> Result<quorate_audit::Receipt, OpError> {
        let proof = self.proof(nothing_released);
        let event = event.field("spend", json!(if proof.is_some() { "given back" } else { "stands" }));
        let now = core.clock.now();
        let write = core.db.update(move |txn| {
            if let Some(proof) = proof {
                quorate_ledger::void_releasing(txn, proof)?;
            }
            Ok(quorate_audit::append(txn, now, &event)?)
        });
        let (receipt, synced) = write.await?;
        Ok(receipt.confirm(&synced))
    }

    fn proof(&self, nothing_released: Option<Vec<NodeId>>) -> Option<NothingReleased> {
        let Budget::Counted(releasing) = self.budget() else { return None };
        let (wallet, key) = (releasing.wallet().clone(), releasing.key().clone());
        NothingReleased::said_by(nothing_released?, wallet, key, releasing.attempt()).ok()
    }
}

fn event(kind: &'static str, case: &Case) -> Event {
    Event::new(kind)
        .wallet(&case.request().wallet)
        .field("idempotency_key", json!(case.request().key.as_str()))
        .field("payload_hash", json!(case.request().payload_hash))
        .field("digest", json!(case.decoded().digest.digest()))
        .field("agent", json!(case.wallet().agent))
        .field("policy_version", case.policy_version())
        .field("policy_hash", json!(case.policy_hash()))
        .field("admitted_by", json!(case.receipt().sequence))
}
