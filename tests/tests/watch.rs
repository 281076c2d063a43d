//! What is told as it happens, over real TLS: a request from its first asking to its answer, and the log entry by entry.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::HashMap;
use std::time::{Duration, Instant};

use quorate_audit::Exported;
use quorate_proto::v1::approval_service_client::ApprovalServiceClient;
use quorate_proto::v1::audit_service_client::AuditServiceClient;
use quorate_proto::v1::failure::Kind;
use quorate_proto::v1::sign_response::Outcome;
use quorate_proto::v1::signing_event::State;
use quorate_proto::v1::signing_service_client::SigningServiceClient;
use quorate_proto::{failure_of, payload_to_pb, v1};
use quorate_tests::{APPROVERS, Cluster, FRIEND, WALLET, golden, transfer, usdc, with_limits};
use quorate_transport::PeerRole::{self, Approver, Auditor, Coordinator, Gateway, Node, Operator};
use quorate_types::{Payload, Role};
use tonic::{Code, Status, Streaming};

/// A dollar at once, more with anne and ben.
const TIERS: &str = "  tiers: [{asset: USDC, chain: base-sepolia, instant: \"1\"}]\n  approval: {threshold: 2, timeout_s: 600}\n";
/// Longest wait for a message that must come.
const PATIENCE: Duration = Duration::from_secs(60);
/// After which a reader that does not keep up is let go, and some.
const LET_GO: Duration = Duration::from_secs(12);

async fn cluster() -> Cluster {
    let world = tokio::task::spawn_blocking(|| golden().world()).await.unwrap();
    let cluster = Cluster::start(world).await;
    cluster.apply_policy(&cluster.world.policy(&with_limits(2, TIERS))).await.unwrap();
    cluster
}

async fn watch(
    cluster: &Cluster,
    role: PeerRole,
    (wallet, key): (&str, &str),
) -> Result<Streaming<v1::SigningEvent>, Status> {
    let mut client = SigningServiceClient::new(cluster.channel(role).await);
    let (wallet, idempotency_key) = (wallet.to_owned(), key.to_owned());
    let answer = client.watch_signing(v1::WatchSigningRequest { wallet, idempotency_key }).await;
    answer.map(tonic::Response::into_inner)
}

async fn watch_log(
    cluster: &Cluster,
    role: PeerRole,
    from: u64,
) -> Result<Streaming<v1::WatchEventsResponse>, Status> {
    let mut client = AuditServiceClient::new(cluster.channel(role).await);
    client.watch_events(v1::WatchEventsRequest { from }).await.map(tonic::Response::into_inner)
}

async fn next<T>(stream: &mut Streaming<T>) -> Result<Option<T>, Status> {
    tokio::time::timeout(PATIENCE, stream.message()).await.expect("nothing is told")
}

/// The next event in which the request stands elsewhere than at `last`.
async fn after(stream: &mut Streaming<v1::SigningEvent>, last: State) -> v1::SigningEvent {
    loop {
        let event = next(stream).await.unwrap().expect("the stream ended");
        if event.state() != last {
            return event;
        }
    }
}

async fn head(cluster: &Cluster) -> u64 {
    let mut client = AuditServiceClient::new(cluster.channel(Auditor).await);
    client.head(v1::HeadRequest {}).await.unwrap().into_inner().head.unwrap().sequence
}

