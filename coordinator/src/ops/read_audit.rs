//! The audit log, for those who check it.

use quorate_audit::{Head, entries, tree};
use quorate_proto::v1;
use quorate_types::NodeId;

use crate::coordinator::Coordinator;
use crate::error::OpError;
use crate::records::{CheckpointRecord, NodeLogRecord, get};

const DEFAULT_PAGE: usize = 100;
const MAX_PAGE: usize = 1000;
/// Bytes of entries in one page: below the 4 MiB a client takes in one message, with the largest entry to spare.
const PAGE_BYTES: usize = 3 << 20;

/// Where the log ends.
pub(crate) async fn head(core: &Coordinator) -> Result<Head, OpError> {
    core.db.read(|read| Ok(quorate_audit::head(read)?)).await
}

/// The latest checkpoint that enough nodes cosigned.
pub(crate) async fn checkpoint(core: &Coordinator) -> Result<Option<CheckpointRecord>, OpError> {
    core.db.read(|read| get::<CheckpointRecord>(read, CheckpointRecord::KEY)).await
}

/// The latest checkpoint of a node's own log that others cosigned.
pub(crate) async fn node_checkpoint(
    core: &Coordinator,
    node: NodeId,
) -> Result<Option<NodeLogRecord>, OpError> {
    core.db.read(move |read| get::<NodeLogRecord>(read, node.as_str().as_bytes())).await
}

/// That an entry is in the log of the latest cosigned checkpoint.
///
/// # Errors
/// [`OpError::NotFound`] where there is no such entry; [`OpError::Unavailable`] where it came after that checkpoint.
pub(crate) async fn prove(core: &Coordinator, sequence: u64) -> Result<v1::ProveResponse, OpError> {
    core.db
        .read(move |read| {
            let found = entries(read, sequence.max(1), 1)?.pop().filter(|entry| entry.sequence == sequence);
            let entry = found.ok_or_else(|| OpError::not_found("entry", sequence))?;
            let record = get::<CheckpointRecord>(read, CheckpointRecord::KEY)?;
            let size = record.as_ref().map_or(0, |record| record.size);
            let path = tree::inclusion(read, sequence, size)?;
            let (Some(record), Some(path)) = (record, path) else {
                let reason = format!("two nodes have cosigned {size} entries, and not yet entry {sequence}");
                return Err(OpError::Unavailable { reason, nodes: Vec::new() });
            };
            let path = path.iter().map(|hash| hash.to_vec()).collect();
            Ok(v1::ProveResponse { entry: entry.json, path, note: record.note })
        })
        .await
}

/// The canonical texts of entries from `from` on, and the sequence number the next page starts at: 0 at the end.
pub(crate) async fn page(core: &Coordinator, from: u64, size: u32) -> Result<(Vec<String>, u64), OpError> {
    let size = usize::try_from(size).unwrap_or(MAX_PAGE);
    if size > MAX_PAGE {
        return Err(OpError::invalid("page_size", format!("at most {MAX_PAGE}, got {size}")));
    }
    let size = if size == 0 { DEFAULT_PAGE } else { size };
    core.db
        .read(move |read| {
            let (mut texts, mut bytes, mut next) = (Vec::new(), 0, from.max(1));
            // One by one, so that no more is held than is answered.
            while texts.len() < size && bytes < PAGE_BYTES {
                let Some(entry) = entries(read, next, 1)?.pop() else { return Ok((texts, 0)) };
                next = entry.sequence.saturating_add(1);
                bytes += entry.json.len();
                texts.push(entry.json);
            }
            let more = next <= quorate_audit::head(read)?.sequence;
            Ok((texts, if more { next } else { 0 }))
        })
        .await
}
