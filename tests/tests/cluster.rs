//! The whole thread through the real cluster: keys, policies, signatures, answers that stay the same.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::time::{SystemTime, UNIX_EPOCH};

use quorate_proto::v1::failure::Kind;
use quorate_proto::v1::get_signing_response::State;
use quorate_proto::v1::sign_response::Outcome;
use quorate_proto::{failure_of, v1};
use quorate_tests::{
    Cluster, FRIEND, STRANGER, WALLET, World, authorization, golden, policy_yaml, recover, transfer, usdc,
};
use quorate_types::{Payload, PublicKey, Role, Signature};
use tonic::Status;

async fn cluster() -> Cluster {
    let world = tokio::task::spawn_blocking(|| golden().world()).await.unwrap();
    Cluster::start(world).await
}

fn signed(response: &v1::SignResponse) -> &v1::Signed {
    match response.outcome.as_ref() {
        Some(Outcome::Signed(signed)) => signed,
        other => panic!("not signed: {other:?}"),
    }
}

fn denied(response: &v1::SignResponse) -> &v1::Denial {
    match response.outcome.as_ref() {
        Some(Outcome::Denied(denial)) => denial,
        other => panic!("not denied: {other:?}"),
    }
}

fn check(signed: &v1::Signed, payload: &Payload) {
    let digest = quorate_intent::decode(payload).unwrap().digest.digest();
    assert_eq!(signed.digest, digest.as_slice());
    Signature::from_bytes(&signed.signature, digest, golden().public_key()).unwrap();
    assert_eq!(recover(&signed.signature, digest), golden().public_key().address());
    assert_eq!(signed.policy_hash, golden().policy_hash.as_slice());
    assert_eq!(signed.intent.as_ref().unwrap().node, "agent-1");
}

