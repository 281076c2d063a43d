use std::sync::Arc;

use quorate_approval::SignedApproval;
use quorate_proto::v1::approval_case::State;
use quorate_proto::v1::approval_service_server::ApprovalService;
use quorate_proto::{FieldError, payload_to_pb, required, v1};
use tonic::{Request, Response, Status};

use crate::access::Caller;
use crate::coordinator::Coordinator;
use crate::holds::HeldRequest;
use crate::ops::approvals::{Waits, approve, get_approval, list_approvals};
use crate::ops::refuse::{Said, refuse};
use crate::signings::Name;
use crate::status::status;
use crate::waiting::Case;
use crate::wire::{document_from_pb, document_to_pb};

pub(crate) struct Approvals(pub(crate) Arc<Coordinator>);

#[tonic::async_trait]
impl ApprovalService for Approvals {
    async fn list_approvals(
        &self,
        request: Request<v1::ListApprovalsRequest>,
    ) -> Result<Response<v1::ListApprovalsResponse>, Status> {
        let v1::ListApprovalsRequest { page_size, after_wallet, after_idempotency_key } =
            request.into_inner();
        let page = async {
            let first = after_wallet.is_empty() && after_idempotency_key.is_empty();
            let after = if first { None } else { Some(name_after(&after_wallet, &after_idempotency_key)?) };
            list_approvals(&self.0, page_size, after).await
        };
        let (cases, more) = page.await.map_err(|error| status(&error))?;
        // A list is for choosing; what is asked is for `GetApproval` to tell, payload and all.
        let brief = |waits: &Waits| v1::ApprovalCase { payload: None, ..waits_to_pb(&self.0, waits) };
        let cases = cases.iter().map(brief).collect();
        Ok(Response::new(v1::ListApprovalsResponse { cases, more }))
    }

    async fn get_approval(
        &self,
        request: Request<v1::GetApprovalRequest>,
    ) -> Result<Response<v1::ApprovalCase>, Status> {
        let v1::GetApprovalRequest { wallet, idempotency_key } = request.into_inner();
        let waits = async { get_approval(&self.0, name(&wallet, &idempotency_key)?).await };
        waits.await.map(|waits| Response::new(waits_to_pb(&self.0, &waits))).map_err(|error| status(&error))
    }

    async fn approve(
        &self,
        request: Request<v1::ApproveRequest>,
    ) -> Result<Response<v1::ApprovalCase>, Status> {
        let caller = Caller::of(&request)?;
        let v1::ApproveRequest { wallet, idempotency_key, approval } = request.into_inner();
        let case = async {
            let said = (name(&wallet, &idempotency_key)?, document_from_pb("approval", approval)?);
            let core = self.0.clone();
            self.0.to_the_end(async move { approve(&core, caller, said).await }).await
        };
        case.await.map(|case| Response::new(case_to_pb(&self.0, &case))).map_err(|error| status(&error))
    }

    async fn refuse(
        &self,
        request: Request<v1::RefuseRequest>,
    ) -> Result<Response<v1::ApprovalCase>, Status> {
        let caller = Caller::of(&request)?;
        let v1::RefuseRequest { wallet, idempotency_key, reason } = request.into_inner();
        let said = async {
            let said = (name(&wallet, &idempotency_key)?, reason);
            let core = self.0.clone();
            self.0.to_the_end(async move { refuse(&core, caller, said).await }).await
        };
        let Said { waits, may_be_late } = said.await.map_err(|error| status(&error))?;
        Ok(Response::new(v1::ApprovalCase { may_be_late, ..waits_to_pb(&self.0, &waits) }))
    }
}

fn name_after(wallet: &str, key: &str) -> Result<Name, FieldError> {
    Ok(Name { wallet: required("after_wallet", wallet)?, key: required("after_idempotency_key", key)? })
}

/// Which request is meant, by the fields that every call has for it.
pub(crate) fn name(wallet: &str, key: &str) -> Result<Name, FieldError> {
    Ok(Name { wallet: required("wallet", wallet)?, key: required("idempotency_key", key)? })
}

fn waits_to_pb(core: &Coordinator, waits: &Waits) -> v1::ApprovalCase {
    match waits {
        Waits::ForPeople(case) => case_to_pb(core, case),
        Waits::ForTime(held) => held_to_pb(held),
    }
}

fn held_to_pb(held: &HeldRequest) -> v1::ApprovalCase {
    let refused = held.refused.clone();
    let state = if refused.is_some() { State::Refused } else { State::OnHold };
    v1::ApprovalCase {
        wallet: held.wallet.to_string(),
        idempotency_key: held.key.clone(),
        state: state.into(),
        payload: Some(payload_to_pb(&held.payload)),
        asked_at_ms: held.since,
        expires_at_ms: held.until,
        summary: held.summary.clone(),
        refused_by: refused.as_ref().map(|refused| refused.by.clone()).unwrap_or_default(),
        reason: refused.map(|refused| refused.reason).unwrap_or_default(),
        ..Default::default()
    }
}

fn case_to_pb(core: &Coordinator, case: &Case) -> v1::ApprovalCase {
    let pinned = core.pinned.load_full();
    let approved = case.approved(pinned.manifest());
    let approved_by = approved.as_ref().map(|approved| approved.approvers().to_vec()).unwrap_or_default();
    let state = match &case.refused {
        Some(_) => State::Refused,
        None if case.is_over(core.clock.now()) => State::Expired,
        None if approved_by.len() >= case.threshold => State::Approved,
        None => State::Waiting,
    };
    let refused = case.refused.clone();
    v1::ApprovalCase {
        wallet: case.wallet.to_string(),
        idempotency_key: case.key.clone(),
        state: state.into(),
        payload: Some(payload_to_pb(&case.payload)),
        approval: Some(match approved.as_ref().map(SignedApproval::document) {
            Some(document) => document_to_pb(document),
            None => v1::SignedDocument { body: case.body.clone().into_bytes(), signatures: Vec::new() },
        }),
        approved_by,
        threshold: u32::try_from(case.threshold).unwrap_or(u32::MAX),
        asked_at_ms: case.asked_at,
        expires_at_ms: case.expires_at,
        refused_by: refused.as_ref().map(|refused| refused.by.clone()).unwrap_or_default(),
        reason: refused.map(|refused| refused.reason).unwrap_or_default(),
        summary: String::new(),
        may_be_late: false,
    }
}
