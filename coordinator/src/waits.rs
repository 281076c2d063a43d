//! What becomes of a request against which only time or people stand: put on hold, or before its approvers.

use quorate_approval::{ApprovalRequest, Nonce};
use quorate_audit::PendingReceipt;
use quorate_policy::{Denial, SignedPolicy, hold};
use quorate_proto::v1;
use quorate_store::Txn;
use quorate_types::B256;
use rand_core::{OsRng, RngCore};
use serde_json::json;

use crate::error::OpError;
use crate::question::{Matter, Question};
use crate::waiting::Case;
use crate::wire;

/// What the caller is told, and how it was written down.
pub(crate) struct Told {
    pub(crate) waiting: v1::Waiting,
    /// The policy that has it wait.
    pub(crate) policy_hash: B256,
    /// Whether a hold begins with it.
    pub(crate) begins: bool,
    pub(crate) receipt: PendingReceipt,
}

impl Question {
    /// Puts it on hold or before its approvers, where nothing else stands against it; gives the denial back otherwise. A
    /// case that is over is told once, and forgotten.
    pub(crate) fn may_wait(
        &self,
        txn: &mut dyn Txn,
        matter: &Matter<'_>,
        denial: Denial,
    ) -> Result<Result<Told, Denial>, OpError> {
        let Some(policy) = matter.policy.as_deref().filter(|_| denial.waits()) else {
            return Ok(Err(denial));
        };
        if let Some(over) = matter.case.as_ref().filter(|case| case.is_over(matter.now)) {
            over.close(txn)?;
            return Ok(Err(for_good(denial, over)));
        }
        let told = wire::denial_to_pb(&denial);
        let told =
            v1::Waiting { failures: told.failures, policy_hash: told.policy_hash, ..Default::default() };
        let mut begins = false;
        let waiting = match hold(policy.policy(), &self.facts(matter)) {
            Some(hold) => {
                begins = matter.held_since != Some(hold.since);
                if begins {
                    let (wallet, payload_hash) = (&self.request.wallet, self.request.payload_hash);
                    quorate_ledger::hold(txn, wallet, payload_hash, hold.since)?;
                }
                v1::Waiting { tier: "delay".to_owned(), until_ms: hold.until, ..told }
            }
            None => {
                let case = self.case(txn, matter, policy)?;
                let (until_ms, approval) = (case.expires_at, case.body.into_bytes());
                v1::Waiting { tier: "approval".to_owned(), until_ms, approval, ..told }
            }
        };
        let event = self
            .event("sign.waiting", matter.decoded)
            .field("tier", json!(waiting.tier))
            .field("until_ms", json!(waiting.until_ms))
            .field("policy_hash", json!(policy.hash()));
        Ok(Ok(Told { waiting, policy_hash: policy.hash(), begins, receipt: self.append(txn, &event)? }))
    }

    /// The case approvers are asked about: the one there is, or a new one where there is none about just this.
    fn case(&self, txn: &mut dyn Txn, matter: &Matter<'_>, policy: &SignedPolicy) -> Result<Case, OpError> {
        let (request, now) = (&self.request, matter.now);
        let subject = self.subject(policy, &matter.summary);
        if let Some(case) = matter.case.clone().filter(|case| case.is_about(&subject)) {
            return Ok(case);
        }
        let approvers = policy.policy().approval();
        let approvers = approvers.ok_or_else(|| OpError::defect("approval without approvers"))?;
        let mut nonce = Nonce([0; 16]);
        OsRng.fill_bytes(&mut nonce.0);
        let expires_at = now.saturating_add(approvers.timeout_s.saturating_mul(1000));
        let asked = ApprovalRequest {
            cluster: self.pinned.manifest().cluster().clone(),
            wallet: request.wallet.clone(),
            payload_hash: request.payload_hash,
            idempotency_key: request.key.to_string(),
            summary: matter.summary.clone(),
            policy_hash: policy.hash(),
            nonce,
            expires_at,
        };
        let case = Case {
            wallet: request.wallet.clone(),
            key: request.key.to_string(),
            payload: request.payload.clone(),
            payload_hash: request.payload_hash,
            body: asked.to_yaml().map_err(|error| OpError::invalid("payload", error))?,
            signatures: Vec::new(),
            threshold: approvers.threshold,
            asked_at: now,
            expires_at,
            refused: None,
        };
        case.open(txn, now)
    }
}

/// The denial, with why nobody waits any more.
fn for_good(mut denial: Denial, over: &Case) -> Denial {
    for failure in &mut denial.failures {
        failure.reason = match &over.refused {
            Some(refused) => format!("{} refused it: {}", refused.by, refused.reason),
            None => "not enough people approved it in time".to_owned(),
        };
    }
    denial
}
