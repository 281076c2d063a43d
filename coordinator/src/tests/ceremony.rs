use quorate_ceremony::{DrillCertificate, DrillChallenge, Head, Made, SIGNATURES, Step, next_step};
use quorate_manifest::{Namespace, SignedDocument};
use quorate_store::Read;
use quorate_transport::PeerRole;
use quorate_types::{B256, PublicKey, Signature};
use serde_json::{Value, json};

use super::rig::{DEADLINES, Rig, START, caller, signed, wallet, wallet_key};
use crate::error::OpError;
use crate::ops::record_drill::record_drill;
use crate::ops::record_transcript::{Recorded, record_transcript};
use crate::ops::wallets::get_wallet;

fn key() -> PublicKey {
    PublicKey::from(k256::PublicKey::from(wallet_key().verifying_key()))
}

fn sign(digest: B256) -> Signature {
    let (signature, _) = wallet_key().sign_prehash_recoverable(digest.as_slice()).unwrap();
    let (r, s) = signature.split_bytes();
    Signature::verified(B256::from_slice(&r), B256::from_slice(&s), digest, key()).unwrap()
}

fn certificate(at_ms: u64, change: impl FnOnce(&mut DrillChallenge)) -> Vec<u8> {
    let mut challenge = DrillChallenge {
        cluster: "demo".parse().unwrap(),
        wallet: wallet(),
        address: key().address(),
        at_ms,
        sessions: [B256::repeat_byte(1), B256::repeat_byte(2)],
    };
    change(&mut challenge);
    let digest = quorate_intent::decode(&challenge.payload()).unwrap().digest.digest();
    serde_json::to_vec(&DrillCertificate::new(&challenge, &sign(digest), Value::Null)).unwrap()
}

async fn drill(rig: &Rig, bytes: &[u8]) -> Result<bool, OpError> {
    let operator = caller(PeerRole::Operator);
    record_drill(&rig.core, operator, bytes).await.map(|(_, receipt)| receipt.is_some())
}

async fn drilled_at(rig: &Rig) -> u64 {
    get_wallet(&rig.core, wallet()).await.unwrap().drilled_at_ms
}

#[tokio::test]
async fn a_drill_goes_on_record_once_and_outlives_a_restart() {
    let rig = Rig::new();
    assert_eq!(drilled_at(&rig).await, 0);
    assert!(drill(&rig, &certificate(START - 5, |_| ())).await.unwrap());
    assert!(!drill(&rig, &certificate(START - 5, |_| ())).await.unwrap(), "the same again is no change");
    let rig = rig.restarted();
    assert_eq!(drilled_at(&rig).await, START - 5);
    let stale = drill(&rig, &certificate(START - 6, |_| ())).await.unwrap_err();
    assert!(
        matches!(&stale, OpError::Conflict { field: "challenge.Unix milliseconds", reason, .. } if reason.contains("stale"))
    );
    // At the same time, and another one: which of the two came last nobody can say.
    let other = certificate(START - 5, |challenge| challenge.sessions[0] = B256::ZERO);
    assert!(matches!(drill(&rig, &other).await, Err(OpError::Conflict { .. })));
    assert!(drill(&rig, &certificate(START, |_| ())).await.unwrap());
    assert_eq!(rig.audit()[1..], ["recovery.drilled", "recovery.drilled"]);
}

/// Its cluster can sign the challenge's digest, without any share that was offline.
#[tokio::test]
async fn a_wallet_for_raw_digests_has_no_drill_on_record() {
    let rig = Rig::for_raw_digests();
    let refused = drill(&rig, &certificate(START, |_| ())).await.unwrap_err();
    assert!(matches!(refused, OpError::Conflict { field: "challenge.wallet", .. }), "{refused}");
    assert_eq!(drilled_at(&rig).await, 0);
}

#[tokio::test]
async fn what_proves_no_drill_of_a_wallet_of_this_cluster_names_its_field() {
    let rig = Rig::new();
    let forged =
        String::from_utf8(certificate(START, |_| ())).unwrap().replace("1800000000000", "1799999999999");
    for (bytes, field) in [
        (b"{}".to_vec(), "certificate"),
        (certificate(START, |challenge| challenge.cluster = "prod".parse().unwrap()), "challenge.cluster"),
        (certificate(START, |challenge| challenge.address = super::rig::STRANGER), "challenge.address"),
        (certificate(START + 400_000, |_| ()), "challenge.Unix milliseconds"),
        (forged.into_bytes(), "signature"),
    ] {
        match drill(&rig, &bytes).await {
            Err(OpError::Invalid { field: named, .. }) => assert_eq!(named, field),
            other => panic!("{field}: {other:?}"),
        }
    }
    let elsewhere = certificate(START, |challenge| challenge.wallet = "other".parse().unwrap());
    assert!(matches!(drill(&rig, &elsewhere).await, Err(OpError::NotFound { .. })));
    assert_eq!((drilled_at(&rig).await, rig.audit().len()), (0, 1), "nothing was written down");
}

