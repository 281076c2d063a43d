//! An approval is for one request. Each node remembers for itself, on its disk, which it used one for.

use quorate_approval::{ApprovalRequest, Nonce};

use super::session::{Way, field};
use super::*;
use crate::ops::sign;

/// Anne is asked about every payment.
pub(super) const PEOPLE: &str = "  tiers: [{asset: USDC, chain: base-sepolia}]\n  approval: {threshold: 1, \
                                 approvers: [anne], timeout_s: 600}\n";

fn rig() -> Rig {
    Rig::of(WalletTerms::default(), |cluster| cluster.policy_with(("w", 1), "1.00", PEOPLE))
}

impl Rig {
    /// What anne is asked about a request.
    pub(super) fn asked(&self, start: &v1::StartSign, nonce: Nonce) -> ApprovalRequest {
        let payload = quorate_proto::payload_from_pb(start.payload.clone()).ok().unwrap();
        ApprovalRequest {
            cluster: "dev".parse().unwrap(),
            wallet: start.wallet.parse().unwrap(),
            payload_hash: payload.hash(),
            idempotency_key: start.idempotency_key.clone(),
            summary: quorate_intent::decode(&payload).unwrap().intent.summary(),
            policy_hash: start.policy_hash.as_slice().try_into().unwrap(),
            nonce,
            expires_at: self.nodes[0].clock.now() + 600_000,
        }
    }

    /// A payment with anne's yes to it.
    fn approved(&self, payment_nonce: u8, nonce: Nonce) -> v1::StartSign {
        let start = self.request(payment(payment_nonce));
        let approval = self.cluster.approve(&self.asked(&start, nonce));
        v1::StartSign { approval: Some(approval), ..start }
    }

    /// This service node beside an agent node of another world, in which nothing was used.
    fn beside(&self, other: &Self) -> Self {
        Self {
            cluster: Arc::clone(&self.cluster),
            memory: self.memory.clone(),
            disks: [Arc::clone(&other.disks[0]), Arc::clone(&self.disks[1])],
            nodes: [Arc::clone(&other.nodes[0]), Arc::clone(&self.nodes[1])],
            shares: Arc::clone(&self.shares),
        }
    }
}

/// Anne signed a nonce twice, as a coordinator can have her do that has both requests. The second is refused by the agent
/// node, and by the service node beside an agent node that would take it; now, and by processes that only know what is on
/// these disks. The request that was approved may be signed again.
async fn used_up(first: Way, again: Way) {
    let rig = rig();
    let (unused, nonce) = (rig.fork(), Nonce([1; 16]));
    let (mine, other) = (rig.approved(1, nonce), rig.approved(2, nonce));
    let [_, service] = rig.both(first, &mine).await;
    signature(service);
    let restarted = rig.fork();
    for (rig, what) in [(&rig, "the same processes"), (&restarted, "started again")] {
        let [agent, service] = rig.beside(&unused.fork()).both(again, &other).await;
        assert!(agent.is_ok(), "{agent:?}");
        assert_eq!(field(&service), "approval", "{again:?} after {first:?}, {what}");
        let [agent, _] = rig.both(again, &other).await;
        assert_eq!(field(&agent), "approval", "{again:?} after {first:?}, {what}");
        assert_eq!(rig.charged(), (true, 1), "the first, and nothing since");
        let [_, service] = rig.both(again, &mine).await;
        signature(service);
    }
}

#[tokio::test]
async fn one_used_with_a_presignature_is_used_up_for_presignatures() {
    used_up(Way::Pool, Way::Pool).await;
}

#[tokio::test]
async fn one_used_with_a_presignature_is_used_up_for_sessions() {
    used_up(Way::Pool, Way::Session).await;
}

#[tokio::test]
async fn one_used_in_a_session_is_used_up_for_presignatures() {
    used_up(Way::Session, Way::Pool).await;
}

#[tokio::test]
async fn one_that_has_expired_allows_nothing() {
    for way in [Way::Pool, Way::Session] {
        let rig = rig();
        let mine = rig.approved(1, Nonce([1; 16]));
        rig.cluster.clock.advance(599_999);
        let [_, service] = rig.both(way, &mine).await;
        signature(service);
        rig.cluster.clock.advance(1);
        for (role, node) in [Role::Agent, Role::Service].into_iter().zip(&rig.nodes) {
            let start = online(B256::ZERO, mine.clone(), &[]);
            assert_eq!(refused(rig.ask(role, start).await), "approval");
            // Alone: of two that refuse at once the later one only hears that it was given up.
            let said = Box::pin(sign::run(node, mine.clone(), &mut Link::to_nobody())).await;
            assert_eq!(field(&said), "approval");
        }
    }
}
