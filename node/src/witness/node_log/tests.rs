//! Checkpoints of the nodes' own logs, as an honest carrier brings them, and as no honest one does.

use std::sync::Arc;

use prost::Message;
use quorate_manifest::CoordinatorDraft;
use quorate_proto::v1;
use quorate_session::{Cosignature, LogCheckpoint, Note, node_log_origin};
use quorate_store::{Aftermath, FailingStore, Store, update};
use quorate_types::{B256, Role};

use super::super::run;
use crate::node::Node;
use crate::restored::Mark;
use crate::testing::{Cluster, cosigned_log, log_more, memory, shown_log};
use crate::watermarks;

/// A service node whose log has entries, and the agent node, which looks after it.
fn pair(cluster: &Cluster, entries: u64) -> (Arc<Node>, Arc<Node>) {
    let service = cluster.node(Role::Service, &memory());
    log_more(&service, entries, "x");
    (service, cluster.node(Role::Agent, &memory()))
}

fn entries(node: &Node) -> u64 {
    quorate_audit::head(&*node.store).unwrap().sequence
}

/// A checkpoint that a node signs of whatever it likes.
fn sign(owner: &Node, origin: &str, size: u64, root: B256) -> String {
    let checkpoint = LogCheckpoint { origin: origin.to_owned(), size, root };
    let mut note = Note::new(checkpoint.clone());
    let line = owner.key.cosign(&checkpoint, owner.clock.now() / 1000);
    note.push(&owner.cluster, (&owner.me, &owner.key.public()), line);
    note.to_string()
}

/// What the agent node tells the service node of its log in an open.
fn told(agent: &Node, service: &Node) -> Option<quorate_session::LogMark> {
    watermarks::seen(agent, &service.me)
}

#[test]
fn what_its_owner_signed_and_what_continues_it_is_cosigned() {
    let cluster = Cluster::new();
    let store = memory();
    let (service, agent) = (cluster.node(Role::Service, &memory()), cluster.node(Role::Agent, &store));
    log_more(&service, 4, "x");
    let first = shown_log(&service, 0);
    cosigned_log(&first, &agent, &run(&agent, &first));
    let seen = entries(&service);
    let mark = told(&agent, &service).unwrap();
    assert_eq!((mark.entries, mark.head), (seen, quorate_audit::head(&*service.store).unwrap().hash));
    log_more(&service, 5, "x");
    let said = run(&agent, &shown_log(&service, 0));
    assert_eq!((said.known, said.signature.len(), said.seen.as_str()), (seen, 0, ""), "from where it begins");
    drop(agent);
    let agent = cluster.node(Role::Agent, &store);
    let later = shown_log(&service, seen);
    let said = run(&agent, &later);
    let note = Note::parse(&cosigned_log(&later, &agent, &said).note).unwrap();
    for node in [&agent, &service] {
        assert!(note.cosignature(&node.cluster, (&node.me, &node.key.public())).unwrap().is_some());
    }
    assert_eq!(told(&agent, &service).unwrap().entries, seen + 5);
    let again = shown_log(&service, 0);
    let said = run(&agent, &again);
    assert_eq!((said.refused.as_str(), said.known), ("", seen + 5), "the same again needs no proof");
}

#[test]
fn a_log_that_was_put_back_is_told_from_an_old_checkpoint_shown_again() {
    let cluster = Cluster::new();
    let (newest, agent) = pair(&cluster, 9);
    let (older, _) = pair(&cluster, 3);
    let old = shown_log(&older, 0);
    cluster.clock.advance(10_000);
    let good = shown_log(&newest, 0);
    let kept = cosigned_log(&good, &agent, &run(&agent, &good)).note;
    let said = run(&agent, &old);
    assert_eq!(said.refused, "checkpoint: older than the one this node cosigned", "signed before");
    cluster.clock.advance(10_000);
    let said = run(&agent, &shown_log(&older, 0));
    assert_eq!(said.refused, "checkpoint: the log shrank", "signed since");
    assert_eq!((said.seen.as_str(), said.known), (kept.as_str(), entries(&newest)), "with the proof");
    // Grown again, as long as it was and longer.
    log_more(&older, 6, "y");
    let said = run(&agent, &shown_log(&older, 0));
    assert_eq!(said.refused, "checkpoint: the log does not continue the one this node cosigned");
    assert_eq!(said.seen, kept);
    log_more(&older, 6, "y");
    let said = run(&agent, &shown_log(&older, entries(&newest)));
    assert_eq!(said.refused, "checkpoint: not proven to continue the one this node cosigned");
    assert_eq!((said.seen, said.signature.len()), (kept, 0));
}

#[test]
fn a_restore_begins_another_log_and_there_is_no_way_back() {
    let cluster = Cluster::new();
    let (lost, agent) = pair(&cluster, 9);
    let before = shown_log(&lost, 0);
    cosigned_log(&before, &agent, &run(&agent, &before));
    let store = memory();
    let _synced = update(&*store, |txn| Mark::new(B256::ZERO, 1_700_000_000_000).write(txn)).unwrap();
    let restored = cluster.node(Role::Service, &store);
    log_more(&restored, 2, "x");
    let first = shown_log(&restored, 0);
    let said = run(&agent, &first);
    assert_eq!(said.known, 0);
    cosigned_log(&first, &agent, &said);
    cluster.clock.advance(10_000);
    log_more(&lost, 9, "x");
    let said = run(&agent, &shown_log(&lost, 0));
    assert_eq!(said.refused, "checkpoint: the log shrank");
    assert!(said.seen.starts_with("quorate/dev/service-1/1700000000000\n"), "{}", said.seen);
}

