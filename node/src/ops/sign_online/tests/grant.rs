//! All that a coordinator shows a node of one request, with every signature that can be asked for. Each field of it, bent,
//! is refused by each node alone, before anything is computed.

use quorate_approval::Nonce;
use quorate_session::{AgentKey, AgentRequest};

use super::approvals::PEOPLE;
use super::session::{Way, stands_against};
use super::*;
use crate::ops::sign;

/// A wallet that takes its agent's word only, and anne's beside it.
fn rig() -> (Rig, AgentKey) {
    let agent = AgentKey::generate(&mut OsRng);
    let terms = WalletTerms { agent_key: Some(agent.public()), ..WalletTerms::default() };
    let rig = Rig::of(terms, |cluster| cluster.policy_with(("w", 2), "1.00", PEOPLE));
    (rig, agent)
}

fn grant(rig: &Rig, agent: &AgentKey, payment_nonce: u8) -> v1::StartSign {
    let start = rig.request(payment(payment_nonce));
    let approval = rig.cluster.approve(&rig.asked(&start, Nonce([payment_nonce; 16])));
    let (cluster, wallet) = ("dev".parse().unwrap(), "w".parse().unwrap());
    let payload_hash = quorate_proto::payload_from_pb(start.payload.clone()).ok().unwrap().hash();
    let asking = AgentRequest { cluster: &cluster, wallet: &wallet, payload_hash, idempotency_key: "k" };
    let agent = quorate_proto::agent_to_pb(&agent.ask(&asking, rig.nodes[0].clock.now() + 60_000));
    v1::StartSign { agent: Some(agent), approval: Some(approval), ..start }
}

fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1;
    bytes
}

/// Every field, bent in each way that is another's or nobody's, and what stands against it. `other` is another request
/// that is granted as well.
fn bends(
    honest: &v1::StartSign,
    other: &v1::StartSign,
    old_policy: &[u8],
) -> Vec<(&'static str, v1::StartSign)> {
    // No `..`: a new field does not compile until it is bent.
    let v1::StartSign { wallet, payload, policy_hash, idempotency_key, agent, approval } = honest.clone();
    assert_ne!(payload, other.payload);
    let v1::AgentSignature { expires_at_ms, signature } = agent.clone().unwrap();
    let v1::SignedDocument { body, signatures } = approval.clone().unwrap();
    let others = other.approval.clone().unwrap().signatures;
    let of = |change: &dyn Fn(&mut v1::StartSign)| {
        let mut bent = honest.clone();
        change(&mut bent);
        bent
    };
    let asks = |expires_at_ms, signature| Some(v1::AgentSignature { expires_at_ms, signature });
    let says = |body, signatures| Some(v1::SignedDocument { body, signatures });
    vec![
        ("wallet", of(&|bent| bent.wallet = format!("{wallet}2"))),
        ("wallet", of(&|bent| bent.wallet.clear())),
        ("payload", of(&|bent| bent.payload = None)),
        ("payload", of(&|bent| bent.payload = Some(v1::Payload { kind: None }))),
        ("approval", of(&|bent| bent.payload = other.payload.clone())),
        ("approval", of(&|bent| (bent.payload, bent.agent) = (other.payload.clone(), other.agent.clone()))),
        (
            "agent_signature",
            of(&|bent| (bent.payload, bent.approval) = (other.payload.clone(), other.approval.clone())),
        ),
        ("policy_hash", of(&|bent| bent.policy_hash = flipped(&policy_hash, 0))),
        ("policy_hash", of(&|bent| bent.policy_hash = old_policy.to_vec())),
        ("policy_hash", of(&|bent| bent.policy_hash.clear())),
        ("approval", of(&|bent| bent.idempotency_key = format!("{idempotency_key}2"))),
        ("idempotency_key", of(&|bent| bent.idempotency_key.clear())),
        ("agent_signature", of(&|bent| bent.agent = None)),
        ("agent_signature", of(&|bent| bent.agent.clone_from(&other.agent))),
        ("agent_signature", of(&|bent| bent.agent = asks(expires_at_ms + 1, signature.clone()))),
        ("agent_signature", of(&|bent| bent.agent = asks(expires_at_ms, flipped(&signature, 40)))),
        ("agent", of(&|bent| bent.agent = asks(expires_at_ms, signature[1..].to_vec()))),
        ("approval", of(&|bent| bent.approval = None)),
        ("approval", of(&|bent| bent.approval.clone_from(&other.approval))),
        ("approval", of(&|bent| bent.approval = says(flipped(&body, body.len() / 2), signatures.clone()))),
        ("approval", of(&|bent| bent.approval = says(body.clone(), Vec::new()))),
        ("approval", of(&|bent| bent.approval = says(body.clone(), others.clone()))),
    ]
}

#[tokio::test]
async fn every_field_of_what_a_node_is_shown_is_held_against_its_own() {
    let (rig, agent) = rig();
    let old_policy = rig.request(payment(0)).policy_hash;
    for node in &rig.nodes {
        node.documents.put_unguarded(&rig.cluster.policy_with(("w", 3), "1.00", PEOPLE)).unwrap();
    }
    let (honest, other) = (grant(&rig, &agent, 1), grant(&rig, &agent, 2));
    let id = rig.presign();
    for (number, (against, bent)) in bends(&honest, &other, &old_policy).into_iter().enumerate() {
        for (role, node) in [Role::Agent, Role::Service].into_iter().zip(&rig.nodes) {
            let (mut link, (_, mut out)) = Link::held();
            let said = Box::pin(sign::run(node, bent.clone(), &mut link)).await;
            assert_eq!(stands_against(&said), against, "bend {number}, {role}, in a session");
            assert!(!link.released() && out.try_recv().is_err(), "bend {number}, {role}: it said something");
            let (said, released) = rig.ask(role, online(id, bent.clone(), &[])).await;
            assert_eq!(stands_against(&said), against, "bend {number}, {role}, with a presignature");
            assert!(!released);
        }
    }
    every_field_of_what_is_shown_with_a_presignature(&rig, &honest, id).await;
    assert_eq!(rig.charged(), (false, 0));
    // Nothing was used up by all that, and as it was granted it is signed, either way.
    let sealed = contributed(rig.ask(Role::Agent, online(id, honest.clone(), &[])).await.0);
    signature(rig.ask(Role::Service, online(id, honest, &sealed)).await.0);
    let [_, service] = rig.both(Way::Session, &other).await;
    signature(service);
}

/// The contribution is the service node's to check: what an agent node made for it is bent in the tests of the pool.
async fn every_field_of_what_is_shown_with_a_presignature(rig: &Rig, honest: &v1::StartSign, id: B256) {
    let v1::StartOnline { presignature, request, contribution } = online(id, honest.clone(), &[]);
    for role in [Role::Agent, Role::Service] {
        let of = |presignature: Vec<u8>, request: Option<v1::StartSign>| v1::StartOnline {
            presignature,
            request,
            contribution: contribution.clone(),
        };
        for (against, bent) in [
            ("presignature", of(flipped(&presignature, 0), request.clone())),
            ("presignature", of(presignature[1..].to_vec(), request.clone())),
            ("presignature", of(Vec::new(), request.clone())),
            ("request", of(presignature.clone(), None)),
        ] {
            let (said, released) = rig.ask(role, bent).await;
            assert_eq!(stands_against(&said), against, "{role}");
            assert!(!released);
        }
    }
}
