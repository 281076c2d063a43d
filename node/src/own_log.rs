//! This node's own log, as others vouch for it: its tree, its checkpoints under this node's signature, and what comes back
//! under the signatures of others.
//!
//! The coordinator only carries. What it brings is believed where it is under this node's own signature and another node's:
//! it can hold checkpoints back and bring old ones, and can make none up. A checkpoint that this node once signed and that
//! its log does not continue proves that its data directory was put back. The proof is kept, and nothing is signed then:
//! with the newest directory put back the proof is gone as well, and so it is after a restore, which the operators answer
//! for.

use std::cmp::Ordering;
use std::iter::once;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use quorate_audit::{AuditError, Event, tree};
use quorate_manifest::Pinned;
use quorate_proto::v1;
use quorate_session::{LogCheckpoint, NodePublicKey, Note, NoteError, node_log_origin};
use quorate_store::{Read, StoreError, update};
use quorate_types::{B256, NodeId, UnixMillis};
use tokio_util::sync::CancellationToken;

use crate::node::Node;
use crate::sessions::{SessionError, commit};

/// Holds C2SP notes.
const TABLE: &str = "log.cosigned";
/// The latest checkpoint of this log that others cosigned.
const LATEST: &[u8] = b"latest";
/// One of a log that this one does not continue.
const LOST: &[u8] = b"lost";

/// Between two looks whether the log has grown.
const EVERY: Duration = Duration::from_secs(5);
/// Entries taken into the tree with one commit, which a signature may share, and the pause after it.
const BATCH: usize = 64;
const PAUSE: Duration = Duration::from_millis(20);

/// Whether this node's log is the newest it ever had, as far as anybody told it.
#[derive(Default)]
pub(crate) struct OwnLog {
    put_back: OnceLock<String>,
}