#[test]
fn nothing_is_cosigned_that_its_owner_did_not_sign_or_that_is_not_proven() {
    let cluster = Cluster::new();
    let (service, agent) = pair(&cluster, 4);
    let first = shown_log(&service, 0);
    cosigned_log(&first, &agent, &run(&agent, &first));
    let seen = entries(&service);
    log_more(&service, 5, "x");
    let good = shown_log(&service, seen);
    let size = entries(&service);
    let bend = |change: &dyn Fn(&mut v1::Cosign)| {
        let mut bent = good.clone();
        change(&mut bent);
        run(&agent, &bent)
    };
    let bare = good.checkpoint.split_once("\n\n").unwrap().0.to_owned() + "\n";
    let cold = cluster.node(Role::Cold, &memory());
    let by_cold = sign(&cold, "quorate/dev/service-1", size, B256::ZERO);
    let own = sign(&agent, "quorate/dev/agent-1", 7, B256::ZERO);
    let forged = good.checkpoint.replace(&format!("\n{size}\n"), &format!("\n{}\n", size + 1));
    let shown = |text: &str| bend(&|asked| text.clone_into(&mut asked.checkpoint));
    for (what, said) in [
        ("no line of its owner", shown(&bare)),
        ("a line of another node", shown(&by_cold)),
        ("another size under its line", shown(&forged)),
        ("this node's own log", shown(&own)),
        ("another cluster's", shown(&good.checkpoint.replace("quorate/dev/", "quorate/prod/"))),
        ("of no entries", shown(&sign(&service, "quorate/dev/service-1", 0, B256::ZERO))),
        ("no proof", bend(&|asked| asked.proof.clear())),
        ("one hash more", bend(&|asked| asked.proof.push(vec![0; 32]))),
        ("another hash", bend(&|asked| asked.proof[0][0] ^= 1)),
        ("no hash", bend(&|asked| asked.proof[0].truncate(31))),
        ("endless", bend(&|asked| asked.proof = vec![vec![0; 32]; 1000])),
        ("from the beginning", bend(&|asked| asked.from = 0)),
        ("another head", bend(&|asked| asked.head[0] ^= 1)),
        ("no head", bend(&|asked| asked.head.clear())),
        ("no proof of its head", bend(&|asked| asked.head_proof.clear())),
        ("an endless proof of its head", bend(&|asked| asked.head_proof = vec![vec![0; 32]; 1000])),
    ] {
        assert!(!said.refused.is_empty() && said.signature.is_empty(), "{what}");
    }
    assert_eq!(told(&agent, &service).unwrap().entries, seen, "and nothing of it is kept");
    cosigned_log(&good, &agent, &run(&agent, &good));
}

/// Every message one bit away from a good one.
#[test]
fn a_flipped_bit_never_yields_a_cosignature_of_anything_else() {
    let cluster = Cluster::new();
    let (service, agent) = pair(&cluster, 6);
    let good = shown_log(&service, 0);
    let bytes = good.encode_to_vec();
    let wanted = Note::parse(&good.checkpoint).unwrap().checkpoint;
    for at in 0..bytes.len() {
        let mut bent = bytes.clone();
        bent[at] ^= 1 << (at % 8);
        let Ok(bent) = v1::Cosign::decode(bent.as_slice()) else { continue };
        let said = run(&agent, &bent);
        if let Ok(signature) = <[u8; 64]>::try_from(said.signature.as_slice()) {
            let cosignature = Cosignature { timestamp_s: said.timestamp_s, signature };
            agent.key.public().verify_cosignature(&wanted, &cosignature).unwrap();
        }
    }
    cosigned_log(&good, &agent, &run(&agent, &good));
}

/// Its checkpoints need no signature, so none of them may pass for a node's.
#[test]
fn a_coordinator_named_like_a_node_gets_no_cosignature_in_its_place() {
    let mut cluster = Cluster::new();
    cluster.draft.coordinators =
        ["agent-1", "service-1"].map(|id| CoordinatorDraft { id: id.to_owned() }).to_vec();
    let agent = cluster.node(Role::Agent, &memory());
    for node in ["agent-1", "service-1"] {
        let origin = node_log_origin(&agent.cluster, &node.parse().unwrap(), 0);
        let checkpoint = LogCheckpoint { origin, size: 3, root: B256::ZERO }.to_string();
        let said = run(&agent, &v1::Cosign { checkpoint, ..Default::default() });
        assert!(said.signature.is_empty() && said.refused.contains("and no other"), "{}", said.refused);
    }
}

#[test]
fn nothing_is_cosigned_that_is_not_synced() {
    let cluster = Cluster::new();
    let (service, _) = pair(&cluster, 4);
    let failing = Arc::new(FailingStore::new(memory()));
    let agent = cluster.node(Role::Agent, &(Arc::clone(&failing) as Arc<dyn Store>));
    failing.fail_commit_after(0, Aftermath::Lost);
    let said = run(&agent, &shown_log(&service, 0));
    assert!(said.signature.is_empty() && said.refused.contains("internal error"), "{}", said.refused);
}
