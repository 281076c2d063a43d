//! Versions only go up: against coordinators, files and restarts.

use super::*;
use crate::testing::{Cluster, memory, person, wallet};
use quorate_manifest::ManifestError;
use quorate_policy::PolicyError;
use quorate_store::{Aftermath, FailingStore};
use rand_core::OsRng;
use ssh_key::{Algorithm, PrivateKey};

fn version(documents: &Documents) -> u64 {
    documents.manifest().manifest().version()
}

#[test]
fn a_manifest_is_enrolled_once_and_wins_over_older_and_foreign_files() {
    let (cluster, store) = (Cluster::new(), memory());
    let first = cluster.manifest(1, |_| {});
    let second = cluster.manifest(2, |_| {});
    let documents = cluster.documents(Role::Agent, &store, first.clone()).unwrap();
    assert_eq!(version(&documents), 1);
    documents.put_manifest(&second).unwrap();
    assert_eq!(version(&documents), 2);
    drop(documents);

    // The file on disk is still, or again, the old one.
    let documents = cluster.documents(Role::Agent, &store, first.clone()).unwrap();
    assert_eq!(version(&documents), 2);
    let refused = documents.put_manifest(&first).err().unwrap();
    assert!(matches!(refused, DocumentsError::Manifest(ManifestError::Rollback { pinned: 2, offered: 1 })));
    drop(documents);

    // A later one that its operators did not sign.
    let mut stranger = Cluster::new();
    stranger.draft = cluster.draft.clone();
    let forged = stranger.manifest(3, |_| {});
    let documents = cluster.documents(Role::Agent, &store, forged.clone()).unwrap();
    assert_eq!(version(&documents), 2);
    assert!(documents.put_manifest(&forged).is_err());
    drop(documents);

    // A later one that they did sign.
    let documents = cluster.documents(Role::Agent, &store, cluster.manifest(3, |_| {})).unwrap();
    assert_eq!(version(&documents), 3);
    drop(documents);

    // No file at all.
    let gone = Offered { document: Err("gone".to_owned()), roots: Vec::new() };
    let clock = Arc::new(quorate_types::ManualClock::at(0));
    let documents = Documents::open(store, clock, cluster.expected(Role::Agent), gone).unwrap();
    assert_eq!(version(&documents), 3);
}

#[test]
fn the_first_manifest_needs_the_roots() {
    let (cluster, store) = (Cluster::new(), memory());
    let offered = Offered { roots: Vec::new(), ..cluster.offer(cluster.manifest(1, |_| {})) };
    let clock = Arc::new(quorate_types::ManualClock::at(0));
    let refused = Documents::open(store, clock, cluster.expected(Role::Agent), offered).err().unwrap();
    assert!(matches!(refused, DocumentsError::Manifest(ManifestError::Roots { got: 0, need: 1 })));
}

#[test]
fn a_manifest_that_does_not_fit_this_node_stops_the_start() {
    let cluster = Cluster::new();
    let start = |expected: Expected| {
        let clock = Arc::new(quorate_types::ManualClock::at(0));
        let offered = cluster.offer(cluster.manifest(1, |_| {}));
        Documents::open(memory(), clock, expected, offered).err().map(|error| error.to_string())
    };
    let good = || cluster.expected(Role::Service);
    assert_eq!(start(good()), None);
    let cases = [
        ("cluster", Expected { cluster: "prod".parse().unwrap(), ..good() }),
        ("dev", Expected { dev: false, ..good() }),
        ("key", Expected { key: cluster.keys[0].public(), ..good() }),
        ("configured as agent", Expected { role: Role::Agent, ..good() }),
        ("no service-2", Expected { me: "service-2".parse().unwrap(), ..good() }),
    ];
    for (words, expected) in cases {
        let refused = start(expected).unwrap_or_else(|| panic!("{words}: accepted"));
        assert!(refused.contains(words), "{words}: {refused}");
    }
}

#[test]
fn a_manifest_that_drops_this_node_is_not_put_in_force() {
    let (cluster, store) = (Cluster::new(), memory());
    // A node that is in no group, so that the group itself stays whole.
    let spare = |draft: &mut quorate_manifest::ManifestDraft| draft.groups.clear();
    let documents = cluster.documents(Role::Agent, &store, cluster.manifest(1, spare)).unwrap();
    let without = cluster.manifest(2, |draft| {
        draft.groups.clear();
        draft.nodes.remove(0);
    });
    assert!(matches!(documents.put_manifest(&without), Err(DocumentsError::NotOurs { field: "nodes", .. })));
    assert_eq!(version(&documents), 1);
}