/// Why a checkpoint that was brought is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BroughtError {
    /// It is none, or a line of it does not hold.
    #[error("{0}")]
    Note(#[from] NoteError),
    /// Not of this node's log.
    #[error("checkpoint: of another log")]
    Foreign,
    /// Without this node's own line.
    #[error("checkpoint: not signed by this node")]
    Unsigned,
    /// With no other line that is known.
    #[error("checkpoint: cosigned by no other node of the manifest")]
    Alone,
    /// The log or its tree.
    #[error("{0}")]
    Log(#[from] AuditError),
    /// The store.
    #[error("store: {0}")]
    Store(#[from] StoreError),
}

impl OwnLog {
    /// As the store says at start.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn load(read: &dyn Read) -> Result<Self, StoreError> {
        let own = Self::default();
        if let Some(note) = read.get(TABLE, LOST)? {
            let note = std::str::from_utf8(&note).ok().and_then(|text| Note::parse(text).ok());
            own.stop_signing(note.map_or(0, |note| note.checkpoint.size));
        }
        Ok(own)
    }

    /// Whether this node may take part in a session.
    ///
    /// # Errors
    /// [`SessionError::Caller`] naming `log` where it was put back to an older state.
    pub(crate) fn check(&self) -> Result<(), SessionError> {
        self.put_back.get().map_or(Ok(()), |reason| Err(SessionError::caller("log", reason)))
    }

    /// For good: only another data directory signs again.
    fn stop_signing(&self, entries: u64) {
        metrics::gauge!("quorate_node_rolled_back").set(1.0);
        let reason = format!(
            "another node cosigned {entries} entries of this node's log, and this log does not continue them: the data \
             directory is an older one. Put the newest back, or `quorate-node restore` and `readmit`"
        );
        if self.put_back.set(reason).is_ok() {
            tracing::error!(
                entries,
                "this node's data directory is not the newest: it signed a checkpoint of a later log"
            );
        }
    }
}

/// Takes into the tree what the log has, behind everything else, until `stop`.
pub(crate) async fn keep_growing(node: Arc<Node>, stop: CancellationToken) {
    loop {
        let pause = match grow(&node).await {
            Ok(true) => PAUSE,
            Ok(false) => EVERY,
            Err(error) => {
                tracing::error!(%error, "the tree of this node's log does not grow");
                EVERY
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Takes in a few entries. Whether there may be more.
async fn grow(node: &Arc<Node>) -> Result<bool, SessionError> {
    let at = Arc::clone(node);
    let behind = tokio::task::spawn_blocking(move || {
        Ok::<_, SessionError>(tree::size(&*at.store)? < quorate_audit::head(&*at.store)?.sequence)
    });
    if !behind.await.map_err(|error| SessionError::Bug(format!("a store task stopped: {error}")))?? {
        return Ok(false);
    }
    let (_, _synced) = commit(node, |_, txn| Ok(tree::grow(txn, BATCH)?)).await?;
    Ok(true)
}

/// This node's word on its log: a checkpoint it signs, and the proofs that go with it. Reads the disk.
pub(crate) fn show(node: &Node, asked: &v1::AskLog) -> v1::NodeLog {
    let empty = v1::NodeLog { from: asked.from, size: asked.size, ..Default::default() };
    if let Some(reason) = node.own_log.put_back.get() {
        return v1::NodeLog { refused: reason.clone(), ..empty };
    }
    shown(node, asked, empty.clone()).unwrap_or_else(|error| {
        tracing::error!(%error, "no checkpoint of this node's log can be made");
        empty
    })
}

fn shown(node: &Node, asked: &v1::AskLog, empty: v1::NodeLog) -> Result<v1::NodeLog, AuditError> {
    let entries = tree::size(&*node.store)?;
    let size = if asked.size == 0 { entries } else { asked.size };
    let Some(head) = quorate_audit::hash_at(&*node.store, size)?.filter(|_| (1..=entries).contains(&size))
    else {
        return Ok(empty);
    };
    let hashes = |path: Option<Vec<B256>>| path.into_iter().flatten().map(|hash| hash.to_vec()).collect();
    let note = if asked.size == 0 {
        signed(node, size, tree::checkpoint(&*node.store, size)?.hash)
    } else {
        String::new()
    };
    Ok(v1::NodeLog {
        note,
        proof: hashes(tree::consistency(&*node.store, asked.from, size)?),
        head: head.to_vec(),
        head_proof: hashes(tree::inclusion(&*node.store, size, size)?),
        ..empty
    })
}

fn signed(node: &Node, size: u64, root: B256) -> String {
    let origin = node_log_origin(&node.cluster, &node.me, node.restored.life());
    let checkpoint = LogCheckpoint { origin, size, root };
    let line = node.key.cosign(&checkpoint, node.clock.now() / 1000);
    let mut note = Note::new(checkpoint);
    note.push(&node.cluster, (&node.me, &node.key.public()), line);
    note.to_string()
}

/// Takes back a checkpoint of this node's log with the cosignatures of others. Waits for the disk.
pub(crate) fn witnessed(node: &Node, brought: &v1::LogNote) {
    if let Err(error) = take(node, &brought.note) {
        tracing::warn!(%error, "a cosigned checkpoint that was brought is not kept");
    }
}

fn take(node: &Node, text: &str) -> Result<(), BroughtError> {
    let note = Note::parse(text)?;
    let (life, cosigners) = believed(node, &note)?;
    let LogCheckpoint { size, root, .. } = note.checkpoint;
    let store = &*node.store;
    let lost = match life.cmp(&node.restored.life()) {
        // Of the log before a restore: the operators said what must not be forgotten of that.
        Ordering::Less => return Ok(()),
        Ordering::Greater => true,
        Ordering::Equal if size > quorate_audit::head(store)?.sequence => true,
        // The tree is behind the log. It comes again.
        Ordering::Equal if size > tree::size(store)? => return Ok(()),
        Ordering::Equal => tree::checkpoint(store, size)?.hash != root,
    };
    if lost { lose(node, &note) } else { keep(node, &note, cosigners) }
}

/// The life of the log a note is of, and how many others cosigned it.
fn believed(node: &Node, note: &Note) -> Result<(UnixMillis, usize), BroughtError> {
    let own = note.checkpoint.node_log(&node.cluster, [&node.me]);
    let (_, life) = own.ok_or(BroughtError::Foreign)?;
    note.cosignature(&node.cluster, (&node.me, &node.key.public()))?.ok_or(BroughtError::Unsigned)?;
    match cosigners(node, note)? {
        0 => Err(BroughtError::Alone),
        cosigners => Ok((life, cosigners)),
    }
}

fn cosigners(node: &Node, note: &Note) -> Result<usize, NoteError> {
    let pinned = node.documents.manifest();
    Ok(note.cosigners(&node.cluster, others(node, &pinned))?.len())
}

/// The manifest's other nodes, by name and key.
fn others<'a>(
    node: &'a Node,
    pinned: &'a Pinned,
) -> impl Iterator<Item = (&'a NodeId, &'a NodePublicKey)> + use<'a> {
    let others = pinned.manifest().nodes().iter().filter(|entry| entry.id != node.me);
    others.map(|entry| (&entry.id, &entry.key))
}

/// Nothing is signed from now on, synced or not.
fn lose(node: &Node, note: &Note) -> Result<(), BroughtError> {
    let size = note.checkpoint.size;
    node.own_log.stop_signing(size);
    // It comes again where it could not be written before.
    if node.store.get(TABLE, LOST)?.is_some() {
        return Ok(());
    }
    let event = Event::new("node.rolled_back").field("entries", size);
    let (receipt, durable) = update(&*node.store, |txn| {
        txn.put(TABLE, LOST, note.to_string().as_bytes())?;
        Ok::<_, BroughtError>(quorate_audit::append(txn, node.clock.now(), &event)?)
    })?;
    receipt.confirm(&durable);
    Ok(())
}

/// Keeps it where it says more than the one before.
fn keep(node: &Node, note: &Note, by: usize) -> Result<(), BroughtError> {
    let before = latest(&*node.store)?;
    let known = match &before {
        Some(before) if before.checkpoint.origin == note.checkpoint.origin => {
            (before.checkpoint.size, cosigners(node, before).unwrap_or(0))
        }
        _ => (0, 0),
    };
    if note.checkpoint.size < known.0 {
        return Ok(());
    }
    if let Some(at) = note.cosigned_at() {
        metrics::gauge!("quorate_node_log_cosigned_at_seconds").set(at as f64);
    }
    if (note.checkpoint.size, by) > known {
        let kept = in_known_hands(node, note)?.to_string();
        let ((), _synced) = update(&*node.store, |txn| txn.put(TABLE, LATEST, kept.as_bytes()))?;
    }
    Ok(())
}

/// The note with the lines of the manifest's nodes alone: what nobody could check today may be wrong when it can be.
fn in_known_hands(node: &Node, note: &Note) -> Result<Note, NoteError> {
    let (pinned, own) = (node.documents.manifest(), node.key.public());
    note.only(&node.cluster, once((&node.me, &own)).chain(others(node, &pinned)))
}

/// The latest checkpoint of this log that others cosigned.
///
/// # Errors
/// The store's, or a note that is none.
pub(crate) fn latest(read: &dyn Read) -> Result<Option<Note>, BroughtError> {
    let Some(bytes) = read.get(TABLE, LATEST)? else { return Ok(None) };
    let text = std::str::from_utf8(&bytes).map_err(|_| NoteError::Malformed("not text"))?;
    Ok(Some(Note::parse(text)?))
}

#[cfg(test)]
mod tests;
