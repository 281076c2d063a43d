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
        let entries = entries(self.disks[1].as_ref(), 1, usize::MAX).unwrap();
        entries.iter().filter(|entry| entry.kind == "sign.held").count()
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
