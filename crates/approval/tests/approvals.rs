//! Whose yes counts, and for what.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use quorate_approval::{ApprovalError, ApprovalRequest, MAX_APPROVAL_MS, Nonce, SignedApproval, Subject};
use quorate_manifest::{
    CoordinatorDraft, Manifest, ManifestDraft, Namespace, PersonDraft, SignedDocument, sign,
};
use quorate_types::{B256, WalletId};
use ssh_key::PrivateKey;
use ssh_key::private::Ed25519Keypair;

const ALICE: u8 = 1;
const ANNE: u8 = 3;
const BEN: u8 = 4;
const NOW: u64 = 1_790_000_000_000;

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

fn person(name: &str, seed: u8) -> PersonDraft {
    PersonDraft { name: name.to_owned(), key: key(seed).public_key().to_openssh().unwrap() }
}

/// Operator alice; approvers anne and ben.
fn manifest(cluster: &str) -> Manifest {
    let draft = ManifestDraft {
        approvers: vec![person("anne", ANNE), person("ben", BEN)],
        coordinators: vec![CoordinatorDraft { id: "c".to_owned() }],
        ..ManifestDraft::new(cluster, vec![person("alice", ALICE)])
    };
    Manifest::parse(draft.to_yaml().unwrap().as_bytes()).unwrap()
}

fn request() -> ApprovalRequest {
    ApprovalRequest {
        cluster: "prod".parse().unwrap(),
        wallet: "shopper".parse().unwrap(),
        payload_hash: B256::repeat_byte(1),
        idempotency_key: "order: 17 # \"x\"".to_owned(),
        summary: "send 4000 USDC to 0x209693Bc6afc0C5328bA36FaF03C514EF312287C on base".to_owned(),
        policy_hash: B256::repeat_byte(2),
        nonce: Nonce([7; 16]),
        expires_at: NOW + 60_000,
    }
}

fn document(request: &ApprovalRequest, signers: &[u8], namespace: Namespace) -> SignedDocument {
    let body = request.to_yaml().unwrap().into_bytes();
    let signatures = signers.iter().map(|seed| sign(&body, namespace, &key(*seed)).unwrap()).collect();
    SignedDocument { body, signatures }
}

fn covers(change: impl FnOnce(&mut ApprovalRequest), now: u64) -> Result<(), ApprovalError> {
    let (asked, mut signed) = (request(), request());
    change(&mut signed);
    let signed =
        SignedApproval::verify(&document(&signed, &[ANNE], Namespace::Approval), &manifest("prod")).unwrap();
    let wallet: WalletId = "shopper".parse().unwrap();
    let subject = Subject {
        wallet: &wallet,
        payload_hash: asked.payload_hash,
        idempotency_key: &asked.idempotency_key,
        summary: &asked.summary,
        policy_hash: asked.policy_hash,
        timeout_s: 3600,
    };
    signed.covers(&subject, now)
}

#[test]
fn what_is_written_is_read_back() {
    let text = request().to_yaml().unwrap();
    assert_eq!(ApprovalRequest::parse(text.as_bytes()).unwrap(), request());
    assert!(text.starts_with("approval: quorate/v1\n"), "{text}");
}

#[test]
fn only_approvers_approve_and_each_is_named() {
    let manifest = manifest("prod");
    let both = document(&request(), &[BEN, ANNE], Namespace::Approval);
    assert_eq!(SignedApproval::verify(&both, &manifest).unwrap().approvers(), ["ben", "anne"]);
    for (signers, namespace) in [
        (&[][..], Namespace::Approval),
        (&[ALICE], Namespace::Approval),
        (&[ANNE, ALICE], Namespace::Approval),
        (&[ANNE, ANNE], Namespace::Approval),
        (&[ANNE], Namespace::Policy),
    ] {
        let document = document(&request(), signers, namespace);
        let error = SignedApproval::verify(&document, &manifest).unwrap_err();
        assert!(matches!(error, ApprovalError::Document(_)), "{signers:?}: {error}");
    }
    let mut altered = both;
    altered.body.push(b'\n');
    assert!(SignedApproval::verify(&altered, &manifest).is_err());
}

#[test]
fn an_approval_is_for_one_request_and_no_other() {
    assert_eq!(covers(|_| {}, NOW), Ok(()));
    type Change = fn(&mut ApprovalRequest);
    let changes: [(&str, Change); 5] = [
        ("wallet", |r| r.wallet = "other".parse().unwrap()),
        ("payload_hash", |r| r.payload_hash = B256::ZERO),
        ("idempotency_key", |r| r.idempotency_key.push('x')),
        ("summary", |r| r.summary = "send 4 USDC to a friend".to_owned()),
        ("policy_hash", |r| r.policy_hash = B256::ZERO),
    ];
    for (field, change) in changes {
        assert_eq!(covers(change, NOW), Err(ApprovalError::Other(field)));
    }
    let elsewhere = document(&request(), &[ANNE], Namespace::Approval);
    let error = SignedApproval::verify(&elsewhere, &manifest("test")).unwrap_err();
    assert_eq!(error, ApprovalError::Other("cluster"));
}

#[test]
fn it_is_good_until_it_expires_and_not_for_ever() {
    assert_eq!(covers(|r| r.expires_at = NOW + 1, NOW), Ok(()));
    assert_eq!(covers(|r| r.expires_at = NOW, NOW), Err(ApprovalError::Expired));
    assert_eq!(covers(|r| r.expires_at = NOW - 1, NOW), Err(ApprovalError::Expired));
    assert_eq!(covers(|r| r.expires_at = NOW + 3_600_000, NOW), Ok(()), "as long as the policy asks");
    assert_eq!(covers(|r| r.expires_at = NOW + 3_600_001, NOW), Err(ApprovalError::TooFar));
    assert_eq!(covers(|r| r.expires_at = NOW + MAX_APPROVAL_MS, NOW), Err(ApprovalError::TooFar));
    assert_eq!(covers(|r| r.expires_at = u64::MAX, NOW), Err(ApprovalError::TooFar));
}

#[test]
fn what_cannot_be_right_is_refused_by_name() {
    let good = request().to_yaml().unwrap();
    for (field, from, to) in [
        ("approval", "quorate/v1", "quorate/v2"),
        ("cluster", "cluster: prod", "cluster: Prod"),
        ("wallet", "wallet: shopper", "wallet: ../shopper"),
        ("payload_hash", "payload_hash: '0x01", "payload_hash: '0x"),
        ("payload_hash", "payload_hash: 0x01", "payload_hash: 0x"),
        ("nonce", "nonce: '0707", "nonce: '07"),
        ("summary", "summary: send", "summary: \"\"\nx: send"),
    ] {
        let bad = good.replacen(from, to, 1);
        if bad == good {
            continue;
        }
        let error = ApprovalRequest::parse(bad.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(field) || error.starts_with("approval: "), "{field}: {error}");
    }
    let commented = format!("# a test run, 0.004 USDC\n{good}");
    assert!(ApprovalRequest::parse(commented.as_bytes()).is_err(), "words beside the fields");
    let long = ApprovalRequest { summary: "x".repeat(1025), ..request() };
    assert!(matches!(long.to_yaml(), Err(ApprovalError::Invalid { field: "summary", .. })));
    let lines = ApprovalRequest { summary: "one\ntwo".to_owned(), ..request() };
    assert!(matches!(lines.to_yaml(), Err(ApprovalError::Invalid { field: "summary", .. })));
}
