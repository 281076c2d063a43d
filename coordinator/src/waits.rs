//! What becomes of a request against which only time or people stand: put on hold, or before its approvers.

use quorate_approval::{ApprovalRequest, Nonce};
use quorate_audit::PendingReceipt;
use quorate_policy::{Denial, Hold, RuleFailure, SignedPolicy, codes, hold};
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
            Some(Wait::Over(refused)) => {
                self.forget(txn, matter)?;
                return Ok(Err(for_good(denial, refused)));
            }
            Some(Wait::Hold(hold)) => {
                // Policy asked people before, and asks nobody any more.
                if let Some(case) = &matter.case {
                    case.close(txn)?;
                }
                begins = matter.held_since != Some(hold.since);
                // First: none begins that nobody could find.
                self.keep(txn, matter, hold)?;
                if begins {
                    let (wallet, payload_hash) = (&self.request.wallet, self.request.payload_hash);
                    quorate_ledger::hold(txn, wallet, payload_hash, (hold.since, matter.standing))?;
                }
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
            Some(Wait::Over(refused)) => return denied(for_good(denial, refused)),
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
            return Some(Wait::Over(over.refused.as_ref()));
        }
        if let Some(hold) = hold(policy.policy(), &self.facts(matter)) {
            let refused = matter.refused();
            return Some(refused.map_or(Wait::Hold(hold), |refused| Wait::Over(Some(refused))));
        }
        let subject = self.subject(policy, &matter.summary);
        Some(Wait::People(matter.case.as_ref().filter(|case| case.is_about(&subject))))
    }

    /// A no that was not told yet, where policy would let the request pass by now. It is told before anything is signed.
    pub(crate) fn no(&self, matter: &Matter<'_>) -> Option<Denial> {
        let refused = matter.refused()?;
        let failure = RuleFailure {
            rule: codes::APPROVAL.to_owned(),
            reason: no(refused),
            limit: "nothing that somebody said no to".to_owned(),
            used: None,
            requested: matter.summary.clone(),
            resets_at_ms: None,
        };
        Some(Denial {
            policy_hash: matter.policy.as_deref().map(SignedPolicy::hash),
            failures: vec![failure],
        })
    }

    /// Forgets what was told: a no, or that nobody said anything in time.
    pub(crate) fn forget(&self, txn: &mut dyn Txn, matter: &Matter<'_>) -> Result<(), OpError> {
        if let Some(case) = matter.case.as_ref().filter(|case| case.is_over(matter.now)) {
            case.close(txn)?;
        }
        match &matter.held {
            Some(held) if held.refused.is_some() => {
                HeldRequest::forget(txn, &self.request.wallet, &self.request.key)
            }
            _ => Ok(()),
        }
    }

    /// Keeps under which key it is on hold, where that is not known yet.
    fn keep(&self, txn: &mut dyn Txn, matter: &Matter<'_>, hold: Hold) -> Result<(), OpError> {
        let request = &self.request;
        let held = HeldRequest {
            wallet: request.wallet.clone(),
            key: request.key.to_string(),
            payload: request.payload.clone(),
            payload_hash: request.payload_hash,
            summary: matter.summary.clone(),
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
    /// Nothing any more: somebody said no, or nobody anything in time.
    Over(Option<&'a Refused>),
    Hold(Hold),
    /// Approvers, who were asked about just this, or are to be.
    People(Option<&'a Case>),
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
            Some(refused) => no(refused),
            None => "not enough people approved it in time".to_owned(),
        };
    }
    denial
}

fn no(refused: &Refused) -> String {
    format!("{} refused it: {}", refused.by, refused.reason)
}

impl Matter<'_> {
    /// Who said no to the request, where nobody was told of it yet.
    pub(crate) fn refused(&self) -> Option<&Refused> {
        let of_the_case = self.case.as_ref().and_then(|case| case.refused.as_ref());
        of_the_case.or_else(|| self.held.as_ref()?.refused.as_ref())
    }
}
