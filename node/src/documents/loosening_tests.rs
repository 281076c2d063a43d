//! Loosening: late, by two, by this node's own clock and disk, and not at all after a freeze.

use quorate_manifest::{Namespace, SignedDocument};

use super::*;
use crate::testing::{Cluster, memory, person, wallet};
use quorate_session::WalletTerms;
use rand_core::OsRng;
use ssh_key::{Algorithm, PrivateKey};

const DELAY_S: u32 = 60;
const DELAY_MS: u64 = 60_000;

/// A cluster of two operators, and a node of it.
struct Rig {
    cluster: Cluster,
    second: PrivateKey,
    store: Arc<dyn Store>,
}

fn guarded(_: &WalletId) -> Result<Option<Created>, DocumentsError> {
    let terms = WalletTerms { loosening_delay_s: Some(DELAY_S), ..WalletTerms::default() };
    Ok(Some(Created { terms, agent: "bot".parse().unwrap() }))
}

/// What became of it: nothing where it is in force, or until when it waits.
fn put(documents: &Documents, policy: &SignedDocument) -> Result<Option<u64>, String> {
    match documents.put_policy(policy, guarded) {
        Ok(Put::InForce(_)) => Ok(None),
        Ok(Put::Waits { until, .. }) => Ok(Some(until)),
        Err(error) => Err(error.to_string()),
    }
}

fn version(documents: &Documents) -> u64 {
    documents.policy(&wallet("w")).map_or(0, |policy| policy.version())
}

impl Rig {
    fn new() -> Self {
        let second = PrivateKey::random(&mut OsRng, Algorithm::Ed25519).unwrap();
        let mut cluster = Cluster::new();
        cluster.draft.operators.push(person("otto", &second));
        Self { cluster, second, store: memory() }
    }

    /// A node as after a start, with version 1 in force.
    fn documents(&self) -> Documents {
        let documents = self.cluster.documents(Role::Service, &self.store, self.cluster.manifest(1, |_| {}));
        let documents = documents.unwrap();
        if version(&documents) == 0 {
            assert_eq!(put(&documents, &self.both(1, "1.00")), Ok(None));
        }
        documents
    }

    /// Signed by both operators.
    fn both(&self, version: u64, max: &str) -> SignedDocument {
        let mut document = self.cluster.policy("w", version, max);
        let more = quorate_manifest::sign(&document.body, Namespace::Policy, &self.second).unwrap();
        document.signatures.push(more);
        document
    }

    fn pass(&self, ms: u64) {
        self.cluster.clock.advance(ms);
    }

    fn set_back(&self, ms: u64) {
        // It adds on a circle.
        self.cluster.clock.advance(0u64.wrapping_sub(ms));
    }
}

#[test]
fn tightening_takes_effect_at_once_and_with_one_signature() {
    let rig = Rig::new();
    let documents = rig.documents();
    assert_eq!(put(&documents, &rig.cluster.policy("w", 2, "0.50")), Ok(None));
    assert_eq!(version(&documents), 2);
}

#[test]
fn loosening_waits_by_this_nodes_clock_however_often_it_is_shown() {
    let rig = Rig::new();
    let documents = rig.documents();
    let (looser, seen) = (rig.both(2, "2.00"), rig.cluster.clock.now());
    assert_eq!(put(&documents, &looser), Ok(Some(seen + DELAY_MS)));
    for _ in 0..3 {
        rig.pass(DELAY_MS / 4);
        assert_eq!(
            put(&documents, &looser),
            Ok(Some(seen + DELAY_MS)),
            "showing it again starts nothing anew"
        );
        assert_eq!(version(&documents), 1);
    }
    rig.pass(DELAY_MS / 4 - 1);
    assert_eq!(put(&documents, &looser), Ok(Some(seen + DELAY_MS)), "to the millisecond");
    rig.pass(1);
    assert_eq!(version(&documents), 1, "not by itself: only what is shown can be refused");
    assert_eq!(put(&documents, &looser), Ok(None));
    assert_eq!(version(&documents), 2);
    let kinds: Vec<_> = quorate_audit::entries(&*rig.store, 1, 100).unwrap();
    let kinds: Vec<_> =
        kinds.iter().map(|entry| entry.kind.as_str()).filter(|kind| kind.starts_with("policy")).collect();
    assert_eq!(kinds, ["policy.enforced", "policy.waiting", "policy.enforced"]);
}

