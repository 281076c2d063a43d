//! The log's Merkle tree beside the log: every complete subtree's root, so that a root and the proofs that lead to it take
//! a few reads, however long the log is. It grows behind the log, in transactions of its own: nobody waits for it.

use std::ops::ControlFlow;

use quorate_store::{Read, Txn};
use quorate_types::B256;

use crate::entry::each;
use crate::error::{AuditError, Damage};
use crate::merkle::{leaf, node, root, split};
use crate::offline::Checkpoint;

/// Level (1 byte) and place at that level (8 bytes, big-endian) to the root of that subtree of 2^level entries.
const NODES: &str = "audit_tree";
/// Holds how many entries the tree has, 8 bytes big-endian.
const SIZE: &str = "audit_tree_size";
const KEY: &[u8] = b"size";

/// How many entries the tree has.
///
/// # Errors
/// [`Damage::Tree`], or the store's error.
pub fn size(read: &dyn Read) -> Result<u64, AuditError> {
    let Some(bytes) = read.get(SIZE, KEY)? else { return Ok(0) };
    let bytes = <[u8; 8]>::try_from(bytes.as_slice()).map_err(|_| damaged(0))?;
    Ok(u64::from_be_bytes(bytes))
}

/// Takes in up to `limit` entries that the log has and the tree has not. Returns how many the tree has then. About two
/// writes an entry, and never more than one a level.
///
/// # Errors
/// [`AuditError`] where an entry or a node is malformed, or the store's error.
pub fn grow(txn: &mut dyn Txn, limit: usize) -> Result<u64, AuditError> {
    let before = size(&*txn)?;
    let mut leaves = Vec::new();
    each(&*txn, before.saturating_add(1), &mut |entry| {
        if leaves.len() >= limit {
            return Ok(ControlFlow::Break(()));
        }
        leaves.push(leaf(&entry.hash));
        Ok(ControlFlow::Continue(()))
    })?;
    let mut after = before;
    for leaf in leaves {
        add(txn, after, leaf)?;
        after = after.saturating_add(1);
    }
    if after > before {
        txn.put(SIZE, KEY, &after.to_be_bytes())?;
    }
    Ok(after)
}

/// Adds a leaf, and every subtree it completes.
fn add(txn: &mut dyn Txn, at: u64, leaf: B256) -> Result<(), AuditError> {
    let (mut level, mut at, mut hash) = (0, at, leaf);
    loop {
        txn.put(NODES, &key(level, at), hash.as_slice())?;
        if at & 1 == 0 {
            return Ok(());
        }
        hash = node(&read_node(&*txn, level, at - 1)?, &hash);
        (level, at) = (level + 1, at >> 1);
    }
}

/// The size and root of the log when it had `size` entries.
///
/// # Errors
/// [`Damage::Tree`] where the tree has not so many, or the store's error.
pub fn checkpoint(read: &dyn Read, size: u64) -> Result<Checkpoint, AuditError> {
    let hash = if size == 0 { root(&[]) } else { range(read, 0, size)? };
    Ok(Checkpoint { sequence: size, hash })
}

/// The hashes that lead from the entry of this sequence number to the root of the log of `size` entries (RFC 6962, section
/// 2.1.1): [`included`](crate::merkle::included) checks them. None where such a log has no such entry.
///
/// # Errors
/// [`Damage::Tree`] where the tree has not so many, or the store's error.
pub fn inclusion(read: &dyn Read, sequence: u64, size: u64) -> Result<Option<Vec<B256>>, AuditError> {
    if sequence == 0 || sequence > size {
        return Ok(None);
    }
    let mut path = Vec::new();
    let (mut start, mut len, at) = (0, size, sequence - 1);
    // From the root down; the path is told from below.
    while len > 1 {
        let left = split(len);
        if at < start + left {
            path.push(range(read, start + left, len - left)?);
            len = left;
        } else {
            path.push(range(read, start, left)?);
            (start, len) = (start + left, len - left);
        }
    }
    path.reverse();
    Ok(Some(path))
}

/// The hashes that show that the log of `before` entries is the beginning of that of `after` (RFC 6962, section 2.1.2):
/// [`consistent`](crate::merkle::consistent) checks them. None where `before` is 0 or more than `after`.
///
/// # Errors
/// [`Damage::Tree`] where the tree has not so many, or the store's error.
pub fn consistency(read: &dyn Read, before: u64, after: u64) -> Result<Option<Vec<B256>>, AuditError> {
    if before == 0 || before > after {
        return Ok(None);
    }
    let mut path = Vec::new();
    let (mut start, mut len, mut rest, mut whole) = (0, after, before, true);
    // From the root down; the path is told from below.
    while rest != len {
        let left = split(len);
        if rest <= left {
            path.push(range(read, start + left, len - left)?);
            len = left;
        } else {
            path.push(range(read, start, left)?);
            (start, len, rest, whole) = (start + left, len - left, rest - left, false);
        }
    }
    if !whole {
        path.push(range(read, start, len)?);
    }
    path.reverse();
    Ok(Some(path))
}

/// The root over `len` entries from `start` on: a complete subtree is read, another is two smaller ones.
fn range(read: &dyn Read, start: u64, len: u64) -> Result<B256, AuditError> {
    if len.is_power_of_two() && start.is_multiple_of(len) {
        let level = u8::try_from(len.ilog2()).map_err(|_| damaged(start))?;
        return read_node(read, level, start / len);
    }
    let left = split(len);
    Ok(node(&range(read, start, left)?, &range(read, start + left, len - left)?))
}

fn read_node(read: &dyn Read, level: u8, at: u64) -> Result<B256, AuditError> {
    let bytes = read.get(NODES, &key(level, at))?;
    bytes.and_then(|bytes| B256::try_from(bytes.as_slice()).ok()).ok_or_else(|| damaged(at))
}

fn key(level: u8, at: u64) -> [u8; 9] {
    let mut key = [level; 9];
    key.iter_mut().skip(1).zip(at.to_be_bytes()).for_each(|(to, from)| *to = from);
    key
}

fn damaged(sequence: u64) -> AuditError {
    AuditError::Damaged { sequence, damage: Damage::Tree }
}
