//! What waits for people or for time, and how that ends.

use std::sync::Arc;

use quorate_manifest::{Namespace, SignedDocument, sign};
use quorate_proto::v1;
use quorate_proto::v1::approval_case::State;
use quorate_proto::v1::approval_service_server::ApprovalService;
use quorate_store::update;
use quorate_transport::PeerRole;
use tonic::Request;

use super::rig::{
    PAYEE, Rig, SMALL, START, anne, caller, denial_of, payment, policy_record, policy_with, signature_of,
    waiting_of,
};
use crate::error::OpError;
use crate::ops::apply_freeze::apply_freeze;
use crate::ops::approvals::{Name, approve};
use crate::records::put;
use crate::server::approvals::Approvals;

const TIMEOUT_MS: u64 = 600_000;

/// Every payment takes anne's yes, within ten minutes.
fn people() -> Rig {
    tiers(
        "  tiers: [{asset: native, chain: base-sepolia}]\n  approval: {threshold: 1, approvers: [anne], timeout_s: 600}\n",
    )
}

fn tiers(lines: &str) -> Rig {
    let rig = Rig::new();
    let policy = policy_record(policy_with(2, "0.01", lines));
    let _synced = update(rig.store.as_ref(), |txn| put(txn, &policy)).unwrap();
    rig
}

impl Rig {
    async fn waits(&self, key: &str) -> v1::Waiting {
        waiting_of(&self.sign(key, payment(SMALL, PAYEE)).await.unwrap())
    }

    async fn states(&self) -> Vec<(String, State)> {
        let approvals = Approvals(Arc::clone(&self.core));
        let list = approvals.list_approvals(Request::new(v1::ListApprovalsRequest {}));
        let cases = list.await.unwrap().into_inner().cases;
        cases.iter().map(|case| (case.idempotency_key.clone(), case.state())).collect()
    }

    async fn approve(&self, key: &str, body: &[u8]) -> Result<(), OpError> {
        let signatures = vec![sign(body, Namespace::Approval, &anne()).unwrap()];
        let document = SignedDocument { body: body.to_vec(), signatures };
        let name = Name { wallet: super::rig::wallet(), key: key.parse().unwrap() };
        approve(&self.core, caller(PeerRole::Approver), (name, document)).await.map(drop)
    }
}

fn at(key: &str, state: State) -> Vec<(String, State)> {
    vec![(key.to_owned(), state)]
}

/// Silence is a no: told once with its reason, to be asked again by whoever still wants it.
#[tokio::test]
async fn a_case_nobody_approved_in_time_denies() {
    let rig = people();
    let (agent, service) = rig.attach_signers(&[], &[]);
    let first = rig.waits("k").await;
    assert_eq!((first.tier.as_str(), first.until_ms), ("approval", START + TIMEOUT_MS));
    rig.clock.advance(TIMEOUT_MS - 1);
    assert_eq!(rig.waits("k").await, first, "still the same case");
    assert_eq!(rig.states().await, at("k", State::Waiting));

    rig.clock.advance(1);
    assert_eq!(rig.states().await, at("k", State::Expired));
    let late = rig.approve("k", &first.approval).await;
    let Err(OpError::Conflict { field: "approval", reason, .. }) = late else { panic!("{late:?}") };
    assert_eq!(reason, "it came too late: the case has expired");
    let denied = rig.sign("k", payment(SMALL, PAYEE)).await.unwrap();
    let denial = denial_of(&denied);
    assert_eq!((denial.decided_by.as_str(), denial.failures.len()), ("coordinator", 1));
    let failure = &denial.failures[0];
    assert_eq!(
        (failure.rule.as_str(), failure.reason.as_str()),
        ("approval", "not enough people approved it in time")
    );
    assert!(denied.receipt.is_some());
    assert_eq!((rig.entry("k"), agent.sessions(), service.sessions()), (None, 0, 0), "nothing was spent");
    assert_eq!(rig.states().await, [], "told once, and forgotten");

    // Under another key it is another request, and people are asked anew; so they are under the same one.
    for key in ["l", "k"] {
        let again = rig.waits(key).await;
        assert_eq!(again.until_ms, START + 2 * TIMEOUT_MS);
        assert_ne!(again.approval, first.approval);
        assert!(rig.approve(key, &first.approval).await.is_err(), "a yes to what is over");
        rig.approve(key, &again.approval).await.unwrap();
    }
    signature_of(&rig.sign("l", payment(SMALL, PAYEE)).await.unwrap());
    let kinds = rig.audit();
    let count = |kind: &str| kinds.iter().filter(|entry| *entry == kind).count();
    assert_eq!((count("sign.denied"), count("sign.allowed"), count("sign.signed")), (1, 1, 1), "{kinds:?}");
}