#[test]
fn one_operator_loosens_nothing_also_by_signing_twice() {
    let rig = Rig::new();
    let documents = rig.documents();
    let mut alone = rig.cluster.policy("w", 2, "2.00");
    let refused = put(&documents, &alone).unwrap_err();
    assert!(refused.contains("2 operators must sign that, 1 did; still to sign: one of otto"), "{refused}");
    alone.signatures.push(alone.signatures[0].clone());
    assert!(put(&documents, &alone).is_err(), "one signature twice");
    alone.signatures.pop();
    let again = quorate_manifest::sign(&alone.body, Namespace::Policy, &rig.cluster.operator).unwrap();
    alone.signatures.push(again);
    assert!(put(&documents, &alone).is_err(), "two signatures by one key");
    rig.pass(10 * DELAY_MS);
    assert_eq!(version(&documents), 1);
    // It was never noted, so its time did not run.
    assert_eq!(put(&documents, &rig.both(2, "2.00")), Ok(Some(rig.cluster.clock.now() + DELAY_MS)));
}

#[test]
fn a_restart_forgets_nothing_and_a_clock_set_back_only_makes_it_wait_longer() {
    let rig = Rig::new();
    let documents = rig.documents();
    rig.pass(10 * DELAY_MS);
    let (looser, seen) = (rig.both(2, "2.00"), rig.cluster.clock.now());
    assert_eq!(put(&documents, &looser), Ok(Some(seen + DELAY_MS)));
    drop(documents);
    let documents = rig.documents();
    assert_eq!(version(&documents), 1);
    rig.set_back(5 * DELAY_MS);
    assert_eq!(put(&documents, &looser), Ok(Some(seen + DELAY_MS)));
    drop(documents);
    let documents = rig.documents();
    rig.pass(2 * DELAY_MS);
    assert_eq!(put(&documents, &looser), Ok(Some(seen + DELAY_MS)), "what was waited through is not counted");
    assert_eq!(version(&documents), 1);
    let fork = put(&documents, &rig.both(2, "3.00")).unwrap_err();
    assert!(fork.contains("another content"), "{fork}");
    rig.pass(4 * DELAY_MS);
    assert_eq!(put(&documents, &looser), Ok(None));
    drop(documents);
    assert_eq!(version(&rig.documents()), 2);
}

#[test]
fn a_tighter_policy_takes_the_place_of_what_waits_for_ever() {
    let rig = Rig::new();
    let documents = rig.documents();
    let looser = rig.both(2, "2.00");
    put(&documents, &looser).unwrap();
    assert_eq!(put(&documents, &rig.cluster.policy("w", 3, "0.90")), Ok(None));
    rig.pass(10 * DELAY_MS);
    for documents in [documents, rig.documents()] {
        assert!(put(&documents, &looser).unwrap_err().contains("older than 3"));
        assert_eq!(version(&documents), 3);
    }
}

#[test]
fn another_that_loosens_begins_its_own_time() {
    let rig = Rig::new();
    let documents = rig.documents();
    put(&documents, &rig.both(2, "9.00")).unwrap();
    rig.pass(DELAY_MS / 2);
    let (next, seen) = (rig.both(3, "2.00"), rig.cluster.clock.now());
    assert_eq!(put(&documents, &next), Ok(Some(seen + DELAY_MS)));
    rig.pass(DELAY_MS / 2);
    assert_eq!(put(&documents, &next), Ok(Some(seen + DELAY_MS)), "not that of the one before it");
    assert!(put(&documents, &rig.both(2, "9.00")).unwrap_err().contains("older than 3"));
}

