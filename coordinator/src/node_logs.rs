//! Brings each node's checkpoints of its own log to the other nodes, and their cosignatures back to it. The coordinator is the
//! carrier and nothing more: a node cosigns what that node signed and a proof continues, and believes of its own log only
//! what it signed itself.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use quorate_manifest::Pinned;
use quorate_proto::v1::{self, relay_frame::Frame};
use quorate_session::{Cosignature, Note};
use quorate_types::NodeId;
use tokio_util::sync::CancellationToken;

use crate::checkpoints::{PATIENCE, cosignature};
use crate::coordinator::Coordinator;
use crate::error::OpError;
use crate::link::{Link, quoted};
use crate::presence;
use crate::records::{NodeLogRecord, Record, get, put};

/// Between two rounds.
const EVERY: Duration = Duration::from_secs(15);
/// Nodes whose logs are carried at once.
const AT_ONCE: usize = 4;

/// Carries until `stop`.
pub(crate) async fn run(core: Arc<Coordinator>, stop: CancellationToken) {
    loop {
        let round = stream::iter(core.nodes.all()).for_each_concurrent(AT_ONCE, |owner| {
            let core = &core;
            async move {
                if let Err(error) = carry(core, &owner).await {
                    tracing::warn!(node = %owner.node(), %error, "its log was not cosigned");
                }
            }
        });
        tokio::select! {
            () = round => {}
            () = stop.cancelled() => return,
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Has one node's log cosigned by all others that are attached. Returns who did.
///
/// # Errors
/// Where the store cannot be read or written.
pub(crate) async fn carry(core: &Arc<Coordinator>, owner: &Link) -> Result<Vec<NodeId>, OpError> {
    let pinned = core.pinned.load_full();
    let Some(shown) = owner.ask_log(v1::AskLog::default(), PATIENCE).await else { return Ok(Vec::new()) };
    if !shown.refused.is_empty() {
        presence::rolled_back(core, owner.node(), &shown.refused);
        return Ok(Vec::new());
    }
    let Some(mut note) = of_its_own(&pinned, owner.node(), &shown.note) else { return Ok(Vec::new()) };
    let (mut cosigners, own) = (Vec::new(), note.clone());
    let others: Vec<_> = core.nodes.all().into_iter().filter(|link| link.node() != owner.node()).collect();
    for link in others {
        let Some(entry) = pinned.manifest().node(link.node()) else { continue };
        match ask(owner, &shown, (&link, own.checkpoint.size)).await {
            Some(Said::Cosigned(line)) if entry.key.verify_cosignature(&own.checkpoint, &line).is_ok() => {
                note.push(pinned.manifest().cluster(), (link.node(), &entry.key), line);
                cosigners.push(link.node().clone());
            }
            Some(Said::Cosigned(_)) => tracing::warn!(node = %link.node(), "its cosignature does not hold"),
            Some(Said::Saw(seen)) => another(core, (&pinned, owner), &link, (&own, &seen)),
            None => {}
        }
    }
    if !cosigners.is_empty() {
        bring(owner, note.to_string());
        keep(core, &pinned, owner, (&note, cosigners.len())).await?;
    }
    Ok(cosigners)
}

/// A node's checkpoint of its own log, with its own line and no other.
fn of_its_own(pinned: &Pinned, node: &NodeId, text: &str) -> Option<Note> {
    let cluster = pinned.manifest().cluster();
    let entry = pinned.manifest().node(node)?;
    let shown = Note::parse(text).ok()?;
    shown.checkpoint.node_log(cluster, [node])?;
    let own = shown.only(cluster, [(node, &entry.key)]).ok()?;
    own.cosigned_at().is_some().then_some(own)
}

/// What a witness says to a checkpoint.
enum Said {
    Cosigned(Cosignature),
    /// The note of another log of that node.
    Saw(String),
}

/// Shows a witness the checkpoint. It says what it knows where the proof does not begin there, and is asked again.
async fn ask(owner: &Link, shown: &v1::NodeLog, (witness, size): (&Link, u64)) -> Option<Said> {
    let (mut from, mut proof) = (0, Vec::new());
    for _ in 0..2 {
        let asked = v1::Cosign {
            checkpoint: shown.note.clone(),
            from,
            proof,
            head: shown.head.clone(),
            head_proof: shown.head_proof.clone(),
        };
        let answer = witness.cosign(asked, PATIENCE).await?;
        if answer.refused.is_empty() {
            return cosignature(&answer).map(Said::Cosigned);
        }
        if !answer.seen.is_empty() {
            return Some(Said::Saw(answer.seen));
        }
        if answer.known == from || answer.known > size {
            tracing::warn!(node = %witness.node(), of = %owner.node(), reason = quoted(&answer.refused), "the log is not cosigned");
            return None;
        }
        from = answer.known;
        proof = owner.ask_log(v1::AskLog { from, size }, PATIENCE).await?.proof;
    }
    None
}

/// A witness cosigned another log than the node has now. The node judges for itself; what two signatures of its own say
/// is written down, since a node that was put back may not come so far.
fn another(
    core: &Arc<Coordinator>,
    (pinned, owner): (&Pinned, &Link),
    witness: &Link,
    (now, seen): (&Note, &str),
) {
    let Some(before) = of_its_own(pinned, owner.node(), seen) else {
        tracing::warn!(node = %witness.node(), of = %owner.node(), "what it says it cosigned holds nothing");
        return;
    };
    bring(owner, seen.to_owned());
    // An old one may have been shown to that witness after a later one, through another coordinator.
    let since = now.cosigned_at() > before.cosigned_at();
    let (now, before) = (&now.checkpoint, &before.checkpoint);
    let forked = now.size == before.size && now.root != before.root;
    if since && now.origin == before.origin && (now.size < before.size || forked) {
        let reason = format!(
            "{} cosigned {} entries of its log, which now has {} and does not continue them",
            witness.node(),
            before.size,
            now.size
        );
        presence::rolled_back(core, owner.node(), &reason);
    }
}

fn bring(owner: &Link, note: String) {
    let _it_comes_again = owner.offer(Frame::Witnessed(v1::LogNote { note }));
}

/// Keeps the latest, for those who check an exported log of that node.
async fn keep(
    core: &Coordinator,
    pinned: &Pinned,
    owner: &Link,
    (note, cosigners): (&Note, usize),
) -> Result<(), OpError> {
    let manifest = pinned.manifest();
    let Some((_, life)) = note.checkpoint.node_log(manifest.cluster(), [owner.node()]) else { return Ok(()) };
    let says = (life, note.checkpoint.size, cosigners);
    let record = NodeLogRecord {
        node: owner.node().clone(),
        life,
        size: note.checkpoint.size,
        cosigners,
        note: note.to_string(),
    };
    let later = move |before: &NodeLogRecord| (before.life, before.size, before.cosigners) < says;
    let key = record.key();
    let before = core.db.read(move |read| get::<NodeLogRecord>(read, &key)).await?;
    // A log at rest is not written about.
    if before.as_ref().is_none_or(later) {
        let ((), _synced) = core.db.update(move |txn| put(txn, &record)).await?;
    }
    Ok(())
}
