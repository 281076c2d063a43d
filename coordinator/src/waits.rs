//! What becomes of a request against which only time or people stand: put on hold, or before its approvers.

use quorate_approval::{ApprovalRequest, Nonce};
use quorate_audit::PendingReceipt;
use quorate_policy::{Denial, Hold, SignedPolicy, hold};
use quorate_proto::v1;
use quorate_proto::v1::evaluation::Verdict;
use quorate_store::Txn;
use quorate_types::B256;
use rand_core::{OsRng, RngCore};
use serde_json::json;

use crate::error::OpError;
use crate::holds::HeldRequest;
use crate::question::{Matter, Question};
use crate::waiting::{Case, Refused};
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
    /// case that is over, and a hold somebody said no to, is told once, and forgotten.
    pub(crate) fn may_wait(
        &self,
        txn: &mut dyn Txn,
        matter: &Matter<'_>,
        denial: Denial,
    ) -> Result<Result<Told, Denial>, OpError> {
        let Some(policy) = matter.policy.as_deref() else { return Ok(Err(denial)) };
        let mut begins = false;
        let waiting = match self.wait(matter, policy, &denial) {
            None => return Ok(Err(denial)),
            Some(Wait::Over(over)) => {
                match over {
                    Over::Case(case) => case.close(txn)?,
                    Over::Hold(_) => HeldRequest::forget(txn, &self.request.wallet, &self.request.key)?,
                }
                return Ok(Err(for_good(denial, over.refused())));
            }
            Some(Wait::Hold(hold)) => {
                begins = matter.held_since != Some(hold.since);
                if begins {
                    let (wallet, payload_hash) = (&self.request.wallet, self.request.payload_hash);
                    quorate_ledger::hold(txn, wallet, payload_hash, (hold.since, matter.standing))?;
                }
                self.keep(txn, matter, hold)?;
                on_hold(&denial, hold)
            }
            Some(Wait::People(case)) => {
                let case = match case {
                    Some(case) => case.clone(),
                    None => self.new_case(matter, policy)?.open(txn, matter.now)?,
                };
                before_people(&denial, case)
            }
        };
        let event = self
            .event("sign.waiting", matter)
            .field("tier", json!(waiting.tier))
            .field("until_ms", json!(waiting.until_ms));
        Ok(Ok(Told { waiting, policy_hash: policy.hash(), begins, receipt: self.append(txn, &event)? }))
    }

    /// What [`Question::may_wait`] would tell, with nothing put anywhere. A case that nobody opened has nothing to sign yet.
    pub(crate) fn would_wait(&self, matter: &Matter<'_>, denial: Denial) -> Result<Verdict, OpError> {
        let denied = |denial| Ok(Verdict::Denied(wire::denial_to_pb(&denial)));
        let Some(policy) = matter.policy.as_deref() else { return denied(denial) };
        Ok(Verdict::Waiting(match self.wait(matter, policy, &denial) {
            None => return denied(denial),
            Some(Wait::Over(over)) => return denied(for_good(denial, over.refused())),
            Some(Wait::Hold(hold)) => on_hold(&denial, hold),
            Some(Wait::People(Some(case))) => before_people(&denial, case.clone()),
            Some(Wait::People(None)) => {
                let waiting = before_people(&denial, self.new_case(matter, policy)?);
                v1::Waiting { approval: Vec::new(), ..waiting }
            }
        }))
    }

    /// What it waits for; `None` where something else stands against it too.
    fn wait<'a>(&self, matter: &'a Matter<'_>, policy: &SignedPolicy, denial: &Denial) -> Option<Wait<'a>> {
        if !denial.waits() {
            return None;
        }
        if let Some(over) = matter.case.as_ref().filter(|case| case.is_over(matter.now)) {
            return Some(Wait::Over(Over::Case(over)));
        }
        if let Some(hold) = hold(policy.policy(), &self.facts(matter)) {
            let refused = matter.held.as_ref().filter(|held| held.refused.is_some());
            return Some(refused.map_or(Wait::Hold(hold), |held| Wait::Over(Over::Hold(held))));
        }
        let subject = self.subject(policy, &matter.summary);
        Some(Wait::People(matter.case.as_ref().filter(|case| case.is_about(&subject))))
    }

    /// Keeps under which key it is on hold, where that is not known yet.
    fn keep(&self, txn: &mut dyn Txn, matter: &Matter<'_>, hold: Hold) -> Result<(), OpError> {
        let request = &self.request;
        let held = HeldRequest {
            wallet: request.wallet.clone(),
            key: request.key.to_string(),
            payload: request.payload.clone(),
            payload_hash: request.payload_hash,
            since: hold.since,
            until: hold.until,
            refused: None,
        };
        if matter.held.as_ref() == Some(&held) { Ok(()) } else { held.keep(txn, matter.now) }
    }

    /// A case for approvers about just this.
    fn new_case(&self, matter: &Matter<'_>, policy: &SignedPolicy) -> Result<Case, OpError> {
        let (request, now) = (&self.request, matter.now);
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
        Ok(Case {
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
        })
    }
}

/// What a request waits for, where nothing but time or people stands against it.
enum Wait<'a> {
    /// Nothing any more.
    Over(Over<'a>),
    Hold(Hold),
    /// Approvers, who were asked about just this, or are to be.
    People(Option<&'a Case>),
}

/// What was waited for in vain. It is told once, and forgotten.
enum Over<'a> {
    Case(&'a Case),
    Hold(&'a HeldRequest),
}

impl Over<'_> {
    /// Who said no, and why; none where nobody said anything in time.
    fn refused(&self) -> Option<&Refused> {
        match self {
            Self::Case(case) => case.refused.as_ref(),
            Self::Hold(held) => held.refused.as_ref(),
        }
    }
}

fn on_hold(denial: &Denial, hold: Hold) -> v1::Waiting {
    v1::Waiting { tier: "delay".to_owned(), until_ms: hold.until, ..missing(denial) }
}

fn before_people(denial: &Denial, case: Case) -> v1::Waiting {
    let (until_ms, approval) = (case.expires_at, case.body.into_bytes());
    v1::Waiting { tier: "approval".to_owned(), until_ms, approval, ..missing(denial) }
}

fn missing(denial: &Denial) -> v1::Waiting {
    let v1::Denial { failures, policy_hash, .. } = wire::denial_to_pb(denial);
    v1::Waiting { failures, policy_hash, ..Default::default() }
}

/// The denial, with why nobody waits any more.
fn for_good(mut denial: Denial, refused: Option<&Refused>) -> Denial {
    for failure in &mut denial.failures {
        failure.reason = match refused {
            Some(refused) => format!("{} refused it: {}", refused.by, refused.reason),
            None => "not enough people approved it in time".to_owned(),
        };
    }
    denial
}