#[test]
fn policies_only_go_up_also_across_a_restart() {
    let (cluster, store) = (Cluster::new(), memory());
    let manifest = cluster.manifest(1, |_| {});
    let documents = cluster.documents(Role::Service, &store, manifest.clone()).unwrap();
    assert!(documents.policy(&wallet("w")).is_none());
    documents.put_unguarded(&cluster.policy("w", 2, "25.00")).unwrap();
    // The same again is no change; a lower version and another of the same version are refused.
    documents.put_unguarded(&cluster.policy("w", 2, "25.00")).unwrap();
    let older = documents.put_unguarded(&cluster.policy("w", 1, "99.00")).err().unwrap();
    assert_eq!(older.to_string(), "policy of w: version: 1 is older than 2, which was seen");
    let fork = documents.put_unguarded(&cluster.policy("w", 2, "99.00")).err().unwrap();
    assert!(fork.to_string().contains("version: 2 was seen with another content"), "{fork}");
    let last = documents.put_unguarded(&cluster.policy("w", u64::MAX, "25.00")).err().unwrap();
    assert!(last.to_string().contains("leaps too far ahead of 2"), "{last}");
    assert!(documents.put_unguarded(&Cluster::new().policy("w", 3, "99.00")).is_err(), "not our operator");
    assert_eq!(documents.policy(&wallet("w")).unwrap().version(), 2);
    drop(documents);

    let documents = cluster.documents(Role::Service, &store, manifest).unwrap();
    assert_eq!(documents.policy(&wallet("w")).unwrap().version(), 2);
    assert!(documents.put_unguarded(&cluster.policy("w", 1, "99.00")).is_err());
    documents.put_unguarded(&cluster.policy("w", 3, "1.00")).unwrap();
    assert_eq!(documents.policy(&wallet("w")).unwrap().version(), 3);
    assert!(documents.policy(&wallet("v")).is_none());
}

#[test]
fn a_policy_outlives_its_signer_who_signs_no_other() {
    let (cluster, store) = (Cluster::new(), memory());
    let manifest = cluster.manifest(1, |_| {});
    let documents = cluster.documents(Role::Service, &store, manifest.clone()).unwrap();
    let policy = cluster.policy("w", 2, "25.00");
    documents.put_unguarded(&policy).unwrap();
    let mut next = Cluster::new();
    next.operator = PrivateKey::random(&mut OsRng, Algorithm::Ed25519).unwrap();
    let replaced = cluster.manifest(2, |draft| draft.operators = vec![person("nina", &next.operator)]);
    documents.put_manifest(&replaced).unwrap();
    drop(documents);

    let documents = cluster.documents(Role::Service, &store, manifest).unwrap();
    assert_eq!(documents.policy(&wallet("w")).unwrap().version(), 2);
    // A coordinator that tells it again changes nothing, and is not told no.
    assert_eq!(documents.put_unguarded(&policy).unwrap().version(), 2);
    assert!(
        documents.put_unguarded(&cluster.policy("w", 3, "99.00")).is_err(),
        "olga is no operator any more"
    );
    let older = documents.put_unguarded(&next.policy("w", 1, "25.00")).err().unwrap();
    assert!(matches!(
        older,
        DocumentsError::Succession { reason: PolicyError::Rollback { present: 2, offered: 1 }, .. }
    ));
    documents.put_unguarded(&next.policy("w", 3, "1.00")).unwrap();
    assert_eq!(documents.policy(&wallet("w")).unwrap().version(), 3);
}

#[test]
fn a_cold_node_takes_no_policy() {
    let (cluster, store) = (Cluster::new(), memory());
    let documents = cluster.documents(Role::Cold, &store, cluster.manifest(1, |_| {})).unwrap();
    assert!(matches!(documents.put_unguarded(&cluster.policy("w", 1, "1.00")), Err(DocumentsError::Cold)));
    assert!(documents.policy(&wallet("w")).is_none());
}

#[test]
fn what_is_not_synced_is_not_in_force() {
    let cluster = Cluster::new();
    let failing = Arc::new(FailingStore::new(memory()));
    let store: Arc<dyn Store> = Arc::clone(&failing) as Arc<dyn Store>;
    let documents = cluster.documents(Role::Service, &store, cluster.manifest(1, |_| {})).unwrap();
    failing.fail_commit_after(0, Aftermath::Lost);
    let refused = documents.put_unguarded(&cluster.policy("w", 1, "1.00")).err().unwrap();
    assert!(matches!(&refused, DocumentsError::Store(error) if error.is_fatal()), "{refused}");
    assert!(documents.policy(&wallet("w")).is_none());
}

#[test]
fn every_change_is_in_the_log() {
    let (cluster, store) = (Cluster::new(), memory());
    let documents = cluster.documents(Role::Service, &store, cluster.manifest(1, |_| {})).unwrap();
    documents.put_manifest(&cluster.manifest(2, |_| {})).unwrap();
    documents.put_unguarded(&cluster.policy("w", 1, "1.00")).unwrap();
    documents.put_unguarded(&cluster.policy("w", 1, "1.00")).unwrap();
    assert_eq!(quorate_audit::verify(&*store).unwrap().sequence, 3);
}
