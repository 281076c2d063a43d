//! The Merkle tree over a log's entries, as RFC 6962 section 2.1 has it: SHA-256, leaves under 0x00, nodes under 0x01.
//! A leaf's input is the hash of its entry. Pure.
//!
//! A root stands for a log of one size. [`inclusion`] shows with a few hashes that an entry is in it, and
//! [`consistency`] that a later log has all of it as its beginning.

use quorate_types::B256;
use sha2::{Digest, Sha256};

/// What an entry is in the tree.
pub fn leaf(entry: &B256) -> B256 {
    let mut hasher = Sha256::new_with_prefix([0]);
    hasher.update(entry);
    B256::from(<[u8; 32]>::from(hasher.finalize()))
}

pub(crate) fn node(left: &B256, right: &B256) -> B256 {
    let mut hasher = Sha256::new_with_prefix([1]);
    hasher.update(left);
    hasher.update(right);
    B256::from(<[u8; 32]>::from(hasher.finalize()))
}

/// The root over leaves; that of no leaves is the hash of nothing.
pub fn root(leaves: &[B256]) -> B256 {
    match leaves {
        [] => B256::from(<[u8; 32]>::from(Sha256::digest([]))),
        [only] => *only,
        _ => {
            let (left, right) = halves(leaves);
            node(&root(left), &root(right))
        }
    }
}

/// The largest power of two below `size`, which is at least 2.
pub(crate) const fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

/// The leaves on either side of it.
fn halves(leaves: &[B256]) -> (&[B256], &[B256]) {
    leaves.split_at(usize::try_from(split(leaves.len() as u64)).unwrap_or(leaves.len()))
}

/// The hashes that lead from the leaf at `index` (from 0) to the root; none where there is no such leaf.
pub fn inclusion(leaves: &[B256], index: usize) -> Option<Vec<B256>> {
    if index >= leaves.len() {
        return None;
    }
    if leaves.len() == 1 {
        return Some(Vec::new());
    }
    let (left, right) = halves(leaves);
    let (mut path, beside) = match index.checked_sub(left.len()) {
        None => (inclusion(left, index)?, root(right)),
        Some(index) => (inclusion(right, index)?, root(left)),
    };
    path.push(beside);
    Some(path)
}

/// Whether `path` leads from `leaf`, the one at `index` of `size`, to `root` (RFC 9162, section 2.1.3.2).
pub fn included(leaf: &B256, (index, size): (u64, u64), path: &[B256], root: &B256) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last, mut hash) = (index, size - 1, *leaf);
    for beside in path {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node(beside, &hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node(&hash, beside);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// The hashes that show that the first `before` leaves are the beginning of all; none where there are not so many.
pub fn consistency(leaves: &[B256], before: usize) -> Option<Vec<B256>> {
    if before == 0 || before > leaves.len() {
        return None;
    }
    Some(subproof(leaves, before, true))
}

fn subproof(leaves: &[B256], before: usize, whole: bool) -> Vec<B256> {
    if before == leaves.len() {
        return if whole { Vec::new() } else { vec![root(leaves)] };
    }
    let (left, right) = halves(leaves);
    let (mut path, beside) = match before.checked_sub(left.len()) {
        None | Some(0) => (subproof(left, before, whole), root(right)),
        Some(rest) => (subproof(right, rest, false), root(left)),
    };
    path.push(beside);
    path
}

/// Whether `path` shows that the log of `before` (its size and root) is the beginning of `after` (RFC 9162, section
/// 2.1.4.2).
pub fn consistent(before: (u64, &B256), after: (u64, &B256), path: &[B256]) -> bool {
    let ((size, old), (later, new)) = (before, after);
    if size == 0 || size > later {
        return false;
    }
    if size == later {
        return path.is_empty() && old == new;
    }
    // Where the older tree is a whole subtree of the later one, its root is the first hash and is not repeated.
    let mut path = path.iter();
    let first = if size.is_power_of_two() { Some(old) } else { path.next() };
    let Some(first) = first else { return false };
    let (mut at, mut last) = (size - 1, later - 1);
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    let (mut was, mut is) = (*first, *first);
    for beside in path {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            was = node(beside, &was);
            is = node(beside, &is);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            is = node(&is, beside);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && was == *old && is == *new
}