/// A gateway, an auditor and an approver see one payment wait for two people, be worth asking for again, run, and be signed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_is_followed_from_nothing_to_its_signature() {
    let cluster = cluster().await;
    let mut watchers = Vec::new();
    for role in [Gateway, Auditor, Approver] {
        let mut stream = watch(&cluster, role, (WALLET, "big")).await.unwrap();
        assert_eq!(next(&mut stream).await.unwrap().unwrap().state(), State::Unknown);
        watchers.push(stream);
    }
    let payload = transfer(FRIEND, usdc(20), 1);
    let Some(Outcome::Waiting(waiting)) = cluster.sign(WALLET, &payload, "big").await.unwrap().outcome else {
        panic!("it does not wait")
    };
    for stream in &mut watchers {
        let event = after(stream, State::Unknown).await;
        let told = event.waiting.as_ref().unwrap();
        assert_eq!(event.state(), State::Waiting);
        assert_eq!((told.tier.as_str(), told.until_ms), ("approval", waiting.until_ms));
    }
    // Of another wallet's request of that name nothing is known.
    let mut other = watch(&cluster, Gateway, ("wallet-2", "big")).await.unwrap();
    assert_eq!(next(&mut other).await.unwrap().unwrap().state(), State::Unknown);

    let mut people = ApprovalServiceClient::new(cluster.channel(Approver).await);
    for name in APPROVERS {
        let signatures = vec![cluster.world.approve(name, &waiting.approval)];
        let approval = v1::SignedDocument { body: waiting.approval.clone(), signatures };
        let (wallet, idempotency_key) = (WALLET.to_owned(), "big".to_owned());
        people
            .approve(v1::ApproveRequest { wallet, idempotency_key, approval: Some(approval) })
            .await
            .unwrap();
    }
    for stream in &mut watchers {
        assert_eq!(after(stream, State::Waiting).await.state(), State::AskAgain);
    }
    let Some(Outcome::Signed(signed)) = cluster.sign(WALLET, &payload, "big").await.unwrap().outcome else {
        panic!("not signed")
    };
    for stream in &mut watchers {
        assert_eq!(after(stream, State::AskAgain).await.state(), State::Running);
        let event = after(stream, State::Running).await;
        assert_eq!(event.state(), State::Done);
        let Some(Outcome::Signed(told)) = event.answer.unwrap().outcome else { panic!("told no signature") };
        assert_eq!(told.signature, signed.signature);
        assert!(next(stream).await.unwrap().is_none(), "the answer is the end");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_watch_is_refused_before_anything_is_told() {
    let cluster = cluster().await;
    let forbidden = |status: Status| {
        let failure = failure_of(&status).unwrap();
        assert_eq!((status.code(), failure.kind()), (Code::PermissionDenied, Kind::Forbidden), "{failure:?}");
        assert_eq!(failure.field, "role");
    };
    for role in PeerRole::ALL {
        match watch(&cluster, role, (WALLET, "k")).await {
            Ok(_) => assert!([Gateway, Operator, Approver, Auditor].contains(&role), "{role}"),
            Err(status) => {
                forbidden(status);
                assert!([Node, Coordinator].contains(&role), "{role}");
            }
        }
        match watch_log(&cluster, role, 1).await {
            Ok(_) => assert!([Operator, Auditor].contains(&role), "{role}"),
            Err(status) => {
                forbidden(status);
                assert!([Gateway, Approver, Node, Coordinator].contains(&role), "{role}");
            }
        }
    }
    let refused = |status: Status| failure_of(&status).unwrap().field;
    assert_eq!(refused(watch(&cluster, Gateway, ("../w", "k")).await.unwrap_err()), "wallet");
    assert_eq!(refused(watch(&cluster, Gateway, (WALLET, "")).await.unwrap_err()), "idempotency_key");
    let beyond = head(&cluster).await + 2;
    assert_eq!(refused(watch_log(&cluster, Auditor, beyond).await.unwrap_err()), "from");
    cluster.stop().await;
}

/// A copy of the log as it is told, which takes each entry only where it follows from the one before.
#[derive(Default)]
struct Heard {
    log: Exported,
    /// Of the entries about requests.
    kinds: Vec<String>,
}

impl Heard {
    fn take(&mut self, news: &v1::WatchEventsResponse) {
        for entry in &news.entries {
            self.log.push(entry).unwrap();
            let entry: serde_json::Value = serde_json::from_str(entry).unwrap();
            let kind = entry["kind"].as_str().unwrap();
            self.kinds.extend(kind.starts_with("sign.").then(|| kind.to_owned()));
        }
        assert_eq!(news.next, self.log.head().sequence + 1);
    }

    /// Reads until entry `last` is there.
    async fn until(&mut self, last: u64, stream: &mut Streaming<v1::WatchEventsResponse>) {
        while self.log.head().sequence < last {
            self.take(&next(stream).await.unwrap().expect("the stream ended"));
        }
    }

    /// Reads until the stream is cut off, and returns where its last word says to go on.
    async fn read_to_its_end(&mut self, stream: &mut Streaming<v1::WatchEventsResponse>, why: &str) -> u64 {
        let status = loop {
            match next(stream).await {
                Ok(Some(news)) => self.take(&news),
                Ok(None) => panic!("it ended without a word"),
                Err(status) => break status,
            }
        };
        let failure = failure_of(&status).unwrap();
        assert_eq!(failure.kind(), Kind::Unavailable);
        let (said, from) = failure.reason.split_once(": go on from ").unwrap();
        assert_eq!(said, why);
        let from: u64 = from.parse().unwrap();
        assert_eq!(from, self.log.head().sequence + 1);
        from
    }
}

/// Denied requests as large as the log keeps them: some nine megabytes.
async fn crowd(cluster: &Cluster) {
    let metadata: HashMap<_, _> = (0..15).map(|n| (format!("note-{n}"), "x".repeat(250))).collect();
    let mut client = cluster.signing().await;
    for batch in 0..12 {
        let request = |n: usize| v1::SignRequest {
            wallet: WALLET.to_owned(),
            payload: Some(payload_to_pb(&Payload::Message(vec![b'x'; 4000].into()))),
            idempotency_key: format!("crowd-{batch}-{n}"),
            metadata: metadata.clone(),
            agent: None,
        };
        let requests = (0..60).map(request).collect();
        let answers = client.sign_batch(v1::SignBatchRequest { requests }).await.unwrap().into_inner();
        assert_eq!(answers.answers.len(), 60);
    }
}

/// One reader follows the log, and one opens it and reads nothing. A payment is signed as ever; who reads hears of it at once;
/// who does not is let go, and misses nothing once it reads again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_does_not_read_holds_up_nobody() {
    let mut cluster = cluster().await;
    let mut stuck = watch_log(&cluster, Auditor, 1).await.unwrap();
    let mut stream = watch_log(&cluster, Operator, 1).await.unwrap();
    let mut reader = Heard::default();
    crowd(&cluster).await;
    reader.until(head(&cluster).await, &mut stream).await;
    reader.kinds.clear();

    let began = Instant::now();
    let answer = cluster.sign(WALLET, &transfer(FRIEND, usdc(1), 1), "meanwhile").await.unwrap();
    assert!(matches!(answer.outcome, Some(Outcome::Signed(_))), "{answer:?}");
    reader.until(answer.receipt.unwrap().sequence, &mut stream).await;
    assert_eq!(reader.kinds, ["sign.allowed", "sign.signed"]);
    tokio::time::sleep(LET_GO.saturating_sub(began.elapsed())).await;

    let mut late = Heard::default();
    let from = late.read_to_its_end(&mut stuck, "the reader does not keep up").await;
    let end = head(&cluster).await;
    assert!(from < end, "it kept up");
    late.until(end, &mut watch_log(&cluster, Auditor, from).await.unwrap()).await;
    reader.until(end, &mut stream).await;
    assert_eq!(late.log.checkpoint(), reader.log.checkpoint(), "it is the same log");

    // Nor is anything lost where the coordinator goes down and comes back.
    cluster.restart_coordinator().await;
    cluster.attached(&[Role::Agent, Role::Service]).await;
    let from = reader.read_to_its_end(&mut stream, "the coordinator stops").await;
    cluster.sign(WALLET, &transfer(FRIEND, usdc(1), 2), "afterwards").await.unwrap();
    let end = head(&cluster).await;
    reader.until(end, &mut watch_log(&cluster, Auditor, from).await.unwrap()).await;
    assert!(reader.kinds.ends_with(&["sign.allowed".to_owned(), "sign.signed".to_owned()]));
    cluster.stop().await;
}
