//! Tiers end to end: what waits for time or people is signed by no node before it is time, or before they said yes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use quorate_approval::{ApprovalRequest, Nonce};
use quorate_manifest::Namespace;
use quorate_proto::v1::approval_case::State;
use quorate_proto::v1::approval_service_client::ApprovalServiceClient;
use quorate_proto::v1::session_outcome::Outcome;
use quorate_proto::v1::session_start::Protocol;
use quorate_proto::v1::sign_response::Outcome as Verdict;
use quorate_proto::{failure_of, v1};
use quorate_tests::{
    CLUSTER, Cluster, FRIEND, Script, Stage, WALLET, World, golden, shown, transfer, usdc, with_limits,
};
use quorate_transport::PeerRole;
use quorate_types::{Payload, Role};
use tonic::transport::Channel;

/// One dollar at once, five after a minute on hold, more with anne and ben.
const TIERS: &str = "  tiers:\n    - {asset: USDC, chain: base-sepolia, instant: \"1\", delay: \"5\", delay_s: 60}\n  \
                     approval: {threshold: 2, approvers: [anne, ben], timeout_s: 600}\n";

async fn cluster() -> (Cluster, Vec<u8>) {
    let world = tokio::task::spawn_blocking(|| golden().world()).await.unwrap();
    let cluster = Cluster::start(world).await;
    let policy = cluster.world.policy(&with_limits(2, TIERS));
    cluster.apply_policy(&policy).await.unwrap();
    (cluster, policy.hash(Namespace::Policy).to_vec())
}

async fn approvals(cluster: &Cluster) -> ApprovalServiceClient<Channel> {
    ApprovalServiceClient::new(cluster.channel(PeerRole::Approver).await)
}

async fn waits(cluster: &Cluster, payload: &Payload, key: &str) -> v1::Waiting {
    match cluster.sign(WALLET, payload, key).await.unwrap().outcome {
        Some(Verdict::Waiting(waiting)) => waiting,
        other => panic!("does not wait: {other:?}"),
    }
}

async fn signed(cluster: &Cluster, payload: &Payload, key: &str) -> bool {
    matches!(cluster.sign(WALLET, payload, key).await.unwrap().outcome, Some(Verdict::Signed(_)))
}

