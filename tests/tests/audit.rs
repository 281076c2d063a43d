//! The audit log, read through the API and checked without it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::time::{SystemTime, UNIX_EPOCH};

use alloy_consensus::TxEnvelope;
use alloy_eips::eip2718::Decodable2718;
use quorate_audit::{Checkpoint, Entry, Exported};
use quorate_proto::failure_of;
use quorate_proto::v1;
use quorate_proto::v1::audit_service_client::AuditServiceClient;
use quorate_proto::v1::failure::Kind;
use quorate_tests::{Cluster, FRIEND, STRANGER, WALLET, authorization, golden, transfer, usdc, with_limits};
use quorate_transport::PeerRole;
use quorate_types::{B256, Role};
use serde_json::{Map, Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_s_receipt_is_in_the_log_that_an_auditor_reads() {
    let world = tokio::task::spawn_blocking(|| golden().world()).await.unwrap();
    let mut cluster = Cluster::start(world).await;
    let signed = cluster.sign(WALLET, &transfer(FRIEND, usdc(1), 1), "pay").await.unwrap();
    let denied = cluster.sign(WALLET, &transfer(STRANGER, usdc(1), 1), "stranger").await.unwrap();
    let before = export(&cluster, 1000).await;
    let seen = before.checkpoint();
    for (answer, kind) in [(&signed, "sign.signed"), (&denied, "sign.denied")] {
        let receipt = answer.receipt.as_ref().unwrap();
        let receipt = Checkpoint { sequence: receipt.sequence, hash: B256::from_slice(&receipt.hash) };
        assert_eq!(before.holds(&receipt).unwrap().kind, kind);
        assert_eq!(before.prove(receipt.sequence).unwrap().check().unwrap().hash, receipt.hash);
    }
    cluster.restart_coordinator().await;
    cluster.attached(&[Role::Agent, Role::Service]).await;
    cluster.sign(WALLET, &transfer(STRANGER, usdc(1), 2), "again").await.unwrap();
    // Page by page it is the same log, and it begins with the one seen before.
    let after = export(&cluster, 3).await;
    assert!(after.head().sequence > seen.sequence);
    assert_eq!(after.extends(&seen), Ok(()));
    let mut client = AuditServiceClient::new(cluster.channel(PeerRole::Auditor).await);
    let head = client.head(v1::HeadRequest {}).await.unwrap().into_inner().head.unwrap();
    assert_eq!((head.sequence, head.hash), (after.head().sequence, after.head().hash.to_vec()));
    let beyond = v1::ListEntriesRequest { from: head.sequence + 1, page_size: 1 };
    let beyond = client.list(beyond).await.unwrap().into_inner();
    assert_eq!((beyond.entries.len(), beyond.next), (0, 0));
    let many = client.list(v1::ListEntriesRequest { from: 1, page_size: 1001 }).await.unwrap_err();
    assert_eq!(failure_of(&many).unwrap().kind(), Kind::Invalid);
    cluster.stop().await;
}

const LIMITS: &str = "  cumulative:\n    - {asset: USDC, chain: base-sepolia, max: \"20\", window: {rolling_s: 86400}}\n    \
                      - {asset: USDC, chain: base-sepolia, max: \"8\", per: recipient, window: {rolling_s: 3600}}\n  \
                      velocity: [{max: 9, window: {rolling_s: 3600}}]\n";

/// What both ledgers count of a payment of 4 USDC after one of 3.
fn counted() -> Value {
    let token = "0x036CbD53842c5426634e7929541eC2318f3dCF7e@84532";
    json!([
        {"rule": "cumulative", "counts": token, "window": "in any 86400 s", "limit": "20000000", "before": "3000000",
         "after": "7000000"},
        {"rule": "cumulative", "counts": token, "window": "in any 3600 s", "limit": "8000000", "before": "3000000",
         "after": "7000000", "recipient": FRIEND.to_string()},
        {"rule": "velocity", "counts": "signatures", "window": "in any 3600 s", "limit": "9", "before": "1",
         "after": "2"},
    ])
}

/// Whoever reads the logs alone finds who asked for what, by which policy it was judged, what each limit counted before and
/// after on either ledger, and which transaction came of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_is_accounted_for_in_both_logs() {
    let world = tokio::task::spawn_blocking(|| golden().world()).await.unwrap();
    let cluster = Cluster::start(world).await;
    let in_force = cluster.apply_policy(&cluster.world.policy(&with_limits(2, LIMITS))).await.unwrap();
    cluster.sign(WALLET, &transfer(FRIEND, usdc(3), 1), "first").await.unwrap();
    let payload = transfer(FRIEND, usdc(4), 2);
    let paid = signed(cluster.sign(WALLET, &payload, "second").await.unwrap());
    cluster.sign(WALLET, &transfer(FRIEND, usdc(2), 3), "third").await.unwrap();
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let promise = authorization(golden().public_key().address(), FRIEND, usdc(1), now_s);
    signed(cluster.sign(WALLET, &promise, "promise").await.unwrap());
    let settled = |hash: B256, chain_id| v1::RecordTransactionRequest {
        wallet: WALLET.to_owned(),
        idempotency_key: "promise".to_owned(),
        transaction_hash: hash.to_vec(),
        chain_id,
    };
    let mut signing = cluster.signing().await;
    let hash = B256::repeat_byte(0x5e);
    let wrong = signing.record_transaction(settled(hash, Some(1))).await.unwrap_err();
    assert_eq!(failure_of(&wrong).unwrap().field, "chain_id");
    let told = signing.record_transaction(settled(hash, None)).await.unwrap().into_inner();
    assert_eq!((told.chain_id, told.transaction_hash.as_slice()), (Some(84532), hash.as_slice()));
    assert_eq!(signing.record_transaction(settled(hash, Some(84532))).await.unwrap().into_inner(), told);
    let other = signing.record_transaction(settled(B256::ZERO, None)).await.unwrap_err();
    assert_eq!(failure_of(&other).unwrap().kind(), Kind::Conflict);

    let world = cluster.stop().await;
    let gate = quorate_audit::entries(world.coordinator_store().as_ref(), 1, usize::MAX).unwrap();
    let service = world.log(Role::Service);
    let of = |log: &[Entry], kind: &str, key: &str| -> Map<String, Value> {
        let about = |entry: &&Entry| entry.kind == kind && entry.fields["idempotency_key"] == key;
        log.iter().find(about).unwrap_or_else(|| panic!("no {kind} of {key}")).fields.clone()
    };
    let allowed = of(&gate, "sign.allowed", "second");
    let contributed = of(&service, "sign.contributed", "second");
    for entry in [&allowed, &contributed] {
        assert_eq!((&entry["counters"], &entry["counters_left_out"]), (&counted(), &0.into()));
    }
    let done = of(&gate, "sign.signed", "second");
    let denied = of(&gate, "sign.denied", "third");
    for entry in [&allowed, &contributed, &done, &denied] {
        assert_eq!(entry["agent"], golden().wallet.agent);
        assert_eq!(entry["policy_version"], 2);
        assert_eq!(entry["policy_hash"], B256::from_slice(&in_force.hash).to_string());
    }
    let digest = quorate_intent::decode(&payload).unwrap().digest.digest();
    for entry in [&allowed, &contributed, &done] {
        assert_eq!(entry["payload_hash"], payload.hash().to_string());
        assert_eq!(entry["digest"], digest.to_string());
    }
    let failure = &denied["denial"]["failures"][0];
    assert_eq!((&failure["rule"], &failure["used"]), (&"cumulative".into(), &"7 USDC".into()));
    let transaction = TxEnvelope::decode_2718(&mut paid.signed_transaction.as_slice()).unwrap();
    assert_eq!(done["transaction_hash"], transaction.tx_hash().to_string());
    assert!(of(&gate, "sign.signed", "promise")["transaction_hash"].is_null());
    let settled = of(&gate, "sign.transaction", "promise");
    assert_eq!(
        (&settled["transaction_hash"], &settled["chain_id"]),
        (&hash.to_string().into(), &84532.into())
    );
    assert_eq!(settled["asserted_by"], "spiffe://dev/gateway/somebody");
}

