//! What waits for people or for time, and how that ends.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use quorate_ledger::State as LedgerState;
use quorate_manifest::{Namespace, SignedDocument, sign};
use quorate_proto::v1;
use quorate_proto::v1::approval_case::State;
use quorate_proto::v1::approval_service_server::ApprovalService;
use quorate_proto::v1::evaluation::Verdict;
use quorate_proto::v1::session_failure::Fault;
use quorate_proto::v1::signing_event::State as Signing;
use quorate_store::update;
use quorate_transport::PeerRole;
use quorate_types::{Clock, Role};
use tokio::time::timeout;
use tonic::Request;

use super::fake::{Does, Fake};
use super::rig::{
    PAYEE, Rig, SMALL, START, anne, caller, denial_of, node, payment, policy_record, policy_with,
    signature_of, waiting_of,
};
use crate::attach::tell_missed;
use crate::error::OpError;
use crate::holds::MAX_HOLDS;
use crate::ops::apply_freeze::apply_freeze;
use crate::ops::approvals::{Waits, approve, list_approvals};
use crate::ops::refuse::{Said, refuse};
use crate::ops::watch_signing::watch_signing;
use crate::records::put;
use crate::server::approvals::Approvals;
use crate::signings::Name;

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
        let list = approvals.list_approvals(Request::new(v1::ListApprovalsRequest::default()));
        let cases = list.await.unwrap().into_inner().cases;
        cases.iter().map(|case| (case.idempotency_key.clone(), case.state())).collect()
    }

    async fn approve(&self, key: &str, body: &[u8]) -> Result<(), OpError> {
        let signatures = vec![sign(body, Namespace::Approval, &anne()).unwrap()];
        let document = SignedDocument { body: body.to_vec(), signatures };
        approve(&self.core, caller(PeerRole::Approver), (name(key), document)).await.map(drop)
    }

    async fn refuse(&self, key: &str) -> Result<Said, OpError> {
        let said = (name(key), "we know no such shop".to_owned());
        refuse(&self.core, caller(PeerRole::Approver), said).await
    }

    /// Why it would be denied.
    async fn evaluate(&self, key: &str) -> Vec<String> {
        let request = super::rig::request(key, payment(SMALL, PAYEE));
        let evaluation = self.core.gate.foretell(&caller(PeerRole::Gateway), request).await.unwrap();
        let Some(Verdict::Denied(denial)) = evaluation.verdict else { panic!("{evaluation:?}") };
        denial.failures.into_iter().map(|failure| failure.reason).collect()
    }

    /// Why the request is denied, all of it.
    async fn denied(&self, key: &str) -> Vec<String> {
        let denial = denial_of(&self.sign(key, payment(SMALL, PAYEE)).await.unwrap()).clone();
        assert_eq!(denial.decided_by, "coordinator");
        denial.failures.into_iter().map(|failure| failure.reason).collect()
    }
}

fn name(key: &str) -> Name {
    Name { wallet: super::rig::wallet(), key: key.parse().unwrap() }
}

