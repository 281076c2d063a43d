//! An authorization that ended unused, against the whole cluster: its spend comes back in both ledgers, once, late enough, and on
//! nobody's word but the operators'.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quorate_lapse::{Block, GRACE_S, Lapse};
use quorate_manifest::Namespace;
use quorate_proto::v1::failure::Kind;
use quorate_proto::v1::sign_response::Outcome;
use quorate_proto::v1::signing_service_client::SigningServiceClient;
use quorate_proto::{failure_of, v1};
use quorate_tests::{CLUSTER, Cluster, FRIEND, WALLET, authorization_until, golden, usdc, with_limits};
use quorate_transport::PeerRole;
use quorate_types::{B256, Clock, Payload, Role, SystemClock, UnixMillis};
use tonic::{Response, Status};

/// 1.5 USDC in thirty days.
const LIMIT: &str = "  cumulative: [{asset: USDC, chain: base-sepolia, max: \"1.5\", per: wallet, window: {rolling_s: 2592000}}]\n";
const BOTH: [&str; 2] = ["operator", "operator-2"];

/// The clock of everybody, which a test sets forward.
struct Later(AtomicU64);

impl Clock for Later {
    fn now(&self) -> UnixMillis {
        SystemClock.now() + self.0.load(Ordering::SeqCst)
    }
}

/// One dollar to a friend, until then.
fn authorization(nonce: u8, ends_s: u64) -> Payload {
    authorization_until(golden().public_key().address(), FRIEND, usdc(1), (nonce, ends_s))
}

fn said(payload: &Payload, time_s: u64) -> Lapse {
    let Payload::TypedData(typed_data) = payload.clone() else { panic!() };
    Lapse {
        cluster: CLUSTER.parse().unwrap(),
        wallet: WALLET.parse().unwrap(),
        typed_data,
        block: Block { number: 1, hash: B256::repeat_byte(1), time_s },
        reason: "authorizationState is false".to_owned(),
    }
}

async fn apply(cluster: &Cluster, said: &Lapse, signers: &[&str]) -> Result<v1::ApplyLapseResponse, Status> {
    let signed = cluster.world.signed(&said.to_yaml().unwrap(), Namespace::Lapse, signers);
    send(cluster, v1::SignedDocument { body: signed.body, signatures: signed.signatures }).await
}

async fn send(cluster: &Cluster, lapse: v1::SignedDocument) -> Result<v1::ApplyLapseResponse, Status> {
    let mut client = SigningServiceClient::new(cluster.channel(PeerRole::Operator).await);
    client.apply_lapse(v1::ApplyLapseRequest { lapse: Some(lapse) }).await.map(Response::into_inner)
}

fn refused(answer: Result<v1::ApplyLapseResponse, Status>, kind: Kind, why: &str) {
    let status = answer.unwrap_err();
    assert_eq!(failure_of(&status).unwrap().kind(), kind, "{why}: {status}");
    assert!(status.message().contains(why), "{why}: {status}");
}

async fn signs(cluster: &Cluster, payload: &Payload, key: &str) -> bool {
    match cluster.sign(WALLET, payload, key).await.unwrap().outcome.unwrap() {
        Outcome::Signed(_) => true,
        Outcome::Denied(denial) => {
            assert_eq!(denial.failures[0].rule, "cumulative", "{denial:?}");
            false
        }
        Outcome::Waiting(waiting) => panic!("{waiting:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_cap_is_free_again_for_what_ended_unused_and_for_nothing_else() {
    let world = tokio::task::spawn_blocking(|| golden().world()).await.unwrap();
    world.require_both_operators();
    let clock = Arc::new(Later(AtomicU64::new(0)));
    let mut cluster = Cluster::start_by(world, clock.clone()).await;
    cluster.apply_policy(&cluster.world.policy_of_both(&with_limits(2, LIMIT))).await.unwrap();
    let ends_s = clock.now() / 1000 + 300;
    let (paid, next) = (authorization(1, ends_s), authorization(2, ends_s + 3000));
    assert!(signs(&cluster, &paid, "paid").await);
    assert!(!signs(&cluster, &next, "next").await, "the cap is used up");
    refused(apply(&cluster, &said(&paid, ends_s), &BOTH).await, Kind::Conflict, "too early");

    clock.0.store((300 + GRACE_S + 1) * 1000, Ordering::SeqCst);
    let right = said(&paid, ends_s);
    refused(apply(&cluster, &right, &["operator"]).await, Kind::Invalid, "2 signers must agree, got 1");
    refused(apply(&cluster, &right, &["operator", "anne"]).await, Kind::Invalid, "signatures[1]");
    let elsewhere = Lapse { cluster: "other".parse().unwrap(), ..right.clone() };
    refused(apply(&cluster, &elsewhere, &BOTH).await, Kind::Invalid, "cluster");
    let another = Lapse { wallet: "wallet-2".parse().unwrap(), ..right.clone() };
    refused(apply(&cluster, &another, &BOTH).await, Kind::NotFound, "wallet wallet-2");
    let never = said(&authorization(3, ends_s), ends_s);
    refused(apply(&cluster, &never, &BOTH).await, Kind::NotFound, "a signature over");
    let signed = cluster.world.signed(&right.to_yaml().unwrap(), Namespace::Lapse, &BOTH);
    let body = never.to_yaml().unwrap().into_bytes();
    let forged = v1::SignedDocument { body, signatures: signed.signatures };
    refused(send(&cluster, forged).await, Kind::Invalid, "signatures[0]");
    assert!(!signs(&cluster, &next, "next").await, "nothing came back");

    cluster.stop_node(Role::Service).await;
    refused(apply(&cluster, &right, &BOTH).await, Kind::Unavailable, "service-1");
    cluster.start_node(Role::Service).await;
    cluster.attached(&[Role::Service]).await;
    let back = apply(&cluster, &right, &BOTH).await.unwrap();
    assert_eq!((back.node.as_str(), back.node_given_back, back.waits_until_ms), ("service-1", 1, 0));
    assert_eq!(back.given_back.iter().map(|back| back.amount.as_str()).collect::<Vec<_>>(), ["1000000"]);
    let again = apply(&cluster, &right, &BOTH).await.unwrap();
    assert_eq!((again.node_given_back, again.given_back), (0, vec![]), "once");

    assert!(signs(&cluster, &next, "next").await);
    assert!(signs(&cluster, &paid, "paid").await, "what was answered is answered");
    assert!(!signs(&cluster, &authorization(4, ends_s + 3000), "one more").await, "and the cap is used up");
    let world = cluster.stop().await;
    for (log, name) in [(world.log(Role::Service), "service"), (world.log(Role::Agent), "agent")] {
        let lapsed = log.iter().filter(|entry| entry.kind == "spend.lapsed").count();
        assert_eq!(lapsed, usize::from(name == "service"), "{name}");
    }
}
