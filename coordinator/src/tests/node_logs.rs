//! The nodes' own logs, carried between nodes that do their part and others.

use std::sync::{Arc, Mutex};

use futures::StreamExt;
use quorate_proto::v1;
use quorate_proto::v1::relay_frame::Frame;
use quorate_session::{LogCheckpoint, Note};
use quorate_types::{B256, ClusterId, Role};

use super::rig::{Rig, node, node_key};
use crate::node_logs::carry;
use crate::ops::read_audit::node_checkpoint;

const OWN: &str = "quorate/demo/service-1";

fn cluster() -> ClusterId {
    "demo".parse().unwrap()
}

/// A checkpoint of some log under the lines of these nodes.
fn note(origin: &str, size: u64, lines: &[(Role, u64)]) -> String {
    let checkpoint = LogCheckpoint { origin: origin.to_owned(), size, root: B256::repeat_byte(3) };
    let mut note = Note::new(checkpoint.clone());
    for (role, at_s) in lines {
        let key = node_key(*role);
        note.push(&cluster(), (&node(*role), &key.public()), key.cosign(&checkpoint, *at_s));
    }
    note.to_string()
}

/// What a node was brought.
type Brought = Arc<Mutex<Vec<String>>>;

/// A node that shows this of its own log, and says this to the checkpoints of others.
fn attach(
    rig: &Rig,
    role: Role,
    shows: impl Fn(&v1::AskLog) -> v1::NodeLog + Send + 'static,
    says: impl Fn(&v1::Cosign) -> v1::Cosigned + Send + 'static,
) -> Brought {
    let (link, frames) = rig.core.nodes.new_link(node(role));
    rig.core.nodes.attach(link.clone(), super::fake::about());
    let brought = Brought::default();
    let kept = brought.clone();
    tokio::spawn(async move {
        let mut frames = std::pin::pin!(frames);
        while let Some(Ok(frame)) = frames.next().await {
            match frame.frame.unwrap() {
                Frame::Log(asked) => {
                    link.showed_log(v1::NodeLog { from: asked.from, size: asked.size, ..shows(&asked) });
                }
                Frame::Cosign(asked) => {
                    let checkpoint = asked.checkpoint.clone();
                    link.cosigned(v1::Cosigned { checkpoint, ..says(&asked) });
                }
                Frame::Witnessed(brought) => kept.lock().unwrap().push(brought.note),
                _ => {}
            }
        }
    });
    brought
}

/// The service node, whose log has nine entries, signed at 50.
fn owner(rig: &Rig) -> Brought {
    let shows = |asked: &v1::AskLog| {
        let note = if asked.size == 0 { note(OWN, 9, &[(Role::Service, 50)]) } else { String::new() };
        let proof = if asked.from == 0 { vec![] } else { vec![vec![u8::try_from(asked.from).unwrap(); 32]] };
        v1::NodeLog { note, proof, head: vec![4; 32], head_proof: vec![vec![5; 32]], ..Default::default() }
    };
    attach(rig, Role::Service, shows, |_| panic!("its own log"))
}

fn silent(_: &v1::AskLog) -> v1::NodeLog {
    v1::NodeLog::default()
}

fn cosigns_as(role: Role, asked: &v1::Cosign) -> v1::Cosigned {
    let read = Note::parse(&asked.checkpoint).unwrap();
    let line = node_key(role).cosign(&read.checkpoint, 60);
    v1::Cosigned { timestamp_s: 60, signature: line.signature.to_vec(), ..Default::default() }
}

fn refuses(known: u64, seen: String) -> v1::Cosigned {
    v1::Cosigned { refused: "no".to_owned(), known, seen, ..Default::default() }
}

