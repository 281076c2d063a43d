//! The own logs of the other nodes. What this node saw of one is what that node signed of it: whoever carries checkpoints can
//! hold them back or show old ones again, and can make this node believe in no log that was never there.

use quorate_audit::merkle::{consistent, included, leaf};
use quorate_proto::v1;
use quorate_session::{Cosignature, LogCheckpoint, LogMark, Note};
use quorate_store::{Read, update};
use quorate_types::{B256, NodeId, UnixMillis};

use super::{WitnessError, hashes};
use crate::node::Node;
use crate::watermarks;

/// Node to the last checkpoint of its log that this node cosigned: a C2SP note with that node's line and this node's.
const TABLE: &str = "witness.node";

/// A checkpoint of a node's own log, under that node's signature.
#[derive(Debug, PartialEq, Eq)]
struct Signed {
    owner: NodeId,
    /// When that log began: with the node's restore, 0 where it never was restored.
    life: UnixMillis,
    checkpoint: LogCheckpoint,
    line: Cosignature,
}

impl Signed {
    fn read(node: &Node, text: &str) -> Result<Self, WitnessError> {
        let note = Note::parse(text)?;
        let pinned = node.documents.manifest();
        // Its own is for this node to sign, not to cosign: the two look alike.
        let others = || pinned.manifest().nodes().iter().filter(|entry| entry.id != node.me);
        let found = note.checkpoint.node_log(&node.cluster, others().map(|entry| &entry.id));
        let (owner, life) = found.ok_or(WitnessError::Stranger)?;
        let entry = pinned.manifest().node(owner).ok_or(WitnessError::Stranger)?;
        let line = note.cosignature(&node.cluster, (owner, &entry.key))?.ok_or(WitnessError::Unsigned)?;
        if note.checkpoint.size == 0 {
            return Err(WitnessError::Stranger);
        }
        Ok(Self { owner: owner.clone(), life, checkpoint: note.checkpoint, line })
    }

    /// With this node's line beside its owner's.
    fn note(&self, node: &Node, mine: Cosignature) -> Result<String, WitnessError> {
        let pinned = node.documents.manifest();
        let entry = pinned.manifest().node(&self.owner).ok_or(WitnessError::Stranger)?;
        let mut note = Note::new(self.checkpoint.clone());
        note.push(&node.cluster, (&self.owner, &entry.key), self.line);
        note.push(&node.cluster, (&node.me, &node.key.public()), mine);
        Ok(note.to_string())
    }
}

/// Cosigns a checkpoint of another node's log that continues what this node saw of it, once that is synced. Of a log that does
/// not, `answer` gets what was seen. Waits for the disk.
///
/// # Errors
/// [`WitnessError`], saying why it is not cosigned.
pub(super) fn cosign(
    node: &Node,
    asked: &v1::Cosign,
    answer: &mut v1::Cosigned,
) -> Result<(u64, Vec<u8>), WitnessError> {
    let next = Signed::read(node, &asked.checkpoint)?;
    let before = read(&*node.store, &next.owner)?;
    // Under a key that the manifest no longer has it says nothing.
    let seen = before.as_ref().and_then(|text| Signed::read(node, text).ok());
    answer.known = seen.as_ref().filter(|seen| seen.life == next.life).map_or(0, |seen| seen.checkpoint.size);
    let mine = node.key.cosign(&next.checkpoint, node.clock.now() / 1000);
    if seen.as_ref().map(|seen| &seen.checkpoint) != Some(&next.checkpoint) {
        if let Err(error) = continues(seen.as_ref(), &next, asked) {
            if !matches!(error, WitnessError::Stale | WitnessError::Proof) {
                answer.seen = before.unwrap_or_default();
            }
            return Err(error);
        }
        let (log, text) = (mark(&next, asked)?, next.note(node, mine)?);
        let ((), _synced) = update(&*node.store, |txn| {
            // Two streams may ask at once: what is replaced must be what was compared.
            if read(&*txn, &next.owner)? != before {
                return Err(WitnessError::Stale);
            }
            // Its next open hears of it, should it be put back: whoever carries checkpoints may hold this one back.
            watermarks::saw(txn, &next.owner, &log).map_err(|_| WitnessError::Malformed)?;
            Ok(txn.put(TABLE, next.owner.as_str().as_bytes(), text.as_bytes())?)
        })?;
    }
    Ok((mine.timestamp_s, mine.signature.to_vec()))
}

fn continues(seen: Option<&Signed>, next: &Signed, asked: &v1::Cosign) -> Result<(), WitnessError> {
    // A restore began another log, and only the node's own signature says so.
    let Some(seen) = seen.filter(|seen| next.life <= seen.life) else {
        return if asked.from == 0 { Ok(()) } else { Err(WitnessError::Stale) };
    };
    let (old, new) = (&seen.checkpoint, &next.checkpoint);
    if (next.life, new.size) < (seen.life, old.size) {
        // What was signed before may be shown again by anybody. What was signed since is of a log that was put back.
        let later = next.line.timestamp_s > seen.line.timestamp_s;
        return Err(if later { WitnessError::Shrank } else { WitnessError::Old });
    }
    if new.size == old.size {
        // Both are signed: no proof could reconcile them.
        return Err(WitnessError::Forked);
    }
    if asked.from != old.size {
        return Err(WitnessError::Stale);
    }
    if consistent((old.size, &old.root), (new.size, &new.root), &hashes(&asked.proof)?) {
        Ok(())
    } else {
        Err(WitnessError::Unproven)
    }
}

/// Where the log ends, as its owner will be told in the next open.
fn mark(next: &Signed, asked: &v1::Cosign) -> Result<LogMark, WitnessError> {
    let LogCheckpoint { size, root, .. } = &next.checkpoint;
    let head = B256::try_from(asked.head.as_slice()).map_err(|_| WitnessError::Head)?;
    let last = (size.saturating_sub(1), *size);
    if included(&leaf(&head), last, &hashes(&asked.head_proof)?, root) {
        Ok(LogMark { life: next.life, entries: *size, head })
    } else {
        Err(WitnessError::Head)
    }
}

fn read(read: &dyn Read, owner: &NodeId) -> Result<Option<String>, WitnessError> {
    let Some(bytes) = read.get(TABLE, owner.as_str().as_bytes())? else { return Ok(None) };
    String::from_utf8(bytes.to_vec()).map(Some).map_err(|_| WitnessError::Malformed)
}

#[cfg(test)]
mod tests;
