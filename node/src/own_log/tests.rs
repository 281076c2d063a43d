//! What a node believes of its own log, and of whom.

use std::sync::Arc;

use prost::Message;
use quorate_proto::v1;
use quorate_session::{LogCheckpoint, Note};
use quorate_store::{Store, update};
use quorate_types::{B256, Role};

use super::{in_known_hands, latest, show, witnessed};
use crate::node::Node;
use crate::restored::Mark;
use crate::sessions::SessionError;
use crate::testing::{Cluster, cosigned_log, log_more, memory, shown_log};
use crate::witness;

/// The service node over `store`, with more entries.
fn service(cluster: &Cluster, store: &Arc<dyn Store>, entries: u64) -> Arc<Node> {
    let service = cluster.node(Role::Service, store);
    log_more(&service, entries, "x");
    service
}

/// Its present checkpoint, cosigned by another.
fn cosigned(owner: &Node, by: &Node, from: u64) -> v1::LogNote {
    let shown = shown_log(owner, from);
    cosigned_log(&shown, by, &witness::run(by, &shown))
}

fn kept(node: &Node) -> Option<u64> {
    latest(&*node.store).unwrap().map(|note| note.checkpoint.size)
}

fn refusal(node: &Node) -> Option<String> {
    match node.own_log.check() {
        Ok(()) => None,
        Err(SessionError::Caller { field: "log", reason }) => Some(reason),
        Err(other) => panic!("{other}"),
    }
}

fn signed_by(nodes: &[&Node], origin: &str, (size, root): (u64, B256)) -> v1::LogNote {
    let checkpoint = LogCheckpoint { origin: origin.to_owned(), size, root };
    let mut note = Note::new(checkpoint.clone());
    for node in nodes {
        note.push(&node.cluster, (&node.me, &node.key.public()), node.key.cosign(&checkpoint, 7));
    }
    v1::LogNote { note: note.to_string() }
}

#[test]
fn the_latest_that_others_cosigned_is_kept_and_outlives_a_restart() {
    let (cluster, store) = (Cluster::new(), memory());
    let [agent, cold] = [Role::Agent, Role::Cold].map(|role| cluster.node(role, &memory()));
    let node = service(&cluster, &store, 4);
    assert_eq!(kept(&node), None);
    let first = cosigned(&node, &agent, 0);
    witnessed(&node, &first);
    let size = kept(&node).unwrap();
    assert_eq!(size, quorate_audit::head(&*store).unwrap().sequence);
    // Of the same size by more of them, of a larger one by fewer, and none of that again.
    let shown = shown_log(&node, 0);
    let mut both = Note::parse(&cosigned_log(&shown, &agent, &witness::run(&agent, &shown)).note).unwrap();
    let by_cold = Note::parse(&cosigned_log(&shown, &cold, &witness::run(&cold, &shown)).note).unwrap();
    let line = by_cold.cosignature(&cold.cluster, (&cold.me, &cold.key.public())).unwrap().unwrap();
    both.push(&cold.cluster, (&cold.me, &cold.key.public()), line);
    witnessed(&node, &v1::LogNote { note: both.to_string() });
    assert_eq!(latest(&*store).unwrap(), Some(both));
    // A line that nobody can check today, by whoever may be in the manifest tomorrow, is not kept.
    let stranger = Cluster::new().node(Role::Cold, &memory());
    let name: quorate_types::NodeId = "cold-2".parse().unwrap();
    let mut with = Note::parse(&first.note).unwrap();
    let other = LogCheckpoint { size: 1, ..with.checkpoint.clone() };
    with.push(&node.cluster, (&name, &stranger.key.public()), stranger.key.cosign(&other, 7));
    assert_eq!(in_known_hands(&node, &with).unwrap().to_string(), first.note);
    log_more(&node, 3, "x");
    let later = cosigned(&node, &agent, size);
    witnessed(&node, &later);
    witnessed(&node, &first);
    assert_eq!(kept(&node), Some(size + 3));
    drop(node);
    let node = cluster.node(Role::Service, &store);
    assert_eq!((kept(&node), refusal(&node)), (Some(size + 3), None));
}

#[test]
fn a_node_that_signed_a_later_log_once_signs_nothing_any_more() {
    let cluster = Cluster::new();
    let agent = cluster.node(Role::Agent, &memory());
    let newest = service(&cluster, &memory(), 9);
    let seen = cosigned(&newest, &agent, 0);
    let entries = Note::parse(&seen.note).unwrap().checkpoint.size;
    for grown in [0, 6, 12] {
        let store = memory();
        let older = service(&cluster, &store, 3);
        log_more(&older, grown, "y");
        assert_eq!(refusal(&older), None);
        witnessed(&older, &seen);
        let reason = refusal(&older).unwrap();
        assert!(reason.starts_with(&format!("another node cosigned {entries} entries")), "{reason}");
        let last = quorate_audit::entries(&*store, 1, 1000).unwrap().pop().unwrap();
        assert_eq!(last.kind, "node.rolled_back");
        drop(older);
        let older = cluster.node(Role::Service, &store);
        assert_eq!(refusal(&older), Some(reason.clone()), "after a restart");
        let shown = show(&older, &v1::AskLog::default());
        assert_eq!((shown.refused, shown.note.as_str()), (reason, ""), "and it vouches for nothing");
    }
    witnessed(&newest, &seen);
    assert_eq!((refusal(&newest), kept(&newest)), (None, Some(entries)), "the newest is none the worse");
}

