//! A node comes back from its backup, and signs nothing before its operators say what it forgot.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use quorate_manifest::Namespace;
use quorate_node::{RestoreFiles, readmit, restore};
use quorate_proto::v1::sign_response::Outcome;
use quorate_tests::{Cluster, FRIEND, WALLET, World, golden, policy_yaml, transfer, usdc};
use quorate_types::{Role, SystemClock};

use crate::bench::back_up;

const NOWHERE: &str = "127.0.0.1:1";

fn service(world: &World) -> quorate_node::Config {
    world.node(Role::Service, NOWHERE.parse().unwrap())
}

fn try_restore(world: &World, backup: &str, identity: &str) -> Result<quorate_node::RestoreReport, String> {
    let (backup, identity) = (world.path(backup), world.path(identity));
    let files = RestoreFiles {
        backup: &backup,
        identity: &identity,
        pin: None,
        readmission: &world.path("readmission.yaml"),
    };
    restore(&service(world), &files, Arc::new(SystemClock)).map_err(|error| error.to_string())
}

/// The operators put their numbers into the draft, sign it, and the node is shown it.
fn try_readmit(
    world: &World,
    body: &str,
    namespace: Namespace,
) -> Result<quorate_node::ReadmitReport, String> {
    let (document, signature): (PathBuf, PathBuf) = (world.path("said.yaml"), world.path("said.sig"));
    fs::write(&document, body).unwrap();
    fs::write(&signature, world.sign(body.as_bytes(), namespace)).unwrap();
    readmit(&service(world), &document, &[signature], Arc::new(SystemClock))
        .map_err(|error| error.to_string())
}

fn lost() -> World {
    let world = golden().world();
    back_up(&world, 1);
    fs::remove_dir_all(world.path("service/data")).unwrap();
    world
}

async fn refusal(cluster: &Cluster, key: &str) -> String {
    format!("{:?}", cluster.sign(WALLET, &transfer(FRIEND, usdc(1), 1), key).await.unwrap_err())
}

#[test]
fn a_restored_node_signs_once_its_operators_have_said_what_came_last() {
    let world = lost();
    let report = try_restore(&world, "backup/service", "recovery.key").unwrap();
    assert_eq!((report.shares, report.groups), (1, 1));
    let runtime = tokio::runtime::Runtime::new().unwrap();

    // Nobody has acknowledged it: no signature, no key.
    let world = runtime.block_on(async {
        let cluster = Cluster::start(world).await;
        let refused = refusal(&cluster, "one").await;
        assert!(refused.contains("restored from a backup"), "{refused}");
        let refused = format!("{:?}", cluster.create_wallet("wallet-2").await.unwrap_err());
        assert!(refused.contains("restored from a backup"), "{refused}");
        cluster.stop().await
    });

    // The draft as it is says nothing, and is refused; so is what is not signed for this, or about another restore.
    let draft = fs::read_to_string(world.path("readmission.yaml")).unwrap();
    let wait = draft.lines().find(|line| line.starts_with("sign_from_ms")).unwrap().to_owned();
    let after = report.restored_at_ms + 31 * 24 * 60 * 60 * 1000;
    assert_eq!(wait, format!("sign_from_ms: {after}"), "as long as any limit may look back");
    let said = draft.replace("wallet-1: 0", "wallet-1: 2").replace(&wait, "sign_from_ms: 1");
    let other = said.replace(&report.restore.to_string(), &format!("0x{}", "11".repeat(32)));
    assert_ne!(other, said);
    for (body, namespace, words) in [
        (&draft, Namespace::Readmission, "policies.wallet-1: must be the version"),
        (&said, Namespace::Policy, "namespace"),
        (&other, Namespace::Readmission, "none for the next"),
        (&said.replace("service-1", "agent-1"), Namespace::Readmission, "this node is service-1"),
        (&said.replace("wallet-1", "wallet-9"), Namespace::Readmission, "was not restored"),
        (&said.replace("freezes: {}", "freezes: {moon: 1}"), Namespace::Readmission, "freezes.moon"),
    ] {
        let refused = try_readmit(&world, body, namespace).unwrap_err();
        assert!(refused.contains(words), "{words}: {refused}");
    }
    let readmitted = try_readmit(&world, &said, Namespace::Readmission).unwrap();
    assert_eq!((readmitted.wallets, readmitted.unnamed), (1, 0));

    // An owned coordinator holds the last policy back: the node knows that there is a later one.
    runtime.block_on(async {
        let cluster = Cluster::start(world).await;
        let refused = refusal(&cluster, "two").await;
        assert!(refused.contains("policy 1 of wallet-1, not yet 2"), "{refused}");
        cluster.apply_policy(&cluster.world.policy(&policy_yaml(2, "5.00"))).await.unwrap();
        let signed = cluster.sign(WALLET, &transfer(FRIEND, usdc(1), 1), "three").await.unwrap();
        assert!(matches!(signed.outcome, Some(Outcome::Signed(_))), "{signed:?}");
        cluster.stop().await;
    });
}

