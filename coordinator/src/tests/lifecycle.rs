use quorate_proto::v1;
use quorate_proto::v1::session_failure::Fault;
use quorate_session::WalletTerms;
use quorate_transport::PeerRole;
use quorate_types::Role;
use tokio::sync::mpsc;

use super::fake::Does;
use super::rig::{DEADLINES, Rig, caller, node, policy, raw_policy, wallet};
use crate::error::OpError;
use crate::ops::apply_policy::apply_policy;
use crate::ops::create_wallet::{NewWallet, create_wallet};
use crate::ops::enrol_group::enrol_group;
use crate::ops::get_policy::get_policy;
use crate::ops::wallets::{get_wallet, list_wallets};
use crate::records::GroupRecord;

fn new(wallet: &str, agent: &str) -> NewWallet {
    NewWallet {
        wallet: wallet.parse().unwrap(),
        agent: agent.parse().unwrap(),
        terms: WalletTerms::default(),
        group: "g".parse().unwrap(),
    }
}

#[tokio::test]
async fn a_policy_is_taken_by_a_wallet_of_its_sort_only() {
    for (rig, right, wrong) in [
        (Rig::new(), policy(2, "0.02"), raw_policy(2)),
        (Rig::for_raw_digests(), raw_policy(2), policy(2, "0.02")),
    ] {
        let _nodes = rig.attach_signers(&[], &[]);
        let apply = |document| apply_policy(&rig.core, caller(PeerRole::Operator), document);
        let refused = apply(wrong).await.unwrap_err();
        assert!(matches!(refused, OpError::Conflict { field: "policy", .. }), "{refused}");
        assert!(refused.to_string().contains("rules.raw_digest: "), "{refused}");
        assert_eq!(apply(right).await.unwrap().in_force.unwrap().version, 2);
    }
}

async fn create(rig: &Rig, wallet: &str, agent: &str) -> Result<(), OpError> {
    create_wallet(&rig.core, caller(PeerRole::Operator), new(wallet, agent)).await.map(drop)
}

async fn state(rig: &Rig, wallet: &str) -> v1::wallet::State {
    get_wallet(&rig.core, wallet.parse().unwrap()).await.unwrap().state()
}

async fn enrol(rig: &Rig) -> Result<GroupRecord, OpError> {
    let (stages, _told) = mpsc::channel(8);
    enrol_group(&rig.core, caller(PeerRole::Operator), "g".parse().unwrap(), stages).await
}

#[tokio::test]
async fn a_group_is_enrolled_once_and_all_three_agree() {
    let rig = Rig::bare(DEADLINES);
    let agent = rig.attach(Role::Agent, &[Does::OtherAux]);
    let missing = enrol(&rig).await.unwrap_err();
    assert!(
        matches!(missing, OpError::Unavailable { nodes, .. } if nodes == [node(Role::Service), node(Role::Cold)])
    );
    rig.attach(Role::Service, &[]);
    rig.attach(Role::Cold, &[]);
    assert!(matches!(enrol(&rig).await, Err(OpError::PeerFault { .. })), "one reports another hash");
    let record = enrol(&rig).await.unwrap();
    assert_eq!(enrol(&rig).await.unwrap(), record);
    assert_eq!(agent.sessions(), 2, "not again");
    assert_eq!(rig.audit()[1..], ["group.enrolled"]);
}

#[tokio::test]
async fn a_wallet_is_born_attested_by_all_three_and_activated() {
    let rig = Rig::bare(DEADLINES);
    let unknown = create(&rig, "w1", "bot").await.unwrap_err();
    assert!(matches!(unknown, OpError::Conflict { field: "group", .. }), "not enrolled: {unknown}");
    let fakes = Role::ALL.map(|role| rig.attach(role, &[]));
    enrol(&rig).await.unwrap();
    create(&rig, "w1", "bot").await.unwrap();
    let born = get_wallet(&rig.core, "w1".parse().unwrap()).await.unwrap();
    assert_eq!(born.state(), v1::wallet::State::Active);
    assert_eq!((born.attestations.len(), born.public_key.len(), born.policy_version), (3, 33, 0));
    for fake in &fakes {
        assert_eq!(fake.documents(), ["activation of w1"]);
    }
    create(&rig, "w1", "bot").await.unwrap();
    assert_eq!(fakes[0].sessions(), 2, "aux info and one key generation");
    let other = create(&rig, "w1", "eve").await.unwrap_err();
    assert!(matches!(other, OpError::Conflict { field: "agent", .. }));
    assert_eq!(rig.audit()[2..], ["wallet.creating", "wallet.active"]);
}