#[test]
fn a_restore_is_no_step_back_and_the_way_back_from_one_is() {
    let (cluster, store) = (Cluster::new(), memory());
    let agent = cluster.node(Role::Agent, &memory());
    let lost = service(&cluster, &memory(), 9);
    let seen = cosigned(&lost, &agent, 0);
    let _synced = update(&*store, |txn| Mark::new(B256::ZERO, 1_700_000_000_000).write(txn)).unwrap();
    let restored = service(&cluster, &store, 2);
    witnessed(&restored, &seen);
    assert_eq!((refusal(&restored), kept(&restored)), (None, None), "of the log before");
    let seen = cosigned(&restored, &agent, 0);
    witnessed(&restored, &seen);
    assert!(kept(&restored).is_some());
    witnessed(&lost, &seen);
    assert!(refusal(&lost).is_some(), "the machine that was given up, back again");
}

#[test]
fn a_coordinator_can_make_up_nothing() {
    let cluster = Cluster::new();
    let [agent, cold] = [Role::Agent, Role::Cold].map(|role| cluster.node(role, &memory()));
    let node = service(&cluster, &memory(), 4);
    let (origin, end) = ("quorate/dev/service-1", (900, B256::ZERO));
    let stranger = Cluster::new();
    let (its_node, its_agent) =
        (stranger.node(Role::Service, &memory()), stranger.node(Role::Agent, &memory()));
    let good = cosigned(&node, &agent, 0).note;
    for (what, brought) in [
        ("nothing", v1::LogNote::default()),
        ("no note", v1::LogNote { note: "quorate/dev/service-1\n900\n".to_owned() }),
        ("longer than any", v1::LogNote { note: "x".repeat(1 << 20) }),
        ("others alone", signed_by(&[&agent, &cold], origin, end)),
        ("this node alone", signed_by(&[&node], origin, end)),
        ("the keys of another cluster of these names", signed_by(&[&its_node, &its_agent], origin, end)),
        ("this node with a stranger", signed_by(&[&node, &its_agent], origin, end)),
        ("another node's log", signed_by(&[&node, &agent], "quorate/dev/agent-1", end)),
        ("another cluster's", signed_by(&[&node, &agent], "quorate/prod/service-1", end)),
        ("a coordinator's", signed_by(&[&node, &agent], "quorate/dev/coordinator-1", end)),
        ("a later one under the old lines", v1::LogNote { note: good.replace("\n5\n", "\n900\n") }),
    ] {
        witnessed(&node, &brought);
        assert_eq!((refusal(&node), kept(&node)), (None, None), "{what}");
    }
    assert!(good.contains("\n5\n"), "{good}");
    // One bit away from a good one, of a later log than this.
    let lost = signed_by(&[&node, &agent], origin, end).encode_to_vec();
    for at in 0..lost.len() {
        let mut bent = lost.clone();
        bent[at] ^= 1 << (at % 8);
        let Ok(bent) = v1::LogNote::decode(bent.as_slice()) else { continue };
        witnessed(&node, &bent);
        assert_eq!((refusal(&node), kept(&node)), (None, None), "{}", bent.note);
    }
}

#[test]
fn a_node_shows_what_its_tree_has_and_nothing_else() {
    let cluster = Cluster::new();
    let node = cluster.node(Role::Service, &memory());
    let ask = |from, size| show(&node, &v1::AskLog { from, size });
    assert_eq!(ask(0, 0), v1::NodeLog::default(), "no tree yet");
    log_more(&node, 6, "x");
    let latest = ask(3, 0);
    let size = Note::parse(&latest.note).unwrap().checkpoint.size;
    assert!(!latest.proof.is_empty() && latest.head.len() == 32);
    let proof = ask(3, size);
    assert_eq!((proof.note.as_str(), &proof.proof), ("", &latest.proof), "no second signature for a proof");
    for (from, size) in [(0, size + 1), (0, u64::MAX), (u64::MAX, size + 1)] {
        let empty = v1::NodeLog { from, size, ..Default::default() };
        assert_eq!(ask(from, size), empty);
    }
    assert!(ask(size + 1, size).proof.is_empty());
}
