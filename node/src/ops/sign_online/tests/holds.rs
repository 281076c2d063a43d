//! A hold at the service node, by its own clock, and the freeze that ends it.

use quorate_manifest::SignedDocument;
use quorate_types::Clock;

use super::session::Way;
use super::*;
use crate::ops::hold;

const MINUTE_MS: u64 = 60_000;

fn rig() -> Rig {
    let lines = "  tiers: [{asset: USDC, chain: base-sepolia, delay: \"1.00\", delay_s: 60}]\n  approval: {threshold: 1, \
                 approvers: [anne], timeout_s: 600}\n";
    Rig::of(WalletTerms::default(), |cluster| cluster.policy_with(("w", 1), "1.00", lines))
}

impl Rig {
    /// When the service node would contribute; none where it would now.
    fn held_until(&self) -> Option<u64> {
        match Request::read(&self.nodes[1], self.request(payment(1))) {
            Ok(_) => None,
            Err(SessionError::Denied(denial)) => {
                assert!(denial.waits(), "{denial:?}");
                denial.failures[0].resets_at_ms
            }
            Err(other) => panic!("{other}"),
        }
    }

    fn tell(&self, order: &SignedDocument) {
        self.nodes[1].documents.put_freeze(order).unwrap();
    }

    fn held(&self) -> usize {
        self.entries("sign.held")
    }

    fn entries(&self, kind: &str) -> usize {
        let entries = entries(self.disks[1].as_ref(), 1, usize::MAX).unwrap();
        entries.iter().filter(|entry| entry.kind == kind).count()
    }

    /// As the coordinator tells it where somebody said no.
    fn end(&self, wallet: &str, payload_hash: &[u8]) {
        let ended = v1::EndHold { wallet: wallet.to_owned(), payload_hash: payload_hash.to_vec() };
        self.nodes.iter().for_each(|node| hold::end(node, &ended));
    }
}

#[tokio::test]
async fn a_freeze_that_comes_while_it_runs_ends_it_also_once_lifted() {
    let scopes = [
        "scope: all",
        "scope: wallet\ntarget: w",
        "scope: agent\ntarget: bot",
        "scope: asset\ntarget: \"0x036CbD53842c5426634e7929541eC2318f3dCF7e@84532\"",
        "scope: chain\ntarget: \"84532\"",
    ];
    for scope in scopes {
        let mut rig = rig();
        let began = rig.cluster.clock.now();
        hold::run(&rig.nodes[1], rig.request(payment(1)));
        assert_eq!((rig.held_until(), rig.held()), (Some(began + MINUTE_MS), 1));
        rig.cluster.clock.advance(MINUTE_MS / 2);
        rig.tell(&rig.cluster.order(scope, 1, "freeze"));
        rig.tell(&rig.cluster.order(scope, 2, "unfreeze"));
        rig.restart(Role::Service);
        rig.cluster.clock.advance(10 * MINUTE_MS);
        // It would have been over long ago. Asked for again it is a new one, and runs to its end.
        let again = rig.cluster.clock.now();
        assert_eq!((rig.held_until(), rig.held()), (Some(again + MINUTE_MS), 2), "{scope}");
        rig.cluster.clock.advance(MINUTE_MS - 1);
        assert_eq!(rig.held_until(), Some(again + MINUTE_MS), "{scope}");
        rig.cluster.clock.advance(1);
        assert_eq!((rig.held_until(), rig.held()), (None, 2), "{scope}");
    }
}

/// One that is over, and was not signed yet, is ended by it as well: people froze before the money left.
#[tokio::test]
async fn a_freeze_ends_a_hold_that_is_over_and_not_yet_signed() {
    let rig = rig();
    hold::run(&rig.nodes[1], rig.request(payment(1)));
    rig.cluster.clock.advance(MINUTE_MS);
    assert_eq!(rig.held_until(), None);
    rig.tell(&rig.cluster.freeze(1, "freeze"));
    rig.tell(&rig.cluster.freeze(2, "unfreeze"));
    assert_eq!(rig.held_until(), Some(rig.cluster.clock.now() + MINUTE_MS));
    let [_, service] = rig.both(Way::Pool, &rig.request(payment(1))).await;
    assert!(matches!(service, Err(SessionError::Denied(_))), "{service:?}");
    rig.cluster.clock.advance(MINUTE_MS);
    let [_, service] = rig.both(Way::Pool, &rig.request(payment(1))).await;
    signature(service);
}

#[tokio::test]
async fn an_order_about_something_else_ends_none() {
    let rig = rig();
    hold::run(&rig.nodes[1], rig.request(payment(1)));
    for scope in ["scope: wallet\ntarget: other", "scope: agent\ntarget: eve", "scope: chain\ntarget: \"1\""]
    {
        rig.tell(&rig.cluster.order(scope, 1, "freeze"));
    }
    rig.cluster.clock.advance(MINUTE_MS);
    assert_eq!((rig.held_until(), rig.held()), (None, 1));
}

/// What was refused waits from the beginning here too; a coordinator that makes this up has others wait, and nothing else.
#[tokio::test]
async fn somebody_who_says_no_ends_it() {
    let mut rig = rig();
    let (first, other) = (rig.request(payment(1)), rig.request(payment(2)));
    hold::run(&rig.nodes[1], first.clone());
    hold::run(&rig.nodes[1], other.clone());
    rig.cluster.clock.advance(MINUTE_MS);
    assert_eq!(rig.held_until(), None);
    let hash = quorate_proto::payload_from_pb(Some(payment(1))).unwrap().hash();
    rig.end("another", hash.as_slice());
    rig.end("no wallet's name", hash.as_slice());
    rig.end("w", &hash.as_slice()[1..]);
    rig.end("w", &[7; 32]);
    assert_eq!((rig.held_until(), rig.entries("sign.hold_ended")), (None, 0), "none of these is it");
    rig.end("w", hash.as_slice());
    rig.end("w", hash.as_slice());
    rig.restart(Role::Service);
    assert_eq!(rig.entries("sign.hold_ended"), 1);
    let [_, service] = rig.both(Way::Pool, &first).await;
    assert!(matches!(service, Err(SessionError::Denied(denial)) if denial.waits()));
    signature({
        let [_, service] = rig.both(Way::Pool, &other).await;
        service
    });
    let again = rig.cluster.clock.now() + MINUTE_MS;
    assert_eq!(rig.held_until(), Some(again));
    rig.cluster.clock.advance(MINUTE_MS);
    assert_eq!(rig.held_until(), None);
}

/// The log must not grow by a word that costs nothing.
#[tokio::test]
async fn a_coordinator_that_ends_holds_for_ever_is_not_obeyed_for_ever() {
    let rig = rig();
    let hash = quorate_proto::payload_from_pb(Some(payment(1))).unwrap().hash();
    for _ in 0..30 {
        hold::run(&rig.nodes[1], rig.request(payment(1)));
        rig.end("w", hash.as_slice());
    }
    assert_eq!((rig.entries("sign.hold_ended"), rig.held()), (10, 11));
    rig.cluster.clock.advance(MINUTE_MS);
    rig.end("w", hash.as_slice());
    assert_eq!(rig.entries("sign.hold_ended"), 11);
}