#[test]
fn a_freeze_that_comes_while_it_waits_ends_it_also_once_lifted() {
    let rig = Rig::new();
    let documents = rig.documents();
    let looser = rig.both(2, "2.00");
    put(&documents, &looser).unwrap();
    documents.put_freeze(&rig.cluster.freeze(1, "freeze")).unwrap();
    documents.put_freeze(&rig.cluster.freeze(2, "unfreeze")).unwrap();
    rig.pass(10 * DELAY_MS);
    for documents in [documents, rig.documents()] {
        let refused = put(&documents, &looser).unwrap_err();
        assert!(refused.contains("a freeze order came while version 2 waited"), "{refused}");
        assert_eq!(version(&documents), 1);
    }
    let documents = rig.documents();
    let seen = rig.cluster.clock.now();
    assert_eq!(put(&documents, &rig.both(3, "2.00")), Ok(Some(seen + DELAY_MS)), "a higher version may");
}

#[test]
fn who_signed_must_still_be_an_operator_when_the_time_is_over() {
    let rig = Rig::new();
    let documents = rig.documents();
    let looser = rig.both(2, "2.00");
    put(&documents, &looser).unwrap();
    let without = rig.cluster.manifest(2, |draft| {
        draft.operators.pop();
    });
    documents.put_manifest(&without).unwrap();
    rig.pass(10 * DELAY_MS);
    assert!(put(&documents, &looser).is_err(), "otto left");
    assert_eq!(version(&documents), 1);
}

#[test]
fn the_first_policy_takes_two_operators_and_a_later_one_shown_first_waits() {
    let rig = Rig::new();
    let documents = rig.cluster.documents(Role::Agent, &rig.store, rig.cluster.manifest(1, |_| {})).unwrap();
    assert!(put(&documents, &rig.cluster.policy("w", 1, "1.00")).is_err(), "one operator alone");
    let later = rig.both(7, "9.00");
    assert_eq!(put(&documents, &later), Ok(Some(rig.cluster.clock.now() + DELAY_MS)));
    assert_eq!(version(&documents), 0, "nothing is signed meanwhile");
    rig.pass(DELAY_MS);
    assert_eq!(put(&documents, &later), Ok(None));
    assert_eq!(version(&documents), 7);
}

#[test]
fn what_came_before_the_wallet_was_known_is_forgotten_with_its_activation() {
    let rig = Rig::new();
    let documents = rig.cluster.documents(Role::Agent, &rig.store, rig.cluster.manifest(1, |_| {})).unwrap();
    documents.put_unguarded(&rig.cluster.policy("w", 5, "9.00")).unwrap();
    assert_eq!(version(&documents), 5);
    let done = documents.begin_guarded(&wallet("w"), |_| Ok::<_, DocumentsError>(7)).unwrap();
    assert_eq!((done.0, version(&documents)), (7, 0));
    drop(documents);
    let documents = rig.cluster.documents(Role::Agent, &rig.store, rig.cluster.manifest(1, |_| {})).unwrap();
    assert_eq!(version(&documents), 0);
    // An activation that fails forgets nothing.
    documents.put_unguarded(&rig.cluster.policy("w", 1, "1.00")).unwrap();
    let failed = documents.begin_guarded(&wallet("w"), |_| Err::<(), _>(DocumentsError::Cold));
    assert!(failed.is_err() && version(&documents) == 1);
}

#[test]
fn a_loosening_that_is_not_synced_is_not_noted() {
    let rig = Rig::new();
    let failing = Arc::new(quorate_store::FailingStore::new(Arc::clone(&rig.store)));
    let store: Arc<dyn Store> = Arc::clone(&failing) as Arc<dyn Store>;
    let documents = rig.cluster.documents(Role::Service, &store, rig.cluster.manifest(1, |_| {})).unwrap();
    put(&documents, &rig.both(1, "1.00")).unwrap();
    failing.fail_commit_after(0, quorate_store::Aftermath::Lost);
    let refused = documents.put_policy(&rig.both(2, "2.00"), guarded).err().unwrap();
    assert!(matches!(refused, DocumentsError::Store(_)), "{refused}");
    assert!(documents.policies.read().unwrap().values().all(|held| held.in_force().is_some()));
}