#[test]
fn a_readmission_makes_it_wait_for_time_and_freezes() {
    let world = lost();
    try_restore(&world, "backup/service", "recovery.key").unwrap();
    let draft = fs::read_to_string(world.path("readmission.yaml")).unwrap();
    let said = draft.replace("wallet-1: 0", "wallet-1: 1");
    try_readmit(&world, &said, Namespace::Readmission).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(async {
        let cluster = Cluster::start(world).await;
        let refused = refusal(&cluster, "one").await;
        assert!(refused.contains("signs from Unix millisecond"), "{refused}");
        cluster.stop().await
    });
    // A later one demands more, and never less: the wait stays.
    let wait = draft.lines().find(|line| line.starts_with("sign_from_ms")).unwrap();
    let less = said.replace(wait, "sign_from_ms: 1").replace("freezes: {}", "freezes: {all: 4}");
    try_readmit(&world, &less, Namespace::Readmission).unwrap();
    runtime.block_on(async {
        let cluster = Cluster::start(world).await;
        let refused = refusal(&cluster, "two").await;
        assert!(refused.contains("signs from Unix millisecond"), "{refused}");
        cluster.stop().await;
    });
    // Another restore of the same backup, with the freeze alone.
    let world = lost();
    try_restore(&world, "backup/service", "recovery.key").unwrap();
    let draft = fs::read_to_string(world.path("readmission.yaml")).unwrap();
    let wait = draft.lines().find(|line| line.starts_with("sign_from_ms")).unwrap();
    let said = draft.replace("wallet-1: 0", "wallet-1: 1").replace(wait, "sign_from_ms: 1");
    try_readmit(&world, &said.replace("freezes: {}", "freezes: {all: 4}"), Namespace::Readmission).unwrap();
    runtime.block_on(async {
        let cluster = Cluster::start(world).await;
        let refused = refusal(&cluster, "three").await;
        assert!(refused.contains("not yet seen freeze order 4 for all"), "{refused}");
        cluster.stop().await;
    });
}

#[test]
fn what_is_not_this_nodes_whole_backup_is_refused_and_nothing_is_written() {
    let world = lost();
    let refused = |backup: &str, identity: &str, words: &[&str]| {
        let error = try_restore(&world, backup, identity).unwrap_err();
        for word in words {
            assert!(error.contains(word), "{word}: {error}");
        }
        assert!(!world.path("service/data").exists() && !world.path("readmission.yaml").exists(), "{error}");
    };
    refused("backup/agent", "recovery.key", &["identity.age", "another node's"]);
    fs::write(world.path("other.key"), "nonsense").unwrap();
    refused("backup/service", "other.key", &["other.key", "age identity"]);
    refused("backup/nothing", "recovery.key", &["backup/nothing"]);
    for ending in [".share.age", ".aux.age", "identity.age", "index.jsonl"] {
        let mut files =
            fs::read_dir(world.path("backup/service")).unwrap().map(|entry| entry.unwrap().path());
        let file = files.find(|path| path.to_str().unwrap().ends_with(ending)).unwrap();
        let whole = fs::read(&file).unwrap();
        fs::write(&file, &whole[..whole.len() / 2]).unwrap();
        refused("backup/service", "recovery.key", &[file.file_name().unwrap().to_str().unwrap()]);
        fs::remove_file(&file).unwrap();
        refused("backup/service", "recovery.key", &[file.file_name().unwrap().to_str().unwrap()]);
        fs::write(&file, whole).unwrap();
    }
    // A node that is there is not overwritten; nor is one that was just restored.
    try_restore(&world, "backup/service", "recovery.key").unwrap();
    let again = try_restore(&world, "backup/service", "recovery.key").unwrap_err();
    assert!(again.contains("not empty"), "{again}");
    let never =
        try_readmit(&golden().world(), "readmission: quorate/v1\n", Namespace::Readmission).unwrap_err();
    assert!(never.contains("never restored"), "{never}");
}
