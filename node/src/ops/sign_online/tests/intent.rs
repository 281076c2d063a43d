//! An agent node in an attacker's hands, with its right key and its right partial signature, that states something else
//! than the service node agreed to. Each field of the statement counts; nothing is charged for a false one.

use quorate_session::{IntentStatement, Recipient};

use super::session::{Said, session};
use super::*;
use crate::ops::half::Half;
use crate::ops::sign;
use crate::sessions::PARTIAL_ROUND;

type Bend = fn(&mut IntentStatement);

fn bends() -> [(&'static str, Bend); 8] {
    [
        ("cluster", |stated| stated.cluster = "prod".parse().unwrap()),
        ("wallet", |stated| stated.wallet = "w2".parse().unwrap()),
        ("agent", |stated| stated.agent = "eve".parse().unwrap()),
        ("payload_hash", |stated| stated.payload_hash.0[0] ^= 1),
        ("digest", |stated| stated.digest.0[31] ^= 1),
        ("policy_hash", |stated| stated.policy_hash.0[0] ^= 1),
        ("idempotency_key", |stated| stated.idempotency_key.push('2')),
        ("eid", |stated| stated.eid[0] ^= 1),
    ]
}

fn stated(node: &Node, request: &Request, eid: [u8; 32], bend: Bend) -> SignedStatement {
    let mut stated = statement(node, request, eid);
    // No `..`: a new field does not compile until it is bent above.
    let IntentStatement {
        cluster: _,
        wallet: _,
        agent: _,
        payload_hash: _,
        digest: _,
        policy_hash: _,
        idempotency_key: _,
        eid: _,
    } = &stated;
    bend(&mut stated);
    stated.sign(&node.me, &node.key).unwrap()
}

/// `contribute`, with another statement.
fn contribute_with(node: &Node, start: v1::StartOnline, bend: Bend) -> Vec<u8> {
    let online = Online::read(node, &start.presignature, start.request).ok().unwrap();
    let intent = stated(node, &online.request, online.used.eid, bend);
    let (presignature, last_word) = online.take(node).ok().unwrap().into_parts();
    let contribution = Contribution { partial: presignature.issue(&online.digest).0.to_bytes(), intent };
    last_word.seal(&encode(&Message { made_at: node.clock.now(), contribution }).ok().unwrap()).unwrap()
}

/// The agent node's part of a session, with another statement.
async fn take_part_with(node: &Arc<Node>, start: v1::StartSign, bend: Bend, link: &mut Link) -> Said {
    let request = Request::read(node, start)?;
    let mut joined = link.agree(node, request.terms.clone()).await?;
    let half = Half::make(node, &request, &mut joined).await?;
    let intent = stated(node, &request, joined.eid(), bend);
    let contribution = Contribution { partial: half.issue().to_bytes(), intent };
    let body = encode(&contribution)?;
    joined.send(PARTIAL_ROUND, Recipient::One(Role::Service.index()), &body).await?;
    Ok(Outcome::Released(true))
}

/// The agent node's fault, where nobody else can have made it so.
fn blames_the_agent(what: &str, said: &Said) {
    assert!(matches!(said, Err(SessionError::Peer { party: 0, .. })), "{what}: {said:?}");
}

#[tokio::test]
async fn with_a_presignature_every_field_of_the_intent_counts() {
    let rig = Rig::new();
    let halves = rig.halves([1; 32]);
    let presigned = || {
        let twins = halves.iter().map(fixtures::twin).collect();
        let terms = rig.terms();
        rig.stock(&terms, rig.last_words(&terms), twins)
    };
    for (what, bend) in bends() {
        let id = presigned();
        let sealed = contribute_with(&rig.nodes[0], rig.start(id, 1, &[]), bend);
        let (said, released) = rig.ask(Role::Service, rig.start(id, 1, &sealed)).await;
        assert!(!released, "{what}");
        match &said {
            // Its execution id is all that it agreed to: it may have been shown something else.
            Err(SessionError::Caller { field: "contribution", .. }) if what == "eid" => {}
            said => blames_the_agent(what, said),
        }
        assert_eq!(rig.charged(), (false, 0), "{what}");
    }
    let id = presigned();
    let sealed = contribute_with(&rig.nodes[0], rig.start(id, 1, &[]), |_| {});
    signature(rig.ask(Role::Service, rig.start(id, 1, &sealed)).await.0);
    assert_eq!(rig.charged(), (true, 1));
}

#[tokio::test]
async fn in_a_session_every_field_of_the_intent_counts() {
    let rig = Rig::new();
    let [agent, service] = &rig.nodes;
    let start = rig.request(payment(1));
    for (what, bend) in bends() {
        let [_, said] = session(
            async |link: &mut Link| Box::pin(take_part_with(agent, start.clone(), bend, link)).await,
            async |link: &mut Link| Box::pin(sign::run(service, start.clone(), link)).await,
        )
        .await;
        blames_the_agent(what, &said);
        assert_eq!(rig.charged(), (false, 0), "{what}");
    }
    let [_, said] = session(
        async |link: &mut Link| Box::pin(take_part_with(agent, start.clone(), |_| {}, link)).await,
        async |link: &mut Link| Box::pin(sign::run(service, start.clone(), link)).await,
    )
    .await;
    signature(said);
    assert_eq!(rig.charged(), (true, 1));
}