/// A yes is as old as what was asked: whoever waits too long with it has none.
#[tokio::test]
async fn an_approved_case_denies_too_once_its_time_is_over() {
    let rig = people();
    let (agent, _service) = rig.attach_signers(&[], &[]);
    let asked = rig.waits("k").await;
    rig.approve("k", &asked.approval).await.unwrap();
    assert_eq!(rig.states().await, at("k", State::Approved));
    rig.clock.advance(TIMEOUT_MS);
    let rig = rig.restarted();
    assert_eq!(rig.states().await, at("k", State::Expired));
    let denial = denial_of(&rig.sign("k", payment(SMALL, PAYEE)).await.unwrap());
    assert_eq!(denial.failures[0].rule, "approval");
    assert_eq!((rig.entry("k"), agent.sessions()), (None, 0));
    assert_ne!(rig.waits("k").await.approval, asked.approval);
}

/// Every payment is on hold for a minute.
fn held() -> Rig {
    tiers(
        "  tiers: [{asset: native, chain: base-sepolia, delay: \"0.01\", delay_s: 60}]\n  approval: {threshold: 1, \
         approvers: [anne], timeout_s: 600}\n",
    )
}

async fn order(rig: &Rig, scope: &str, sequence: u64, action: &str) {
    let body = format!(
        "freeze: quorate/v1\ncluster: demo\nsequence: {sequence}\n{scope}\naction: {action}\nreason: a test\n"
    );
    apply_freeze(&rig.core, caller(PeerRole::Operator), super::rig::signed(body, Namespace::Freeze))
        .await
        .unwrap();
}

/// Lifting it arms nothing: whoever still wants the payment waits from the beginning.
#[tokio::test]
async fn a_freeze_that_comes_during_a_hold_ends_it_also_once_lifted() {
    for scope in [
        "scope: all",
        "scope: wallet\ntarget: w",
        "scope: agent\ntarget: bot",
        "scope: chain\ntarget: \"84532\"",
    ] {
        let rig = held();
        let first = rig.waits("k").await;
        assert_eq!((first.tier.as_str(), first.until_ms), ("delay", START + 60_000));
        rig.clock.advance(30_000);
        order(&rig, scope, 1, "freeze").await;
        let frozen = denial_of(&rig.sign("k", payment(SMALL, PAYEE)).await.unwrap());
        assert_eq!(frozen.failures[0].rule, "frozen");
        order(&rig, scope, 2, "unfreeze").await;
        let rig = rig.restarted();
        let (agent, _service) = rig.attach_signers(&[], &[]);
        rig.clock.advance(30_000);
        assert_eq!(rig.waits("k").await.until_ms, START + 120_000, "{scope}");
        rig.clock.advance(59_999);
        assert_eq!(rig.waits("k").await.until_ms, START + 120_000, "{scope}");
        assert_eq!(agent.sessions(), 0);
        rig.clock.advance(1);
        signature_of(&rig.sign("k", payment(SMALL, PAYEE)).await.unwrap());
    }
}

#[tokio::test]
async fn an_order_about_something_else_ends_no_hold() {
    let rig = held();
    let _nodes = rig.attach_signers(&[], &[]);
    rig.waits("k").await;
    order(&rig, "scope: wallet\ntarget: other", 1, "freeze").await;
    order(&rig, "scope: chain\ntarget: \"1\"", 1, "freeze").await;
    rig.clock.advance(60_000);
    signature_of(&rig.sign("k", payment(SMALL, PAYEE)).await.unwrap());
}
