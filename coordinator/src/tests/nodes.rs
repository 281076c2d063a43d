use std::time::Duration;

use quorate_proto::v1;
use quorate_transport::{PeerRole, SpiffeId};
use quorate_types::Role;

use super::rig::{Rig, node};
use crate::access::Caller;
use crate::attach::{check_hello, tell_missed};
use crate::error::OpError;
use crate::ops::list_nodes::list_nodes;

fn hello(rig: &Rig) -> v1::Hello {
    v1::Hello {
        node: "agent-1".to_owned(),
        boot_id: vec![1; 16],
        software_version: "0.1.0".to_owned(),
        manifest_version: 1,
        manifest_hash: rig.manifest_record().hash.to_vec(),
        primes_ready: 2,
    }
}

fn as_node(id: &str) -> Caller {
    Caller(SpiffeId::new("demo".parse().unwrap(), PeerRole::Node, id).unwrap())
}

#[tokio::test]
async fn a_hello_must_match_certificate_and_manifest() {
    let rig = Rig::new();
    let check = |caller: Caller, hello| check_hello(&rig.core, &caller, hello);
    let (name, about) = check(as_node("agent-1"), hello(&rig)).unwrap();
    assert_eq!((name, about.primes_ready), (node(Role::Agent), 2));
    assert!(matches!(check(as_node("service-1"), hello(&rig)), Err(OpError::Forbidden(_))));
    let operator = Caller(SpiffeId::new("demo".parse().unwrap(), PeerRole::Operator, "agent-1").unwrap());
    assert!(matches!(check(operator, hello(&rig)), Err(OpError::Forbidden(_))));
    let stranger = v1::Hello { node: "agent-9".to_owned(), ..hello(&rig) };
    assert!(matches!(check(as_node("agent-9"), stranger), Err(OpError::Forbidden(_))));
    let forked = v1::Hello { manifest_hash: vec![0; 32], ..hello(&rig) };
    assert!(matches!(check(as_node("agent-1"), forked), Err(OpError::Conflict { .. })));
    let behind = v1::Hello { manifest_version: 0, manifest_hash: vec![], ..hello(&rig) };
    assert!(check(as_node("agent-1"), behind).is_ok(), "it is told the manifest next");
    let no_boot = v1::Hello { boot_id: vec![1; 15], ..hello(&rig) };
    assert!(
        matches!(check(as_node("agent-1"), no_boot), Err(OpError::Invalid { field, .. }) if field == "hello.boot_id")
    );
}

#[tokio::test]
async fn every_node_of_the_manifest_is_listed() {
    let rig = Rig::new();
    rig.attach(Role::Service, &[]);
    let listed = list_nodes(&rig.core);
    let attached: Vec<_> = listed.nodes.iter().map(|node| (node.node.as_str(), node.attached)).collect();
    assert_eq!(attached, [("agent-1", false), ("service-1", true), ("cold-1", false)]);
    assert_eq!(listed.manifest_version, 1);
}

#[tokio::test]
async fn a_node_is_told_what_it_missed_of_its_own() {
    for (role, version, expected) in [
        (Role::Agent, 0, &["manifest", "activation of w", "policy"][..]),
        (Role::Service, 1, &["activation of w", "policy"]),
        (Role::Cold, 1, &["activation of w"]),
    ] {
        let rig = Rig::new();
        let fake = rig.attach(role, &[]);
        let link = rig.core.nodes.link(&node(role)).unwrap();
        tell_missed(&rig.core, &link, version).await.unwrap();
        tokio::time::timeout(Duration::from_secs(5), async {
            while fake.documents().len() < expected.len() {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
        assert_eq!(fake.documents(), expected, "{role}");
    }
}