#[tokio::test]
async fn a_key_generation_that_fails_or_is_not_attested_leaves_no_active_wallet() {
    let rig = Rig::new();
    let odd = Does::Attests(|statement| statement.epoch = 9);
    rig.attach(Role::Agent, &[]);
    rig.attach(Role::Service, &[Does::Fails(Fault::Network, false), odd]);
    assert!(matches!(create(&rig, "w1", "bot").await, Err(OpError::Unavailable { .. })), "cold is away");
    rig.attach(Role::Cold, &[]);
    assert!(matches!(create(&rig, "w1", "bot").await, Err(OpError::Unavailable { .. })));
    let differs = create(&rig, "w1", "bot").await.unwrap_err();
    assert!(differs.to_string().contains("service-1 states a different epoch"), "{differs}");
    assert_eq!(state(&rig, "w1").await, v1::wallet::State::Creating);
    create(&rig, "w1", "bot").await.unwrap();
    assert_eq!(state(&rig, "w1").await, v1::wallet::State::Active);
}

#[tokio::test]
async fn three_nodes_that_agree_on_something_else_make_no_wallet() {
    type Change = fn(&mut quorate_session::KeyStatement);
    let changes: [(&str, Change); 3] = [
        ("cluster", |statement| statement.cluster = "other".parse().unwrap()),
        ("wallet", |statement| statement.wallet = "other".parse().unwrap()),
        ("agent", |statement| statement.agent = "other".parse().unwrap()),
    ];
    for (field, change) in changes {
        let rig = Rig::new();
        for role in Role::ALL {
            rig.attach(role, &[Does::Attests(change)]);
        }
        let error = create(&rig, "w1", "bot").await.unwrap_err();
        assert!(error.to_string().ends_with(&format!("another {field}")), "{error}");
        assert_eq!(state(&rig, "w1").await, v1::wallet::State::Creating);
    }
}

#[tokio::test]
async fn a_policy_goes_up_and_out_and_a_refusal_is_told() {
    let rig = Rig::new();
    let operator = || caller(PeerRole::Operator);
    let (agent, service) = rig.attach_signers(&[], &[]);
    let applied = apply_policy(&rig.core, operator(), policy(2, "0.02")).await.unwrap();
    assert_eq!(applied.nodes, [node(Role::Agent), node(Role::Service)]);
    let record = applied.in_force.unwrap();
    assert_eq!((record.version, applied.waiting), (2, None));
    assert_eq!(
        (agent.documents(), service.documents()),
        (vec!["policy".to_owned()], vec!["policy".to_owned()])
    );
    let again = apply_policy(&rig.core, operator(), policy(2, "0.02")).await.unwrap();
    assert_eq!(again.in_force, Some(record), "the same again is no change");
    for (version, max) in [(1, "0.01"), (2, "0.03")] {
        let refused = apply_policy(&rig.core, operator(), policy(version, max)).await;
        assert!(matches!(refused, Err(OpError::Conflict { field: "policy", .. })), "{version}");
    }
    let mut forged = policy(3, "9");
    forged.body.extend_from_slice(b"\n");
    assert!(matches!(apply_policy(&rig.core, operator(), forged).await, Err(OpError::Invalid { .. })));

    rig.attach_refusing(Role::Service, &[], "its clock is wrong");
    let refused = apply_policy(&rig.core, operator(), policy(3, "0.02")).await.unwrap_err();
    assert!(refused.to_string().contains("service-1 refuses it: its clock is wrong"), "{refused}");
    let present = get_policy(&rig.core, wallet()).await.unwrap();
    let version = present.in_force.unwrap().version;
    assert_eq!((version, present.nodes), (3, vec![node(Role::Agent)]), "in force here and on the agent node");
}

#[tokio::test]
async fn a_silent_or_absent_node_does_not_hold_a_policy_up() {
    let rig = Rig::new();
    let (_silent, _frames) = {
        let (link, frames) = rig.core.nodes.new_link(node(Role::Agent));
        rig.core.nodes.attach(link.clone(), super::fake::about());
        (link, frames)
    };
    let applied = apply_policy(&rig.core, caller(PeerRole::Operator), policy(2, "0.02")).await.unwrap();
    assert!(applied.nodes.is_empty());
}

#[tokio::test]
async fn wallets_are_listed_in_pages() {
    let rig = Rig::new();
    for role in Role::ALL {
        rig.attach(role, &[]);
    }
    for name in ["c", "a", "b"] {
        create(&rig, name, "bot").await.unwrap();
    }
    let names = |page: &v1::ListWalletsResponse| -> Vec<String> {
        page.wallets.iter().map(|wallet| wallet.wallet.clone()).collect()
    };
    let first = list_wallets(&rig.core, 3, None).await.unwrap();
    assert_eq!((names(&first), first.next_after.as_str()), (vec!["a".into(), "b".into(), "c".into()], "c"));
    let last = list_wallets(&rig.core, 3, Some("c".parse().unwrap())).await.unwrap();
    assert_eq!(
        (names(&last), last.next_after.as_str(), last.wallets[0].policy_version),
        (vec!["w".into()], "", 1)
    );
    assert!(matches!(list_wallets(&rig.core, 1001, None).await, Err(OpError::Invalid { .. })));
}
