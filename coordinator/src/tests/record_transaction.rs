//! The transaction that used a signature: known where it was signed here, a caller's word where it was not.

use quorate_intent::{AssetId, transaction_hash};
use quorate_ledger::spent;
use quorate_proto::v1;
use quorate_transport::PeerRole;
use quorate_types::{B256, Payload};

use super::fake::Does;
use super::rig::{PAYEE, Rig, SMALL, STRANGER, caller, payment, signature_of, wallet};
use crate::error::OpError;
use crate::ops::record_transaction::{Told, record_transaction};

const HASH: B256 = B256::repeat_byte(9);
const OTHER: B256 = B256::repeat_byte(8);

async fn record(
    rig: &Rig,
    (key, hash): (&str, B256),
    chain_id: Option<u64>,
) -> Result<v1::RecordTransactionResponse, OpError> {
    let told = Told { wallet: wallet(), key: key.parse().unwrap(), transaction_hash: hash, chain_id };
    record_transaction(&rig.core, caller(PeerRole::Gateway), told).await
}

/// The field of a conflict, or of what is invalid.
async fn refused(rig: &Rig, what: (&str, B256), chain_id: Option<u64>) -> String {
    match record(rig, what, chain_id).await.unwrap_err() {
        OpError::Conflict { field, .. } => field.to_owned(),
        OpError::Invalid { field, .. } => field,
        OpError::NotFound { what, .. } => format!("no {what}"),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn of_a_transaction_that_was_signed_here_no_other_hash_is_taken() {
    let rig = Rig::new();
    let (_agent, _service) = rig.attach_signers(&[], &[]);
    let answer = rig.sign("k", payment(SMALL, PAYEE)).await.unwrap();
    let hash = transaction_hash(&signature_of(&answer).signed_transaction);
    let entry = rig.last();
    assert_eq!(
        (entry.kind.as_str(), &entry.fields["transaction_hash"]),
        ("sign.signed", &hash.to_string().into())
    );
    let written = rig.audit();
    assert_eq!(refused(&rig, ("k", HASH), None).await, "transaction_hash");
    assert_eq!(refused(&rig, ("k", hash), Some(1)).await, "chain_id");
    for chain_id in [None, Some(84532)] {
        let known = record(&rig, ("k", hash), chain_id).await.unwrap();
        assert_eq!((known.receipt, known.chain_id), (answer.receipt.clone(), Some(84532)));
    }
    assert_eq!(rig.audit(), written, "nothing is written down twice");
}

#[tokio::test]
async fn of_what_somebody_else_submits_the_first_word_stands_for_ever() {
    let rig = Rig::for_raw_digests();
    let (_agent, _service) = rig.attach_signers(&[], &[]);
    let signed = rig.sign("k", Payload::RawDigest(B256::repeat_byte(1))).await.unwrap();
    assert!(rig.last().fields["transaction_hash"].is_null());
    let first = record(&rig, ("k", HASH), Some(5)).await.unwrap();
    let entry = rig.last();
    assert_eq!(entry.kind, "sign.transaction");
    let field = |name: &str| entry.fields[name].clone();
    assert_eq!((field("transaction_hash"), field("chain_id")), (HASH.to_string().into(), 5.into()));
    assert_eq!((field("agent"), field("idempotency_key")), ("bot".into(), "k".into()));
    assert_eq!(field("asserted_by"), caller(PeerRole::Gateway).0.to_string());
    assert_eq!(first.receipt, Some(v1::Receipt { sequence: entry.sequence, hash: entry.hash.to_vec() }));
    assert_eq!(first.receipt.as_ref().unwrap().sequence, signed.receipt.unwrap().sequence + 1);
    for rig in [&rig, &rig.restarted()] {
        for chain_id in [None, Some(5)] {
            assert_eq!(record(rig, ("k", HASH), chain_id).await.unwrap(), first);
        }
        assert_eq!(refused(rig, ("k", OTHER), Some(5)).await, "transaction_hash");
        assert_eq!(refused(rig, ("k", HASH), Some(6)).await, "chain_id");
        assert_eq!(rig.last(), entry);
    }
}

#[tokio::test]
async fn what_was_not_signed_has_no_transaction() {
    let rig = Rig::new();
    let (_agent, _service) = rig.attach_signers(&[Does::Hangs], &[Does::Denies]);
    rig.sign("releasing", payment(SMALL, PAYEE)).await.unwrap();
    rig.sign("denied", payment(SMALL, STRANGER)).await.unwrap();
    let (before, written) =
        (spent(rig.store.as_ref(), &wallet(), &AssetId::native(84532), 0).unwrap(), rig.audit());
    assert_eq!(refused(&rig, ("releasing", HASH), None).await, "idempotency_key");
    assert_eq!(refused(&rig, ("denied", HASH), None).await, "no request");
    assert_eq!(refused(&rig, ("never", HASH), None).await, "no request");
    let after = spent(rig.store.as_ref(), &wallet(), &AssetId::native(84532), 0).unwrap();
    assert_eq!((after, rig.audit()), (before, written));
}