/// A transcript of `count` steps, each with a signature by the wallet.
fn steps(count: u64) -> Vec<Step> {
    let mut steps = Vec::new();
    for at in 0..count {
        let digest = B256::with_last_byte(u8::try_from(at).unwrap());
        let made = Made::new((wallet(), key()), ("pay".to_owned(), digest), &sign(digest).to_bytes());
        steps.push(next_step(&steps, START + at, "signed", json!({ SIGNATURES: [made] })));
    }
    steps
}

fn text(steps: &[Step]) -> String {
    steps.iter().map(|step| serde_json::to_string(step).unwrap() + "\n").collect()
}

fn head(steps: &[Step], cluster: &str) -> SignedDocument {
    let head = Head::of(steps, cluster.parse().unwrap()).unwrap();
    signed(head.to_yaml().unwrap(), Namespace::Ceremony)
}

async fn record(rig: &Rig, head: SignedDocument, text: String) -> Result<Recorded, OpError> {
    record_transcript(&rig.core, caller(PeerRole::Operator), (head, text.into_bytes())).await
}

#[tokio::test]
async fn a_ceremonys_signatures_are_in_the_log_and_a_longer_transcript_adds_its_own() {
    let rig = Rig::new();
    let (two, three) = (steps(2), steps(3));
    let first = record(&rig, head(&two, "demo"), text(&two)).await.unwrap();
    assert_eq!((first.steps, first.new, first.signatures), (2, 2, 2));
    assert_eq!(first.signers, ["olga"]);
    let again = record(&rig, head(&two, "demo"), text(&two)).await.unwrap();
    assert_eq!((again.new, again.receipt), (0, None), "the same again is no change");
    let rig = rig.restarted();
    let grown = record(&rig, head(&three, "demo"), text(&three)).await.unwrap();
    assert_eq!((grown.steps, grown.new, grown.signatures), (3, 1, 1));
    assert!(matches!(record(&rig, head(&two, "demo"), text(&two)).await, Err(OpError::Conflict { .. })));
    assert_eq!(rig.audit()[1..], ["recovery.step"; 3]);
    let read: &dyn Read = rig.store.as_ref();
    let entry = quorate_audit::entries(read, 4, 1).unwrap().remove(0);
    assert_eq!(entry.wallet, Some(wallet()));
    assert_eq!(entry.fields["detail"][SIGNATURES][0]["signature"].as_str().unwrap().len(), 132);
    assert_eq!(entry.fields["other_keys"], json!([]));
}

#[tokio::test]
async fn a_transcript_that_does_not_hold_is_refused_and_nothing_is_written() {
    let rig = Rig::bare(DEADLINES);
    let two = steps(2);
    let digest = B256::repeat_byte(9);
    let lie = Made::new((wallet(), key()), ("pay".to_owned(), B256::ZERO), &sign(digest).to_bytes());
    let lie = vec![next_step(&[], START, "signed", json!({ SIGNATURES: [lie] }))];
    let float = vec![next_step(&[], START, "noted", json!({ "fee": 0.5 }))];
    let forged = SignedDocument { body: head(&two, "demo").body, ..head(&steps(3), "demo") };
    for (head, text, field, words) in [
        (head(&two, "prod"), text(&two), "head.cluster", "is prod"),
        (forged, text(&two), "head", "olga"),
        (head(&steps(3), "demo"), text(&two), "head.steps", "3 were signed"),
        (head(&two, "demo"), text(&two).replace("\"pay\"", "\"buy\""), "transcript", "line 1"),
        (head(&lie, "demo"), text(&lie), "transcript", "line 1: signatures: number 1, by wallet w"),
        (head(&float, "demo"), text(&float), "transcript", "line 1"),
    ] {
        match record(&rig, head, text).await {
            Err(OpError::Invalid { field: named, reason }) => {
                assert_eq!(named, field);
                assert!(reason.contains(words), "{words}: {reason}");
            }
            other => panic!("{field}: {other:?}"),
        }
    }
    // The key is none that this cluster knows: it is on record, and marked.
    record(&rig, head(&two, "demo"), text(&two)).await.unwrap();
    let read: &dyn Read = rig.store.as_ref();
    let entries = quorate_audit::entries(read, 1, usize::MAX).unwrap();
    assert_eq!(entries.len(), 3, "the pin and two steps");
    assert_eq!(entries[2].fields["other_keys"], json!([key()]));
}