fn failure(status: &Status) -> v1::Failure {
    failure_of(status).unwrap_or_else(|| panic!("no failure in {status:?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_cluster_enrols_its_group_and_signs_with_it() {
    let cluster = Cluster::start(World::new()).await;
    let refused = cluster.create_wallet(WALLET).await.unwrap_err();
    assert_eq!(failure(&refused).field, "group", "no group is enrolled yet: {refused:?}");
    let group = cluster.enrol().await;
    assert_eq!(group.aux_hash.len(), 32);
    assert_eq!(cluster.enrol().await, group, "an enrolled group is left as it is");
    let wallet = cluster.create_wallet(WALLET).await.unwrap();
    assert_eq!(wallet.state(), v1::wallet::State::Active);
    let policy = cluster.world.policy(&policy_yaml(1, "25.00"));
    cluster.apply_policy(&policy).await.unwrap();
    let payload = transfer(FRIEND, usdc(25), 1);
    let response = cluster.sign(WALLET, &payload, "first").await.unwrap();
    let key = PublicKey::from_sec1(&wallet.public_key).unwrap();
    let digest = quorate_intent::decode(&payload).unwrap().digest.digest();
    assert_eq!(recover(&signed(&response).signature, digest), key.address());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payments_are_signed_and_denials_say_why() {
    let cluster = cluster().await;
    let payload = transfer(FRIEND, usdc(25), 1);
    let response = cluster.sign(WALLET, &payload, "pay-1").await.unwrap();
    check(signed(&response), &payload);
    assert!(!signed(&response).signed_transaction.is_empty());
    assert_eq!(response.receipt.as_ref().unwrap().hash.len(), 32);

    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let payload = authorization(golden().public_key().address(), FRIEND, usdc(1), now_s);
    let response = cluster.sign(WALLET, &payload, "pay-2").await.unwrap();
    check(signed(&response), &payload);

    for (payload, rule, key) in [
        (transfer(FRIEND, usdc(25) + usdc(1), 2), "per_transaction", "over"),
        (transfer(STRANGER, usdc(1), 3), "recipients", "stranger"),
        (authorization(STRANGER, FRIEND, usdc(1), now_s), "signer", "not-mine"),
        (Payload::Message(b"let me in".to_vec().into()), "messages", "login"),
    ] {
        let response = cluster.sign(WALLET, &payload, key).await.unwrap();
        let denial = denied(&response);
        let rules: Vec<_> = denial.failures.iter().map(|failure| failure.rule.as_str()).collect();
        assert!(rules.iter().any(|failed| failed.contains(rule)), "{rule} is not among {rules:?}");
        assert!(denial.failures.iter().all(|failure| !failure.reason.is_empty()));
        assert_eq!(denial.decided_by, "coordinator");
        // A denial uses nothing up: the same key may ask for something better.
        let allowed = transfer(FRIEND, usdc(1), 100);
        check(signed(&cluster.sign(WALLET, &allowed, key).await.unwrap()), &allowed);
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_given_once_and_stays_the_same() {
    let mut cluster = cluster().await;
    let payload = transfer(FRIEND, usdc(2), 7);
    // Two at once: one signature, two equal answers.
    let (one, two) =
        tokio::join!(cluster.sign(WALLET, &payload, "once"), cluster.sign(WALLET, &payload, "once"));
    let (one, two) = (one.unwrap(), two.unwrap());
    check(signed(&one), &payload);
    assert_eq!(signed(&one), signed(&two));
    assert_eq!(one.receipt, two.receipt);
    assert!(one.repeated_answer != two.repeated_answer, "one of them gave the other's answer");

    let conflict = cluster.sign(WALLET, &transfer(FRIEND, usdc(3), 7), "once").await.unwrap_err();
    assert_eq!(failure(&conflict).kind(), Kind::Conflict);

    cluster.restart_coordinator().await;
    cluster.attached(&[Role::Agent, Role::Service]).await;
    let again = cluster.sign(WALLET, &payload, "once").await.unwrap();
    assert!(again.repeated_answer);
    assert_eq!(signed(&again), signed(&one));
    let conflict = cluster.sign(WALLET, &transfer(FRIEND, usdc(3), 7), "once").await.unwrap_err();
    assert_eq!(failure(&conflict).kind(), Kind::Conflict);

    let asked = v1::GetSigningRequest { wallet: WALLET.to_owned(), idempotency_key: "once".to_owned() };
    let state = cluster.signing().await.get_signing(asked).await.unwrap().into_inner();
    assert_eq!(state.state(), State::Done);
    assert_eq!(signed(&state.answer.unwrap()), signed(&one));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_is_never_a_denial_and_ends_without_a_restart() {
    let mut cluster = cluster().await;
    let payload = transfer(FRIEND, usdc(1), 1);
    for role in [Role::Agent, Role::Service] {
        cluster.stop_node(role).await;
        let key = format!("{role}-down");
        let outage = cluster.sign(WALLET, &payload, &key).await.unwrap_err();
        let failure = failure(&outage);
        assert!(matches!(failure.kind(), Kind::Unavailable | Kind::Timeout), "{failure:?}");
        assert!(failure.nodes.contains(&format!("{role}-1")), "{failure:?}");
        cluster.start_node(role).await;
        cluster.attached(&[role]).await;
        check(signed(&cluster.sign(WALLET, &payload, &key).await.unwrap()), &payload);
    }
    // The cold node is needed for keys, and for nothing else.
    cluster.stop_node(Role::Cold).await;
    check(signed(&cluster.sign(WALLET, &payload, "no-cold").await.unwrap()), &payload);
    let outage = cluster.create_wallet("without-cold").await.unwrap_err();
    assert!(failure(&outage).nodes.contains(&"cold-1".to_owned()), "{outage:?}");
    cluster.start_node(Role::Cold).await;
    cluster.attached(&[Role::Cold]).await;
    let wallet = cluster.create_wallet("without-cold").await.unwrap();
    assert_eq!(wallet.state(), v1::wallet::State::Active);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wallet_without_policy_signs_nothing_and_versions_only_go_up() {
    let cluster = cluster().await;
    let wallet = cluster.create_wallet("bare").await.unwrap();
    assert_eq!((wallet.policy_version, wallet.state()), (0, v1::wallet::State::Active));
    assert_eq!(cluster.create_wallet("bare").await.unwrap().public_key, wallet.public_key);
    let response = cluster.sign("bare", &transfer(FRIEND, usdc(1), 1), "k").await.unwrap();
    assert_eq!(denied(&response).failures[0].rule, "no_policy");
    let missing = cluster.sign("nobody", &transfer(FRIEND, usdc(1), 1), "k").await.unwrap_err();
    assert_eq!(failure(&missing).kind(), Kind::NotFound);

    let over = transfer(FRIEND, usdc(26), 1);
    denied(&cluster.sign(WALLET, &over, "raise").await.unwrap());
    let raised = cluster.world.policy(&policy_yaml(2, "30"));
    let in_force = cluster.apply_policy(&raised).await.unwrap();
    assert_eq!(in_force.version, 2);
    signed(&cluster.sign(WALLET, &over, "raise").await.unwrap());

    for (yaml, why) in
        [(policy_yaml(1, "1000"), "lower version"), (policy_yaml(2, "1000"), "same version, other rules")]
    {
        let refused = cluster.apply_policy(&cluster.world.policy(&yaml)).await.unwrap_err();
        assert_eq!(failure(&refused).kind(), Kind::Conflict, "{why}: {refused:?}");
    }
    let foreign = policy_yaml(3, "1000").replacen("cluster: dev", "cluster: other", 1);
    let refused = cluster.apply_policy(&cluster.world.policy(&foreign)).await.unwrap_err();
    assert_eq!(failure(&refused).kind(), Kind::Invalid, "{refused:?}");
    assert!(refused.message().contains("cluster: the policy is for other"), "{refused:?}");
    let mut forged = cluster.world.policy(&policy_yaml(3, "30"));
    forged.body = policy_yaml(3, "1000000").into_bytes();
    let refused = cluster.apply_policy(&forged).await.unwrap_err();
    assert_eq!(failure(&refused).kind(), Kind::Invalid);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_input_names_its_field() {
    let cluster = cluster().await;
    let good = transfer(FRIEND, usdc(1), 1);
    let cut = match &good {
        Payload::Transaction(bytes) => Payload::Transaction(bytes[..bytes.len() - 1].to_vec().into()),
        other => other.clone(),
    };
    let long = "k".repeat(129);
    for (wallet, payload, key, field) in [
        ("", &good, "k", "wallet"),
        ("Wallet 1", &good, "k", "wallet"),
        (WALLET, &cut, "k", "payload"),
        (WALLET, &Payload::Transaction(vec![].into()), "k", "payload"),
        (WALLET, &Payload::TypedData("{".to_owned()), "k", "payload"),
        (WALLET, &good, "", "idempotency_key"),
        (WALLET, &good, long.as_str(), "idempotency_key"),
    ] {
        let refused = cluster.sign(wallet, payload, key).await.unwrap_err();
        let failure = failure(&refused);
        assert_eq!((failure.kind(), failure.field.as_str()), (Kind::Invalid, field), "{refused:?}");
    }
    check(signed(&cluster.sign(WALLET, &good, "k").await.unwrap()), &good);
    cluster.stop().await;
}