fn answer(body: &[u8], signatures: Vec<String>, key: &str) -> v1::ApproveRequest {
    v1::ApproveRequest {
        wallet: WALLET.to_owned(),
        idempotency_key: key.to_owned(),
        approval: Some(v1::SignedDocument { body: body.to_vec(), signatures }),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_payment_is_signed_once_two_people_said_yes() {
    let (cluster, _) = cluster().await;
    assert!(signed(&cluster, &transfer(FRIEND, usdc(1), 1), "small").await, "a small one needs nobody");
    let payload = transfer(FRIEND, usdc(20), 2);
    let waiting = waits(&cluster, &payload, "big").await;
    assert_eq!((waiting.tier.as_str(), waiting.failures[0].rule.as_str()), ("approval", "approval"));
    assert_eq!(waits(&cluster, &payload, "big").await.approval, waiting.approval, "the same is asked");
    let body = waiting.approval;
    let asked = ApprovalRequest::parse(&body).unwrap();
    assert!(asked.summary.contains("20 USDC"), "{}", asked.summary);

    let mut people = approvals(&cluster).await;
    let anne = cluster.world.approve("anne", &body);
    let stranger = cluster.world.sign(&body, Namespace::Approval);
    for bad in [vec![], vec![stranger], vec![anne.clone(), anne.clone()]] {
        let refused = people.approve(answer(&body, bad, "big")).await.unwrap_err();
        assert_eq!(failure_of(&refused).unwrap().field, "approval");
    }
    let case = people.approve(answer(&body, vec![anne], "big")).await.unwrap().into_inner();
    assert_eq!((case.state(), case.approved_by.as_slice()), (State::Waiting, &["anne".to_owned()][..]));
    let waiting = waits(&cluster, &payload, "big").await;
    assert_eq!(waiting.failures[0].used, "1 so far");
    let ben = cluster.world.approve("ben", &body);
    let case = people.approve(answer(&body, vec![ben], "big")).await.unwrap().into_inner();
    assert_eq!((case.state(), case.approved_by.len()), (State::Approved, 2));

    // Their yes is for this request, whichever way it is asked for.
    assert_eq!(waits(&cluster, &payload, "other").await.tier, "approval");
    assert!(signed(&cluster, &payload, "big").await);
    let world = cluster.stop().await;
    let entry = world.log(Role::Service).into_iter().rfind(|entry| entry.kind == "sign.contributed").unwrap();
    assert_eq!(entry.fields["approved_by"], serde_json::json!(["anne", "ben"]));
    assert_eq!(entry.fields["tier"], "approval");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_people_refuse_is_denied_once_and_may_be_asked_again() {
    let (cluster, _) = cluster().await;
    let payload = transfer(FRIEND, usdc(20), 2);
    let first = waits(&cluster, &payload, "k").await;
    let mut people = approvals(&cluster).await;
    let refuse = |reason: &str| v1::RefuseRequest {
        wallet: WALLET.to_owned(),
        idempotency_key: "k".to_owned(),
        reason: reason.to_owned(),
    };
    assert_eq!(failure_of(&people.refuse(refuse("")).await.unwrap_err()).unwrap().field, "reason");
    let case = people.refuse(refuse("we know no such shop")).await.unwrap().into_inner();
    assert_eq!(case.state(), State::Refused);
    let late = answer(&first.approval, vec![cluster.world.approve("anne", &first.approval)], "k");
    assert!(people.approve(late).await.is_err(), "a case that is over takes no yes");
    let Some(Verdict::Denied(denial)) = cluster.sign(WALLET, &payload, "k").await.unwrap().outcome else {
        panic!("not denied")
    };
    assert!(denial.failures[0].reason.contains("we know no such shop"), "{denial:?}");
    let again = waits(&cluster, &payload, "k").await;
    assert_ne!(again.approval, first.approval, "people are asked anew");
    assert_eq!(
        people.list_approvals(v1::ListApprovalsRequest::default()).await.unwrap().into_inner().cases.len(),
        1
    );
}

/// The service node's hold runs by its own clock, from when it heard of the request: a coordinator that says nothing of
/// it, or says that it is over, gains nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_is_kept_by_the_coordinator_and_again_by_the_service_node() {
    let (cluster, policy_hash) = cluster().await;
    let payload = transfer(FRIEND, usdc(5), 2);
    let waiting = waits(&cluster, &payload, "held").await;
    assert_eq!((waiting.tier.as_str(), waiting.approval.len()), ("delay", 0));
    assert_eq!(
        waits(&cluster, &payload, "held").await.until_ms,
        waiting.until_ms,
        "asking again is no new hold"
    );
    let world = cluster.stop().await;
    let held = world.log(Role::Service).into_iter().filter(|entry| entry.kind == "sign.held").count();
    assert_eq!(held, 1, "the service node was told, and wrote it down");

    let mut stage = Stage::of(world, &[Role::Agent, Role::Service]).await;
    let start = v1::StartSign { policy_hash: policy_hash.clone(), ..shown(&payload) };
    let starts = ["agent-1", "service-1"].map(|node| (node, Protocol::Sign(start.clone())));
    let ending = stage.play(Script::new(starts).within(5_000)).await;
    let Outcome::Denied(denial) = &ending.outcomes["service-1"] else { panic!("{:?}", ending.outcomes) };
    assert_eq!(denial.failures.iter().map(|failure| failure.rule.as_str()).collect::<Vec<_>>(), ["delay"]);

    // One it was never told of begins when it is asked to sign: whoever forgets to tell it costs time, and no more.
    let start =
        v1::StartSign { idempotency_key: "untold".to_owned(), ..shown(&transfer(FRIEND, usdc(4), 3)) };
    let start = v1::StartSign { policy_hash: policy_hash.clone(), ..start };
    for _ in 0..2 {
        let starts = ["agent-1", "service-1"].map(|node| (node, Protocol::Sign(start.clone())));
        let ending = stage.play(Script::new(starts).within(5_000)).await;
        assert!(matches!(ending.outcomes["service-1"], Outcome::Denied(_)), "{:?}", ending.outcomes);
    }
    stage.stop(Role::Service).await;
    let held = stage.world.log(Role::Service).into_iter().filter(|entry| entry.kind == "sign.held").count();
    assert_eq!(held, 2, "written down once");
}

/// One by one, while a freeze would stop all of the wallet's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_that_is_refused_has_ended_at_the_service_node_too() {
    let (cluster, _) = cluster().await;
    let payload = transfer(FRIEND, usdc(5), 2);
    let first = waits(&cluster, &payload, "held").await;
    let mut people = approvals(&cluster).await;
    let refuse = v1::RefuseRequest {
        wallet: WALLET.to_owned(),
        idempotency_key: "held".to_owned(),
        reason: "we know no such shop".to_owned(),
    };
    let listed = people.list_approvals(v1::ListApprovalsRequest::default()).await.unwrap().into_inner().cases;
    assert_eq!((listed[0].state(), listed[0].expires_at_ms), (State::OnHold, first.until_ms));
    assert!(listed[0].summary.contains("5 USDC") && listed[0].payload.is_none(), "{listed:?}");
    assert_eq!(people.refuse(refuse).await.unwrap().into_inner().state(), State::Refused);
    let Some(Verdict::Denied(denial)) = cluster.sign(WALLET, &payload, "held").await.unwrap().outcome else {
        panic!("not denied")
    };
    assert!(denial.failures[0].reason.contains("refused it: we know no such shop"), "{denial:?}");
    assert_eq!(
        people.list_approvals(v1::ListApprovalsRequest::default()).await.unwrap().into_inner().cases,
        []
    );

    // What nodes are told they take in one after the other: with the next policy in force, they have taken in this.
    let policy = cluster.world.policy(&with_limits(3, TIERS));
    cluster.apply_policy(&policy).await.unwrap();
    let policy_hash = policy.hash(Namespace::Policy).to_vec();
    // By the service node's own record none runs any more: it begins one when it is asked.
    let mut stage = Stage::of(cluster.stop().await, &[Role::Agent, Role::Service]).await;
    let start = v1::StartSign { policy_hash, ..shown(&payload) };
    let starts = ["agent-1", "service-1"].map(|node| (node, Protocol::Sign(start.clone())));
    let ending = stage.play(Script::new(starts).within(5_000)).await;
    let Outcome::Denied(denial) = &ending.outcomes["service-1"] else { panic!("{:?}", ending.outcomes) };
    assert!(denial.failures[0].resets_at_ms > Some(first.until_ms), "{denial:?}");
    stage.stop(Role::Service).await;
    let log = stage.world.log(Role::Service);
    let kinds = log.iter().map(|entry| entry.kind.as_str());
    let kinds: Vec<_> = kinds.filter(|kind| ["sign.held", "sign.hold_ended"].contains(kind)).collect();
    assert_eq!(kinds, ["sign.held", "sign.hold_ended", "sign.held"]);
}

struct Forged {
    policy_hash: Vec<u8>,
    payload: Payload,
    asked: ApprovalRequest,
}

impl Forged {
    fn start(&self, body: &[u8], signatures: Vec<String>) -> v1::StartSign {
        v1::StartSign {
            policy_hash: self.policy_hash.clone(),
            approval: Some(v1::SignedDocument { body: body.to_vec(), signatures }),
            ..shown(&self.payload)
        }
    }
}

fn now_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}