async fn carried(rig: &Rig) -> Vec<String> {
    let link = rig.core.nodes.link(&node(Role::Service)).unwrap();
    let cosigners = carry(&rig.core, &link).await.unwrap();
    // What it was brought, and what is written down of it, is under way.
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    cosigners.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn what_others_cosigned_is_brought_back_and_kept() {
    let rig = Rig::new();
    let brought = owner(&rig);
    attach(&rig, Role::Agent, silent, |asked| {
        assert_eq!((asked.head.len(), asked.head_proof.len()), (32, 1));
        // It knows an earlier size, and wants the proof from there.
        match asked.from {
            0 => refuses(4, String::new()),
            4 if asked.proof == [vec![4; 32]] => cosigns_as(Role::Agent, asked),
            _ => panic!("{asked:?}"),
        }
    });
    assert_eq!(carried(&rig).await, ["agent-1"]);
    let expected = note(OWN, 9, &[(Role::Service, 50), (Role::Agent, 60)]);
    assert_eq!(brought.lock().unwrap().as_slice(), std::slice::from_ref(&expected));
    let record = node_checkpoint(&rig.core, node(Role::Service)).await.unwrap().unwrap();
    assert_eq!((record.note.as_str(), record.size), (expected.as_str(), 9));
    // By one more.
    attach(&rig, Role::Cold, silent, |asked| cosigns_as(Role::Cold, asked));
    assert_eq!(carried(&rig).await.len(), 2);
    let record = node_checkpoint(&rig.core, node(Role::Service)).await.unwrap().unwrap();
    assert_eq!(record.cosigners, 2);
    assert_eq!(node_checkpoint(&rig.core, node(Role::Agent)).await.unwrap(), None);
}

#[tokio::test]
async fn a_checkpoint_that_is_not_the_nodes_own_is_shown_to_nobody() {
    for shown in [
        note(OWN, 9, &[(Role::Agent, 50)]),
        note("quorate/demo/agent-1", 9, &[(Role::Service, 50)]),
        note("quorate/demo/coordinator-1", 9, &[(Role::Service, 50)]),
        note(OWN, 9, &[(Role::Service, 50)]).replace("\n9\n", "\n8\n"),
        "no note".to_owned(),
        String::new(),
    ] {
        let rig = Rig::new();
        let shows = move |_: &v1::AskLog| v1::NodeLog { note: shown.clone(), ..Default::default() };
        attach(&rig, Role::Service, shows, |_| v1::Cosigned::default());
        let (tell, told) = std::sync::mpsc::channel();
        attach(&rig, Role::Agent, silent, move |asked| {
            tell.send(asked.clone()).unwrap();
            v1::Cosigned::default()
        });
        assert!(carried(&rig).await.is_empty());
        assert!(told.try_recv().is_err());
    }
}

#[tokio::test]
async fn a_forged_cosignature_and_a_refusal_come_to_nothing() {
    for says in
        [|asked: &v1::Cosign| cosigns_as(Role::Cold, asked), |_: &v1::Cosign| refuses(900, String::new())]
    {
        let rig = Rig::new();
        let brought = owner(&rig);
        attach(&rig, Role::Agent, silent, says);
        assert!(carried(&rig).await.is_empty());
        assert!(brought.lock().unwrap().is_empty());
        assert!(!rig.audit().contains(&"node.rolled_back".to_owned()));
    }
}

#[tokio::test]
async fn a_node_that_was_put_back_is_told_and_people_are_where_it_is_proven() {
    let both = |size, at| note(OWN, size, &[(Role::Service, at), (Role::Agent, at)]);
    for (seen, is_brought, is_told) in [
        (both(12, 40), true, true),
        // Signed after what is shown now: that was an old one.
        (both(12, 60), true, false),
        (both(4, 40), true, false),
        (note(OWN, 12, &[(Role::Agent, 40)]), false, false),
        (note("quorate/demo/agent-1", 12, &[(Role::Agent, 40)]), false, false),
        ("nothing".to_owned(), false, false),
    ] {
        let rig = Rig::new();
        let brought = owner(&rig);
        let said = seen.clone();
        attach(&rig, Role::Agent, silent, move |_| refuses(12, said.clone()));
        assert!(carried(&rig).await.is_empty());
        assert_eq!(!brought.lock().unwrap().is_empty(), is_brought, "{seen}");
        assert_eq!(rig.audit().contains(&"node.rolled_back".to_owned()), is_told, "{seen}");
    }
}

#[tokio::test]
async fn a_node_that_says_it_was_put_back_is_written_about_once() {
    let rig = Rig::new();
    let shows = |_: &v1::AskLog| v1::NodeLog { refused: "put back".to_owned(), ..Default::default() };
    attach(&rig, Role::Service, shows, |_| v1::Cosigned::default());
    for _ in 0..3 {
        assert!(carried(&rig).await.is_empty());
    }
    assert_eq!(rig.audit().iter().filter(|kind| *kind == "node.rolled_back").count(), 1);
}
