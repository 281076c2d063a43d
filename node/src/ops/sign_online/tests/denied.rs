//! What a node leaves in its own log of every attempt, whoever makes it: what it contributed to, and what came to nothing.

use quorate_audit::{Entry, MOST_OF_ONE};
use quorate_proto::v1::node_frame::Frame;
use quorate_proto::v1::session_start::Protocol;
use tokio::sync::mpsc;

use super::session::Way;
use super::*;
use crate::sessions::Sessions;

const MINUTE_MS: u64 = 60_000;

impl Rig {
    /// Asks a node as a coordinator does.
    async fn told(&self, role: Role, protocol: Protocol) -> Outcome {
        let (out, mut said) = mpsc::channel(8);
        let mut sessions = Sessions::new("coordinator-1");
        let start = v1::SessionStart { session: vec![1; 16], deadline_ms: 5_000, protocol: Some(protocol) };
        sessions.start(Arc::clone(&self.nodes[usize::from(role.index())]), start, out);
        loop {
            if let Some(Frame::Outcome(outcome)) = said.recv().await.unwrap().frame {
                return outcome.outcome.unwrap();
            }
        }
    }

    fn log(&self, role: Role, kind: &str) -> Vec<Entry> {
        let log = entries(self.disks[usize::from(role.index())].as_ref(), 1, usize::MAX).unwrap();
        log.into_iter().filter(|entry| entry.kind == kind).collect()
    }
}

fn by(way: Way, start: v1::StartSign) -> Protocol {
    match way {
        Way::Session => Protocol::Sign(start),
        Way::Pool => Protocol::Online(online(B256::ZERO, start, &[])),
    }
}

/// One and a half dollars, under a policy of one.
fn too_much(rig: &Rig) -> v1::StartSign {
    let Some(v1::payload::Kind::Transaction(mut unsigned)) = payment(1).kind else { panic!() };
    let end = unsigned.len() - 1;
    unsigned[end - 8..end].copy_from_slice(&1_500_000_u64.to_be_bytes());
    rig.request(v1::Payload { kind: Some(v1::payload::Kind::Transaction(unsigned)) })
}

#[tokio::test]
async fn whoever_tries_a_node_is_in_its_log() {
    for role in [Role::Agent, Role::Service] {
        for way in [Way::Session, Way::Pool] {
            let rig = Rig::new();
            let start = too_much(&rig);
            let hash = quorate_proto::payload_from_pb(start.payload.clone()).ok().unwrap().hash();
            let said = rig.told(role, by(way, start.clone())).await;
            assert!(matches!(said, Outcome::Denied(_)), "{said:?}");
            let log = rig.log(role, "sign.denied");
            let [denied] = log.as_slice() else { panic!("{role}, {way:?}: {log:?}") };
            assert_eq!(denied.fields["failures"][0]["rule"], "per_transaction");
            assert_eq!(denied.fields["payload_hash"], serde_json::json!(hash));
            assert!(denied.fields["summary"].as_str().unwrap().contains("1.5 USDC"), "{denied:?}");
            assert_eq!(denied.wallet.as_ref().unwrap().as_str(), "w");

            for (bent, error) in [
                (v1::StartSign { policy_hash: vec![7; 32], ..start.clone() }, "policy_hash: "),
                (v1::StartSign { wallet: "other".to_owned(), ..start.clone() }, "wallet: "),
                (v1::StartSign { approval: Some(v1::SignedDocument::default()), ..start }, "approval: "),
            ] {
                let said = rig.told(role, by(way, bent)).await;
                assert!(matches!(said, Outcome::Failed(_)), "{said:?}");
                let last = rig.log(role, "sign.refused").pop().unwrap();
                assert!(last.fields["error"].as_str().unwrap().starts_with(error), "{last:?}");
            }
            let log = rig.log(role, "sign.refused");
            assert_eq!(log[1].fields["asked_wallet"], "other");
            assert_eq!((log[1].wallet.as_ref(), log.len()), (None, 3), "no wallet of this node's");
        }
    }
}

/// Nobody fills the disk with it, whatever names they invent; and what was left out is counted.
#[tokio::test]
async fn as_many_entries_as_there_is_room_for_in_a_minute() {
    let rig = Rig::new();
    let known = too_much(&rig);
    let unknown = |n: usize| v1::StartSign { wallet: format!("w{n}"), ..known.clone() };
    for n in 0..MOST_OF_ONE + 7 {
        rig.told(Role::Agent, by(Way::Pool, unknown(n))).await;
    }
    assert_eq!(rig.log(Role::Agent, "sign.refused").len(), MOST_OF_ONE);
    rig.told(Role::Agent, by(Way::Pool, known.clone())).await;
    assert_eq!(rig.log(Role::Agent, "sign.denied").len(), 1, "a wallet of this node's has its own room");
    rig.cluster.clock.advance(MINUTE_MS);
    rig.told(Role::Agent, by(Way::Pool, unknown(0))).await;
    let log = rig.log(Role::Agent, "sign.refused");
    assert_eq!((log.len(), &log[MOST_OF_ONE].fields["left_out"]), (MOST_OF_ONE + 1, &serde_json::json!(7)));
}

/// Nobody is told what could not be written down.
#[tokio::test]
async fn a_denial_that_is_not_on_disk_is_not_given() {
    let rig = Rig::new();
    rig.disks[0].fail_commit_after(0, Aftermath::Lost);
    let said = rig.told(Role::Agent, by(Way::Session, too_much(&rig))).await;
    assert!(matches!(said, Outcome::Failed(_)), "{said:?}");
    assert!(rig.nodes[0].fatal.reason().is_some(), "the process ends");
}

/// Both nodes write down what they contributed to, under the execution id the signature was made under, once.
#[tokio::test]
async fn each_node_writes_down_what_it_contributed_to() {
    for way in [Way::Pool, Way::Session] {
        let rig = Rig::new();
        let [_, said] = rig.both(way, &rig.request(payment(1))).await;
        let Ok(Outcome::Signed(signed)) = said else { panic!("{said:?}") };
        let logs = [Role::Agent, Role::Service].map(|role| rig.log(role, "sign.contributed"));
        let [[agent], [service]] = logs.each_ref().map(Vec::as_slice) else { panic!("{logs:?}") };
        assert_eq!(agent.fields["eid"], hex::encode(&signed.eid), "{way:?}");
        for field in ["eid", "payload_hash", "digest", "policy_hash", "summary", "asked_by", "tier"] {
            assert_eq!(agent.fields[field], service.fields[field], "{way:?}, {field}");
        }
    }
}

/// The log of the agent node is synced before its contribution leaves.
#[tokio::test]
async fn the_agent_node_contributes_to_nothing_it_could_not_write_down() {
    let rig = Rig::new();
    // The first sync marks the session.
    rig.disks[0].fail_commit_after(1, Aftermath::Lost);
    let [agent, service] = rig.both(Way::Session, &rig.request(payment(1))).await;
    assert!(matches!(agent, Err(SessionError::Fatal(_))), "{agent:?}");
    assert!(service.is_err(), "{service:?}");
    assert_eq!(rig.charged(), (false, 0));
}
