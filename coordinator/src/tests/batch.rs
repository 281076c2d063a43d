//! Several requests in one call: each its own case.

use quorate_intent::AssetId;
use quorate_proto::v1::failure::Kind;
use quorate_proto::v1::sign_batch_answer::Answer;
use quorate_proto::{payload_to_pb, v1};
use quorate_transport::PeerRole;
use quorate_types::{Payload, U256};

use super::rig::{LARGE, PAYEE, Rig, SMALL, caller, denial_of, payment, signature_of, wallet};
use crate::error::OpError;
use crate::server::signing::batch;

fn ask(key: &str, payload: Option<Payload>) -> v1::SignRequest {
    v1::SignRequest {
        wallet: wallet().to_string(),
        payload: payload.as_ref().map(payload_to_pb),
        idempotency_key: key.to_owned(),
        ..Default::default()
    }
}

async fn asked(rig: &Rig, requests: Vec<v1::SignRequest>) -> Vec<Answer> {
    let answers = batch(&rig.core, &caller(PeerRole::Gateway), requests).await.unwrap();
    answers.into_iter().map(|answer| answer.answer.unwrap()).collect()
}

fn signed(answer: &Answer) -> v1::Signed {
    match answer {
        Answer::Response(response) => signature_of(response),
        Answer::Failure(failure) => panic!("{failure:?}"),
    }
}

fn failed(answer: &Answer) -> (Kind, &str) {
    match answer {
        Answer::Failure(failure) => (failure.kind(), &failure.field),
        Answer::Response(response) => panic!("{response:?}"),
    }
}

#[tokio::test]
async fn each_request_has_its_own_answer_in_its_place() {
    let rig = Rig::new();
    let (agent, _service) = rig.attach_signers(&[], &[]);
    let (first, second) = (payment(SMALL, PAYEE), payment(SMALL + 1, PAYEE));
    let mut elsewhere = ask("n", Some(first.clone()));
    elsewhere.wallet = "nobody".to_owned();
    let requests = vec![
        ask("k", Some(first.clone())),
        ask("l", Some(payment(LARGE, PAYEE))),
        ask("m", None),
        elsewhere,
        ask("o", Some(second.clone())),
        ask("k", Some(first.clone())),
        ask("k", Some(second)),
    ];
    let answers = asked(&rig, requests).await;
    assert_eq!(answers.len(), 7);
    let (one, other) = (signed(&answers[0]), signed(&answers[4]));
    assert_ne!(one.digest, other.digest);
    let Answer::Response(denied) = &answers[1] else { panic!("not denied") };
    assert_eq!(denial_of(denied).decided_by, "coordinator");
    assert_eq!(failed(&answers[2]), (Kind::Invalid, "payload"));
    assert_eq!(failed(&answers[3]), (Kind::NotFound, "wallet"));
    assert_eq!(signed(&answers[5]), one, "one key, one payload, one answer");
    assert_eq!(failed(&answers[6]), (Kind::Conflict, "idempotency_key"));
    assert_eq!(agent.sessions(), 2);
    let spent = quorate_ledger::spent(rig.store.as_ref(), &wallet(), &AssetId::native(84532), 0).unwrap();
    assert_eq!(spent, U256::from(SMALL + SMALL + 1));

    let again = asked(&rig, vec![ask("k", Some(first))]).await;
    assert_eq!(signed(&again[0]), one);
}

#[tokio::test]
async fn a_batch_of_none_or_of_too_many_asks_for_nothing() {
    let rig = Rig::new();
    let (agent, _service) = rig.attach_signers(&[], &[]);
    for count in [0, 65] {
        let requests = (0..count).map(|n| ask(&format!("k{n}"), Some(payment(SMALL, PAYEE)))).collect();
        let refused = batch(&rig.core, &caller(PeerRole::Gateway), requests).await.unwrap_err();
        assert!(matches!(refused, OpError::Invalid { field, .. } if field == "requests"), "{count}");
    }
    assert_eq!((agent.sessions(), rig.audit().len()), (0, 1));
}