fn signed(answer: v1::SignResponse) -> v1::Signed {
    match answer.outcome {
        Some(v1::sign_response::Outcome::Signed(signed)) => signed,
        other => panic!("not signed: {other:?}"),
    }
}

async fn export(cluster: &Cluster, page_size: u32) -> Exported {
    let mut client = AuditServiceClient::new(cluster.channel(PeerRole::Auditor).await);
    let (mut log, mut from) = (Exported::default(), 1);
    while from > 0 {
        let request = v1::ListEntriesRequest { from, page_size };
        let page = client.list(request).await.unwrap().into_inner();
        assert!(page.entries.len() <= usize::try_from(page_size).unwrap());
        page.entries.iter().for_each(|entry| log.push(entry).unwrap());
        from = page.next;
    }
    log
}

/// The nodes cosign the coordinator's log by themselves, and a coordinator that forgot a part of it gets no cosignature.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_nodes_cosign_the_log_and_none_that_was_put_back() {
    let world = tokio::task::spawn_blocking(|| golden().world()).await.unwrap();
    let older = world.fork();
    let cluster = Cluster::start(world).await;
    cluster.sign(WALLET, &transfer(STRANGER, usdc(1), 2), "denied").await.unwrap();
    let note = cosigned(&cluster).await;
    assert_eq!(note.checkpoint.origin, "quorate/dev/coordinator-1");
    let manifest = quorate_manifest::Manifest::parse(&cluster.world.manifest().body).unwrap();
    let keys = manifest.nodes().iter().map(|node| (&node.id, &node.key));
    assert!(note.cosigners(manifest.cluster(), keys).unwrap().len() >= 2);
    // Each entry of it is proven by that checkpoint to whoever has the manifest.
    let mut client = AuditServiceClient::new(cluster.channel(PeerRole::Auditor).await);
    let denied = note.checkpoint.size;
    let v1::ProveResponse { entry, path, note: by } =
        client.prove(v1::ProveRequest { sequence: denied }).await.unwrap().into_inner();
    let by = quorate_session::Note::parse(&by).unwrap().checkpoint;
    let checkpoint = Checkpoint { sequence: by.size, hash: by.root };
    let path = path.iter().map(|hash| B256::from_slice(hash)).collect();
    let entry = quorate_audit::Proof { entry, checkpoint, path }.check().unwrap();
    assert_eq!((entry.sequence, entry.kind.as_str()), (denied, "sign.denied"));
    // The nodes keep what they saw; the coordinator's directory is put back to before it.
    let world = cluster.stop().await;
    let (from, to) = (older.path("coordinator/data"), world.path("coordinator/data"));
    assert!(from.is_dir() && to.is_dir());
    std::fs::remove_dir_all(&to).unwrap();
    assert!(std::process::Command::new("cp").arg("-a").args([&from, &to]).status().unwrap().success());
    let cluster = Cluster::start(world).await;
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let mut client = AuditServiceClient::new(cluster.channel(PeerRole::Auditor).await);
    let answer = client.checkpoint(v1::CheckpointRequest::default()).await.unwrap().into_inner();
    assert!(answer.size < note.checkpoint.size, "no two nodes cosigned anything of this log");
    cluster.stop().await;
}

async fn cosigned(cluster: &Cluster) -> quorate_session::Note {
    let mut client = AuditServiceClient::new(cluster.channel(PeerRole::Auditor).await);
    let head = client.head(v1::HeadRequest {}).await.unwrap().into_inner().head.unwrap();
    for _ in 0..100 {
        let answer = client.checkpoint(v1::CheckpointRequest::default()).await.unwrap().into_inner();
        if answer.size >= head.sequence {
            return quorate_session::Note::parse(&answer.note).unwrap();
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    panic!("no checkpoint was cosigned");
}
