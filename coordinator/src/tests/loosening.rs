//! What loosens the policy of a guarded wallet waits here as it does on the nodes, and comes into force with them.

use quorate_manifest::Namespace;
use quorate_transport::PeerRole;
use quorate_types::Role;

use super::rig::{Rig, caller, node, policy, policy_of_both, signed, wallet};
use crate::error::OpError;
use crate::link::{Reply, Subject};
use crate::loosening::tick;
use crate::ops::apply_freeze::apply_freeze;
use crate::ops::apply_policy::apply_policy;
use crate::ops::get_policy::{Standing, get_policy};

const DELAY_S: u32 = 60;
const DELAY_MS: u64 = 60_000;

async fn apply(rig: &Rig, document: quorate_manifest::SignedDocument) -> Result<Standing, OpError> {
    apply_policy(&rig.core, caller(PeerRole::Operator), document).await
}

async fn version(rig: &Rig) -> u64 {
    get_policy(&rig.core, wallet()).await.unwrap().in_force.unwrap().version
}

fn policies(rig: &Rig) -> Vec<String> {
    rig.audit().into_iter().filter(|kind| kind.starts_with("policy.")).collect()
}

#[tokio::test]
async fn it_waits_and_comes_into_force_here_once_both_nodes_have_it() {
    let rig = Rig::guarded(DELAY_S);
    let _nodes = rig.attach_signers(&[], &[]);
    let standing = apply(&rig, policy_of_both(2, "0.02")).await.unwrap();
    let waiting = standing.waiting.unwrap();
    assert_eq!(standing.in_force.unwrap().version, 1);
    assert_eq!((waiting.record.loosens, waiting.cancelled), (vec!["per_transaction".to_owned()], false));
    assert_eq!(waiting.until, rig.core.clock.now() + DELAY_MS);
    assert_eq!(waiting.nodes, [node(Role::Agent), node(Role::Service)]);
    rig.clock.advance(DELAY_MS - 1);
    tick(&rig.core).await.unwrap();
    assert_eq!(version(&rig).await, 1);
    let rig = { rig.restarted() };
    let _nodes = rig.attach_signers(&[], &[]);
    rig.clock.advance(1);
    tick(&rig.core).await.unwrap();
    assert_eq!(version(&rig).await, 2);
    assert_eq!(get_policy(&rig.core, wallet()).await.unwrap().waiting, None);
    assert_eq!(policies(&rig), ["policy.waiting", "policy.applied"]);
}

#[tokio::test]
async fn it_stays_as_it_is_while_a_node_still_waits_or_is_away() {
    let rig = Rig::guarded(DELAY_S);
    let _agent = rig.attach(Role::Agent, &[]);
    apply(&rig, policy_of_both(2, "0.02")).await.unwrap();
    rig.clock.advance(DELAY_MS);
    tick(&rig.core).await.unwrap();
    assert_eq!(version(&rig).await, 1, "the service node is away");
    let _service = rig.attach(Role::Service, &[]);
    let link = rig.core.nodes.link(&node(Role::Service)).unwrap();
    crate::attach::tell_missed(&rig.core, &link, 1).await.unwrap();
    let hash = policy_of_both(2, "0.02").hash(Namespace::Policy);
    let subject = Subject::NextPolicy(wallet());
    link.reply(&subject, hash, std::time::Duration::from_secs(5)).await;
    link.replied(&subject, Some(hash), Reply::Waits(rig.core.clock.now() + 1));
    tick(&rig.core).await.unwrap();
    assert_eq!(version(&rig).await, 1, "the service node saw it later");
    rig.clock.advance(1);
    tick(&rig.core).await.unwrap();
    assert_eq!(version(&rig).await, 2);
}

#[tokio::test]
async fn one_signature_is_not_enough_and_the_missing_ones_are_named() {
    let rig = Rig::guarded(DELAY_S);
    let refused = apply(&rig, policy(2, "0.02")).await.unwrap_err();
    assert!(refused.to_string().contains("still to sign: one of otto"), "{refused}");
    assert_eq!(get_policy(&rig.core, wallet()).await.unwrap().waiting, None);
    let tightened = apply(&rig, policy(2, "0.001")).await.unwrap();
    assert_eq!(tightened.in_force.unwrap().version, 2, "which tightening needs none of");
}

#[tokio::test]
async fn a_tighter_policy_takes_its_place_and_a_freeze_ends_it() {
    let rig = Rig::guarded(DELAY_S);
    let _nodes = rig.attach_signers(&[], &[]);
    apply(&rig, policy_of_both(2, "0.02")).await.unwrap();
    let standing = apply(&rig, policy(3, "0.001")).await.unwrap();
    assert_eq!((standing.in_force.unwrap().version, standing.waiting), (3, None));
    let stale = apply(&rig, policy_of_both(2, "0.02")).await.unwrap_err();
    assert!(matches!(stale, OpError::Conflict { field: "policy", .. }), "{stale}");

    apply(&rig, policy_of_both(4, "0.02")).await.unwrap();
    let freeze = "freeze: quorate/v1\ncluster: demo\nsequence: 1\nscope: agent\ntarget: bot\naction: freeze\nreason: x\n";
    let freeze = signed(freeze.to_owned(), Namespace::Freeze);
    apply_freeze(&rig.core, caller(PeerRole::Operator), freeze).await.unwrap();
    rig.clock.advance(10 * DELAY_MS);
    tick(&rig.core).await.unwrap();
    let standing = get_policy(&rig.core, wallet()).await.unwrap();
    assert_eq!(standing.in_force.unwrap().version, 3);
    assert!(standing.waiting.unwrap().cancelled);
    let refused = apply(&rig, policy_of_both(4, "0.02")).await.unwrap_err();
    assert!(refused.to_string().contains("sign a higher version"), "{refused}");
    assert!(apply(&rig, policy_of_both(5, "0.02")).await.unwrap().waiting.is_some());
}