fn conflict(answer: Result<impl std::fmt::Debug, OpError>) -> String {
    match answer {
        Err(OpError::Conflict { field: "approval", reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

async fn told(node: &Fake, what: &str) {
    let heard = async {
        while !node.documents().iter().any(|told| told == what) {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), heard).await.unwrap();
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
const HOLD: &str = "  tiers: [{asset: native, chain: base-sepolia, delay: \"0.01\", delay_s: 60}]\n  approval: {threshold: 1, \
                    approvers: [anne], timeout_s: 600}\n";

fn held() -> Rig {
    tiers(HOLD)
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

/// What an alert tells of can still be stopped, one by one, until the moment it is signed.
#[tokio::test]
async fn a_hold_somebody_says_no_to_denies_once_and_begins_again() {
    // While it runs, and when it is over and was not signed yet.
    for after in [1, 60_000, 600_000] {
        let rig = held();
        let first = rig.waits("k").await;
        assert_eq!(rig.states().await, at("k", State::OnHold));
        let rig = rig.restarted();
        let (agent, service) = rig.attach_signers(&[], &[]);
        rig.clock.advance(after);
        let said = rig.refuse("k").await.unwrap();
        assert!(matches!(said.waits, Waits::ForTime(_)) && !said.may_be_late);
        told(&service, "end of a hold of w").await;
        assert!(!agent.documents().iter().any(|told| told.contains("hold")));
        assert!(conflict(rig.refuse("k").await).ends_with("refused it already"));
        let rig = rig.restarted();
        let _nodes = rig.attach_signers(&[], &[]);
        assert_eq!(rig.states().await, at("k", State::Refused));
        rig.clock.advance(60_000);
        let foretold = rig.evaluate("k").await;
        let reasons = rig.denied("k").await;
        assert!(
            reasons.len() == 1 && reasons[0].ends_with("refused it: we know no such shop"),
            "{reasons:?}"
        );
        assert_eq!(foretold, reasons, "a dry run tells it and takes nothing away");
        assert_eq!((rig.entry("k"), rig.states().await), (None, vec![]));

        let again = rig.waits("k").await;
        assert_eq!((again.tier.as_str(), again.until_ms), ("delay", first.until_ms + after + 60_000));
        rig.clock.advance(59_999);
        assert_eq!(rig.waits("k").await.until_ms, again.until_ms);
        rig.clock.advance(1);
        signature_of(&rig.sign("k", payment(SMALL, PAYEE)).await.unwrap());
        assert_eq!(rig.states().await, []);
        assert!(conflict(rig.refuse("k").await).contains("it was signed"));
        let kinds = rig.audit();
        assert_eq!(kinds.iter().filter(|kind| *kind == "hold.refused").count(), 1);
    }
}

/// Also when it was tried, and nothing came of it.
#[tokio::test]
async fn what_was_not_signed_in_the_end_can_still_be_refused() {
    let fails = || Does::Fails(Fault::Caller, false);
    let rig = held();
    let (agent, _service) = rig.attach_signers(&[fails()], &[fails()]);
    rig.waits("k").await;
    rig.clock.advance(60_000);
    rig.sign("k", payment(SMALL, PAYEE)).await.unwrap_err();
    assert_eq!((agent.sessions(), rig.entry("k").unwrap().state), (1, LedgerState::Void));
    assert_eq!(rig.states().await, at("k", State::OnHold));
    rig.refuse("k").await.unwrap();
    assert_eq!(rig.denied("k").await.len(), 1);
    assert_eq!(rig.waits("k").await.until_ms, START + 120_000);
    assert_eq!(agent.sessions(), 1);
}

/// Otherwise a second payload under the key would hide the first, whose hold goes on.
#[tokio::test]
async fn no_other_payload_takes_the_place_of_one_on_hold() {
    let rig = held();
    let _nodes = rig.attach_signers(&[], &[]);
    rig.waits("k").await;
    let other = async || rig.sign("k", payment(SMALL + 1, PAYEE)).await;
    assert!(matches!(other().await, Err(OpError::Conflict { field: "idempotency_key", .. })));
    assert_eq!(rig.last().kind, "sign.refused");
    rig.refuse("k").await.unwrap();
    assert!(
        matches!(other().await, Err(OpError::Conflict { .. })),
        "nor is it told what was said of the first"
    );
    assert_eq!(rig.denied("k").await.len(), 1);
    waiting_of(&other().await.unwrap());
    // What nobody asked for again for more than a day holds no place.
    rig.clock.advance(60_000 + 24 * 60 * 60 * 1000 + 1);
    assert_eq!(rig.waits("k").await.tier, "delay");
}

/// Whoever said no to the request said it, whatever policy asks for by now.
#[tokio::test]
async fn a_no_outlasts_a_change_of_policy() {
    let put_in_force = |rig: &Rig, lines: &str| {
        let policy = policy_record(policy_with(3, "0.01", lines));
        let _synced = update(rig.store.as_ref(), |txn| put(txn, &policy)).unwrap();
    };
    // On hold, refused, and allowed at once by then.
    let rig = held();
    let (agent, _service) = rig.attach_signers(&[], &[]);
    rig.waits("k").await;
    rig.refuse("k").await.unwrap();
    put_in_force(&rig, &HOLD.replace("delay: \"0.01\", delay_s: 60", "instant: \"0.01\""));
    let foretold = rig.evaluate("k").await;
    assert_eq!(foretold, rig.denied("k").await);
    assert!(foretold[0].ends_with("refused it: we know no such shop"), "{foretold:?}");
    assert_eq!(agent.sessions(), 0);
    signature_of(&rig.sign("k", payment(SMALL, PAYEE)).await.unwrap());

    // Before people, who are not asked any more: what is refused is the hold.
    let rig = people();
    let (agent, _service) = rig.attach_signers(&[], &[]);
    assert_eq!(rig.waits("k").await.tier, "approval");
    put_in_force(&rig, HOLD);
    assert_eq!(rig.waits("k").await.tier, "delay");
    assert_eq!(rig.states().await, at("k", State::OnHold));
    rig.refuse("k").await.unwrap();
    rig.clock.advance(60_000);
    assert_eq!(rig.denied("k").await.len(), 1);
    assert_eq!((rig.waits("k").await.until_ms, agent.sessions()), (START + 120_000, 0));
}

/// A request nobody knows the end of may be signed yet: that is when people want to stop it.
#[tokio::test]
async fn what_is_under_way_without_word_is_refused_and_said_to_be_late() {
    let rig = held();
    let (_agent, _service) = rig.attach_signers(&[], &[Does::Vanishes]);
    rig.waits("k").await;
    rig.waits("l").await;
    rig.clock.advance(60_000);
    rig.sign("k", payment(SMALL, PAYEE)).await.unwrap_err();
    assert_eq!(rig.entry("k").unwrap().state, LedgerState::Releasing);
    let sibling = rig.refuse("l").await.unwrap();
    assert!(sibling.may_be_late, "the same payload is under way under another key");
    let said = rig.refuse("k").await.unwrap();
    assert!(said.may_be_late);
    let (agent, _service) = rig.attach_signers(&[], &[]);
    let reasons = rig.denied("k").await;
    assert!(reasons[0].ends_with("refused it: we know no such shop"), "{reasons:?}");
    assert_eq!((rig.waits("k").await.until_ms, agent.sessions()), (START + 120_000, 0));
}

/// One hold, one signature: what is left of it under other keys is over, and says so.
#[tokio::test]
async fn a_no_that_comes_after_the_payload_was_signed_says_so() {
    let rig = held();
    let _nodes = rig.attach_signers(&[], &[]);
    rig.waits("k").await;
    rig.waits("l").await;
    rig.clock.advance(60_000);
    signature_of(&rig.sign("l", payment(SMALL, PAYEE)).await.unwrap());
    assert!(rig.refuse("k").await.unwrap().may_be_late);
    assert!(conflict(rig.refuse("l").await).contains("it was signed"));
}

/// A longer hold by a later policy outlives what was kept of the shorter one: whatever drops that ends the hold.
#[tokio::test]
async fn no_hold_goes_on_that_nobody_can_find() {
    let rig = held();
    let _nodes = rig.attach_signers(&[], &[]);
    rig.waits("k").await;
    let longer = HOLD.replace("delay_s: 60", "delay_s: 604800");
    let policy = policy_record(policy_with(3, "0.01", &longer));
    let _synced = update(rig.store.as_ref(), |txn| put(txn, &policy)).unwrap();
    rig.clock.advance(25 * 60 * 60 * 1000);
    // Its place is taken by another payload.
    let other = rig.sign("k", payment(SMALL + 1, PAYEE)).await.unwrap();
    assert_eq!(waiting_of(&other).tier, "delay");
    rig.clock.advance(604_800_000 - 1);
    let again = waiting_of(&rig.sign("fresh", payment(SMALL, PAYEE)).await.unwrap());
    assert_eq!(again.until_ms, rig.clock.now() + 604_800_000, "it begins again, and is listed");
}

/// A service node that was away hears of it when it is back.
#[tokio::test]
async fn a_node_that_was_away_is_told_what_was_refused() {
    let rig = held();
    rig.waits("k").await;
    rig.waits("l").await;
    rig.refuse("k").await.unwrap();
    let service = rig.attach(Role::Service, &[]);
    let link = rig.core.nodes.link(&node(Role::Service)).unwrap();
    tell_missed(&rig.core, &link, 1).await.unwrap();
    told(&service, "end of a hold of w").await;
    let agent = rig.attach(Role::Agent, &[]);
    let link = rig.core.nodes.link(&node(Role::Agent)).unwrap();
    tell_missed(&rig.core, &link, 1).await.unwrap();
    told(&agent, "policy").await;
    assert!(!agent.documents().iter().any(|told| told.contains("hold")));
}

#[tokio::test]
async fn what_waits_is_listed_page_by_page() {
    let rig = held();
    for number in 0..5 {
        rig.sign(&format!("k{number}"), payment(number + 1, PAYEE)).await.unwrap();
    }
    let list = async |page_size, after: &str| {
        let after = if after.is_empty() { None } else { Some(name(after)) };
        let (waits, more) = list_approvals(&rig.core, page_size, after).await?;
        let keys = waits.into_iter().map(|waits| match waits {
            Waits::ForTime(held) => held.key,
            Waits::ForPeople(case) => case.key,
        });
        Ok::<_, OpError>((keys.collect::<Vec<_>>().join(" "), more))
    };
    assert_eq!(list(2, "").await.unwrap(), ("k0 k1".to_owned(), true));
    assert_eq!(list(2, "k1").await.unwrap(), ("k2 k3".to_owned(), true));
    assert_eq!(list(2, "k3").await.unwrap(), ("k4".to_owned(), false));
    assert!(!list(5, "").await.unwrap().1);
    assert!(list(1001, "").await.is_err());
}

/// A hold is the payload's: saying no to one of its requests has the others wait from the beginning.
#[tokio::test]
async fn no_other_key_brings_a_refused_payload_through() {
    let rig = held();
    let _nodes = rig.attach_signers(&[], &[]);
    rig.waits("k").await;
    rig.clock.advance(30_000);
    assert_eq!(rig.waits("l").await.until_ms, START + 60_000, "the same payload, the same hold");
    assert_eq!(rig.states().await.len(), 2);
    rig.clock.advance(30_000);
    rig.refuse("k").await.unwrap();
    for key in ["l", "m"] {
        assert_eq!(rig.waits(key).await.until_ms, START + 120_000);
    }
    // What was said of `k` is told under `k`, whatever passes under another key meanwhile.
    rig.clock.advance(60_000);
    signature_of(&rig.sign("l", payment(SMALL, PAYEE)).await.unwrap());
    assert_eq!(rig.denied("k").await.len(), 1);
}

#[tokio::test]
async fn nobody_says_yes_to_a_hold_or_no_to_what_does_not_wait() {
    let rig = held();
    let _nodes = rig.attach_signers(&[], &[]);
    assert!(matches!(rig.refuse("k").await, Err(OpError::NotFound { .. })));
    rig.waits("k").await;
    let asked = people().waits("k").await;
    assert!(conflict(rig.approve("k", &asked.approval).await).contains("it waits for time"));
    let wrong = refuse(&rig.core, caller(PeerRole::Approver), (name("k"), "two\nlines".to_owned())).await;
    assert!(matches!(wrong, Err(OpError::Invalid { field, .. }) if field == "reason"));
    assert_eq!(rig.states().await, at("k", State::OnHold));
}

/// Nobody fills the disk by asking; what is signed, refused or lapsed makes room.
#[tokio::test]
async fn so_many_requests_of_a_wallet_are_on_hold_and_no_more() {
    let rig = held();
    let _nodes = rig.attach_signers(&[], &[]);
    let asked = async |number: usize| {
        let payload = payment(u64::try_from(number).unwrap() + 1, PAYEE);
        rig.sign(&format!("k{number}"), payload).await
    };
    for number in 0..MAX_HOLDS {
        waiting_of(&asked(number).await.unwrap());
    }
    let one_more = asked(MAX_HOLDS).await;
    assert!(
        matches!(&one_more, Err(OpError::Unavailable { reason, .. }) if reason.contains("on hold already"))
    );
    assert_eq!((rig.last().kind.as_str(), rig.states().await.len()), ("sign.refused", MAX_HOLDS));
    waiting_of(&asked(0).await.unwrap());
    rig.refuse("k7").await.unwrap();
    rig.clock.advance(1);
    let waiting = waiting_of(&asked(MAX_HOLDS).await.unwrap());
    assert_eq!(waiting.until_ms, START + 60_001, "none had begun when there was no room");
    assert!(asked(MAX_HOLDS + 1).await.is_err());
    // Signed, or forgotten for more than a day.
    rig.clock.advance(60_000);
    signature_of(&asked(3).await.unwrap());
    waiting_of(&asked(MAX_HOLDS + 1).await.unwrap());
    assert!(asked(MAX_HOLDS + 2).await.is_err());
    rig.clock.advance(25 * 60 * 60 * 1000);
    waiting_of(&asked(MAX_HOLDS + 2).await.unwrap());
    assert_eq!(rig.states().await.len(), 1);
}

/// A hold that ended by a refusal is no secret of this process: whoever watches after a restart hears of it.
#[tokio::test]
async fn a_watcher_hears_of_a_hold_and_of_its_end() {
    let rig = held();
    rig.waits("k").await;
    let rig = rig.restarted();
    let mut watching = watch_signing(&rig.core, &caller(PeerRole::Gateway), name("k")).await.unwrap();
    let mut next = async || {
        let event = timeout(Duration::from_secs(10), watching.next()).await.unwrap().unwrap().unwrap();
        let waiting = event.waiting.clone().unwrap();
        (event.state(), waiting.tier, waiting.until_ms)
    };
    let told = |state| (state, "delay".to_owned(), START + 60_000);
    assert_eq!(next().await, told(Signing::Waiting));
    rig.refuse("k").await.unwrap();
    assert_eq!(next().await, told(Signing::AskAgain));
}