async fn refused_by_both(stage: &mut Stage, what: &str, start: v1::StartSign) {
    let starts = ["agent-1", "service-1"].map(|node| (node, Protocol::Sign(start.clone())));
    let ending = stage.play(Script::new(starts)).await;
    for node in ["agent-1", "service-1"] {
        match &ending.outcomes[node] {
            Outcome::Failed(failure) => assert_eq!(failure.field, "approval", "{what}, {node}: {failure:?}"),
            Outcome::Denied(denial) => assert_eq!(denial.failures[0].rule, "approval", "{what}, {node}"),
            other => panic!("{what}, {node}: {other:?}"),
        }
    }
}

fn people(world: &World, body: &[u8]) -> Vec<String> {
    vec![world.approve("anne", body), world.approve("ben", body)]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_holds_the_coordinator_can_forge_replay_or_stretch_no_approval() {
    let (cluster, policy_hash) = cluster().await;
    let mut stage = Stage::of(cluster.stop().await, &[Role::Agent, Role::Service]).await;
    let payload = transfer(FRIEND, usdc(20), 2);
    let asked = ApprovalRequest {
        cluster: CLUSTER.parse().unwrap(),
        wallet: WALLET.parse().unwrap(),
        payload_hash: payload.hash(),
        idempotency_key: "key-1".to_owned(),
        summary: quorate_intent::decode(&payload).unwrap().intent.summary(),
        policy_hash: policy_hash.as_slice().try_into().unwrap(),
        nonce: Nonce([1; 16]),
        expires_at: now_ms() + 600_000,
    };
    let forged = Forged { policy_hash, payload, asked };
    let body = forged.asked.to_yaml().unwrap().into_bytes();
    let one = vec![stage.world.approve("anne", &body)];
    let operator = vec![stage.world.sign(&body, Namespace::Approval)];
    let anne = stage.world.approve("anne", &body);
    for (what, signatures) in [
        ("nobody", Vec::new()),
        ("one of two", one),
        ("an operator who is no approver", operator),
        ("one person twice", vec![anne.clone(), anne]),
    ] {
        refused_by_both(&mut stage, what, forged.start(&body, signatures)).await;
    }

    // Each field of what people signed, bent: it is then no approval of this.
    type Bend = fn(&mut ApprovalRequest);
    let bends: [(&str, Bend); 8] = [
        ("cluster", |r| r.cluster = "other".parse().unwrap()),
        ("wallet", |r| r.wallet = "wallet-2".parse().unwrap()),
        ("payload", |r| r.payload_hash.0[0] ^= 1),
        ("idempotency key", |r| r.idempotency_key.push('x')),
        ("words", |r| r.summary = "send 1 USDC to a friend".to_owned()),
        ("policy", |r| r.policy_hash.0[0] ^= 1),
        ("expired", |r| r.expires_at = 1),
        ("for ever", |r| r.expires_at = u64::MAX),
    ];
    for (what, bend) in bends {
        let mut asked = forged.asked.clone();
        bend(&mut asked);
        let bent = asked.to_yaml().unwrap().into_bytes();
        let signatures = people(&stage.world, &bent);
        refused_by_both(&mut stage, what, forged.start(&bent, signatures)).await;
        // Nor may the signatures of one be put below another.
        let signatures = people(&stage.world, &body);
        refused_by_both(&mut stage, what, forged.start(&bent, signatures)).await;
    }

    let start = forged.start(&body, people(&stage.world, &body));
    let starts = ["agent-1", "service-1"].map(|node| (node, Protocol::Sign(start.clone())));
    let ending = stage.play(Script::new(starts)).await;
    assert!(ending.signed().is_some(), "{:?}", ending.outcomes);
    a_used_nonce_is_no_nonce(&mut stage, forged).await;
}

/// A second approval that carries it is none, whatever it says.
async fn a_used_nonce_is_no_nonce(stage: &mut Stage, forged: Forged) {
    let other = transfer(FRIEND, usdc(20), 3);
    let mut asked = forged.asked.clone();
    (asked.payload_hash, asked.idempotency_key) = (other.hash(), "key-1".to_owned());
    asked.summary = quorate_intent::decode(&other).unwrap().intent.summary();
    let replayed = asked.to_yaml().unwrap().into_bytes();
    let forged = Forged { payload: other, ..forged };
    let start = forged.start(&replayed, people(&stage.world, &replayed));
    let starts = ["agent-1", "service-1"].map(|node| (node, Protocol::Sign(start.clone())));
    let ending = stage.play(Script::new(starts).within(20_000)).await;
    assert!(ending.signed().is_none(), "{:?}", ending.outcomes);
    assert_eq!(ending.failure("agent-1").field, "approval");
}
