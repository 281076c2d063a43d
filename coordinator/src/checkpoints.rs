//! Checkpoints of this coordinator's log, cosigned by the nodes: made in the background, since nothing waits for them. The
//! nodes believe nothing here: each has a proof that the log continues what it cosigned before.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use quorate_audit::tree;
use quorate_proto::v1;
use quorate_session::{Cosignature, LogCheckpoint, Note, log_origin};
use quorate_types::NodeId;
use tokio_util::sync::CancellationToken;

use crate::coordinator::Coordinator;
use crate::error::OpError;
use crate::link::Link;
use crate::records::{CheckpointRecord, get, put};

/// Between two checkpoints, and where the last one had too few cosigners.
const EVERY: Duration = Duration::from_secs(30);
const AGAIN: Duration = Duration::from_secs(3);
/// What a node has for its answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// Entries taken into the tree in one transaction, and the pause after: requests come first.
const BATCH: usize = 256;
const PAUSE: Duration = Duration::from_millis(20);
/// Nodes that must have cosigned for a checkpoint to count.
pub(crate) const COSIGNERS: usize = 2;

/// Has checkpoints cosigned until `stop`.
pub(crate) async fn run(core: Arc<Coordinator>, coordinator: String, stop: CancellationToken) {
    loop {
        let made = tokio::select! {
            made = make(&core, &coordinator) => made,
            () = stop.cancelled() => return,
        };
        let pause = match made {
            Ok(cosigners) if cosigners.len() >= COSIGNERS => EVERY,
            Ok(_) => AGAIN,
            Err(error) => {
                tracing::warn!(%error, "no checkpoint of the log was made");
                EVERY
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Makes one checkpoint of the whole log and has it cosigned. Returns who did.
///
/// # Errors
/// Where the store cannot be read or written.
pub(crate) async fn make(core: &Coordinator, coordinator: &str) -> Result<Vec<NodeId>, OpError> {
    let size = grow(core).await?;
    if size == 0 {
        return Ok(Vec::new());
    }
    let pinned = core.pinned.load_full();
    let cluster = pinned.manifest().cluster().clone();
    let root = core.db.read(move |read| Ok(tree::checkpoint(read, size)?)).await?.hash;
    let checkpoint = LogCheckpoint { origin: log_origin(&cluster, coordinator), size, root };
    let mut note = Note::new(checkpoint.clone());
    let links = core.nodes.all();
    let answers = join_all(links.iter().map(|link| ask(core, link, &checkpoint))).await;
    let mut cosigners = Vec::new();
    for (link, answer) in links.iter().zip(answers) {
        let Some(entry) = pinned.manifest().node(link.node()) else { continue };
        let Some(cosignature) = answer? else { continue };
        if entry.key.verify_cosignature(&checkpoint, &cosignature).is_err() {
            tracing::warn!(node = %link.node(), "its cosignature does not hold");
            continue;
        }
        note.push(&cluster, (link.node(), &entry.key), cosignature);
        cosigners.push(link.node().clone());
    }
    keep(core, CheckpointRecord { size, note: note.to_string(), cosigners: cosigners.clone() }).await?;
    Ok(cosigners)
}

/// Takes into the tree what the log has, a few entries at a time.
async fn grow(core: &Coordinator) -> Result<u64, OpError> {
    loop {
        let read = core.db.read(|read| Ok((tree::size(read)?, quorate_audit::head(read)?.sequence)));
        let (size, entries) = read.await?;
        if size >= entries {
            return Ok(size);
        }
        let (_, _synced) = core.db.update(|txn| Ok(tree::grow(txn, BATCH)?)).await?;
        tokio::time::sleep(PAUSE).await;
    }
}

/// A node's cosignature; none where it does not answer, or refuses. It is asked again where it knows another size than it
/// was thought to.
async fn ask(
    core: &Coordinator,
    link: &Link,
    checkpoint: &LogCheckpoint,
) -> Result<Option<Cosignature>, OpError> {
    let size = checkpoint.size;
    // The node says what it knows where this is not it.
    let mut from = 0;
    for _ in 0..2 {
        let proof = core.db.read(move |read| Ok(tree::consistency(read, from, size)?)).await?;
        let proof = proof.unwrap_or_default().iter().map(|hash| hash.to_vec()).collect();
        let asked = v1::Cosign { checkpoint: checkpoint.to_string(), from, proof, ..Default::default() };
        let Some(answer) = link.cosign(asked, PATIENCE).await else { return Ok(None) };
        if answer.refused.is_empty() {
            return Ok(cosignature(&answer));
        }
        if answer.known == from || answer.known > size {
            tracing::error!(node = %link.node(), reason = answer.refused, known = answer.known, "the log is not cosigned");
            return Ok(None);
        }
        from = answer.known;
    }
    Ok(None)
}

/// A node's cosignature, where its answer has one.
pub(crate) fn cosignature(answer: &v1::Cosigned) -> Option<Cosignature> {
    let signature = <[u8; 64]>::try_from(answer.signature.as_slice()).ok()?;
    Some(Cosignature { timestamp_s: answer.timestamp_s, signature })
}

/// Keeps a checkpoint that enough nodes cosigned, where it is of a later log than the last one.
async fn keep(core: &Coordinator, record: CheckpointRecord) -> Result<(), OpError> {
    if record.cosigners.len() < COSIGNERS {
        return Ok(());
    }
    metrics::gauge!("quorate_log_cosigned_at_seconds").set((core.clock.now() / 1000) as f64);
    let write = core.db.update(move |txn| {
        let before = get::<CheckpointRecord>(txn, CheckpointRecord::KEY)?;
        let later = |before: &CheckpointRecord| {
            (before.size, before.cosigners.len()) < (record.size, record.cosigners.len())
        };
        if before.as_ref().is_none_or(later) { put(txn, &record) } else { Ok(()) }
    });
    let ((), _synced) = write.await?;
    Ok(())
}
