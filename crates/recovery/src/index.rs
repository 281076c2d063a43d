//! The index beside the sealed files: one line of JSON per file, each signed by the node and chained to the line before.

use quorate_manifest::Manifest;
use quorate_session::NodeKey;
use quorate_types::{Address, B256, ClusterId, GroupId, NodeId, PublicKey, Transcript, UnixMillis, WalletId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const DOMAIN: &str = "quorate/seal-index/v1";

/// Longest line accepted, in bytes.
const MAX_LINE: usize = 4096;

/// Why an index was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("line {line}: {reason}")]
pub struct IndexError {
    /// Which line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
}

/// The key a file's share belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexedWallet {
    /// The wallet.
    pub wallet: WalletId,
    /// The share epoch.
    pub epoch: u32,
    /// The key.
    pub public_key: PublicKey,
    /// Its address.
    pub address: Address,
}

/// One sealed file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Always 1.
    pub version: u8,
    /// 0 for the first line, one more with each.
    pub sequence: u64,
    /// The hash of the line before; zero for the first.
    pub previous: B256,
    /// The cluster.
    pub cluster: ClusterId,
    /// The node that sealed the file.
    pub node: NodeId,
    /// The group.
    pub group: GroupId,
    /// Names the auxiliary info the file is or needs.
    pub aux_hash: B256,
    /// The file's name, in the index's own directory.
    pub file: String,
    /// SHA-256 of the file, as `sha256sum` prints it.
    pub sha256: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// When it was sealed, in Unix milliseconds.
    pub created_at_ms: UnixMillis,
    /// The key whose share it is. None for a group's auxiliary info.
    pub wallet: Option<IndexedWallet>,
}

/// An entry and its node's signature over it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// What is stated.
    pub entry: Entry,
    /// Ed25519 by the node's identity key, as hex.
    pub signature: String,
}

impl Entry {
    fn encode(&self) -> Result<Vec<u8>, String> {
        serde_json::to_vec(self).map_err(|error| error.to_string())
    }

    fn hash(&self) -> Result<B256, String> {
        Ok(Transcript::new(DOMAIN).field(&self.encode()?).finish())
    }

    /// Whether `bytes` are the file this entry lists.
    ///
    /// # Errors
    /// How they differ.
    pub fn check_file(&self, bytes: &[u8]) -> Result<(), String> {
        if bytes.len() as u64 != self.bytes {
            let (found, listed) = (bytes.len(), self.bytes);
            return Err(format!("has {found} bytes, the index says {listed}: cut short or another file"));
        }
        if hex::encode(Sha256::digest(bytes)) != self.sha256 {
            return Err("is not the file of that SHA-256 in the index: altered".to_owned());
        }
        Ok(())
    }

    /// The entry as a line of the index, without its line end.
    ///
    /// # Errors
    /// Where it cannot be encoded.
    pub fn sign(self, key: &NodeKey) -> Result<String, String> {
        let signature = hex::encode(key.sign_statement(DOMAIN, &self.encode()?));
        serde_json::to_string(&Line { entry: self, signature }).map_err(|error| error.to_string())
    }
}

/// Puts `entry` behind the line that is last now.
///
/// # Errors
/// Where that line cannot be encoded or there are too many.
pub fn next_entry(last: Option<&Line>, entry: Entry) -> Result<Entry, String> {
    let Some(last) = last else { return Ok(Entry { sequence: 0, previous: B256::ZERO, ..entry }) };
    let sequence = last.entry.sequence.checked_add(1).ok_or("the index is full")?;
    Ok(Entry { sequence, previous: last.entry.hash()?, ..entry })
}

/// The last whole line of an index, and how many bytes of `text` it and all before it take: what follows was cut short
/// by a crash. Of a long index its end is enough, from the start of any line.
///
/// # Errors
/// [`IndexError`] where that line is not one of an index.
pub fn last_line(text: &[u8]) -> Result<(Option<Line>, usize), IndexError> {
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let lines = text.get(..whole).unwrap_or_default();
    let Some(last) = lines.strip_suffix(b"\n").and_then(|lines| lines.rsplit(|byte| *byte == b'\n').next())
    else {
        return Ok((None, whole));
    };
    let malformed = |error: serde_json::Error| IndexError { line: 0, reason: format!("malformed: {error}") };
    serde_json::from_slice(last).map(|line| (Some(line), whole)).map_err(malformed)
}

/// Reads a whole index and checks every line: its place in the chain, its signature under the node's key in the
/// manifest, one node, no file named twice.
///
/// # Errors
/// [`IndexError`] naming the line.
pub fn read_index(text: &[u8], manifest: &Manifest) -> Result<Vec<Entry>, IndexError> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut files = std::collections::BTreeSet::new();
    let mut previous = B256::ZERO;
    let text = text.strip_suffix(b"\n").ok_or_else(|| IndexError {
        line: 1 + text.iter().filter(|byte| **byte == b'\n').count(),
        reason: "has no line end: the file was cut short".to_owned(),
    })?;
    for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let refuse = |reason: String| IndexError { line: at + 1, reason };
        let entry = read_line(line, manifest).map_err(refuse)?;
        if entry.sequence != at as u64 || entry.previous != previous {
            let reason = "does not follow the line before it: a line was removed, added or moved";
            return Err(refuse(reason.to_owned()));
        }
        if entries.first().is_some_and(|first| first.node != entry.node) {
            return Err(refuse(format!("is by {}, the first by another node", entry.node)));
        }
        if !files.insert(entry.file.clone()) {
            return Err(refuse(format!("names {} again", entry.file)));
        }
        previous = entry.hash().map_err(refuse)?;
        entries.push(entry);
    }
    Ok(entries)
}

fn read_line(line: &[u8], manifest: &Manifest) -> Result<Entry, String> {
    if line.len() > MAX_LINE {
        return Err(format!("{} bytes, at most {MAX_LINE} allowed", line.len()));
    }
    let Line { entry, signature } =
        serde_json::from_slice(line).map_err(|error| format!("malformed: {error}"))?;
    if entry.version != 1 || entry.file.contains('/') || entry.file.starts_with('.') {
        return Err("of another version, or not a plain file name".to_owned());
    }
    if entry.cluster != *manifest.cluster() {
        return Err(format!("is of cluster {}, the manifest of {}", entry.cluster, manifest.cluster()));
    }
    let node =
        manifest.node(&entry.node).ok_or_else(|| format!("the manifest has no node {}", entry.node))?;
    let signature = hex::decode(&signature).map_err(|_| "signature: not hex".to_owned())?;
    node.key
        .verify_statement(DOMAIN, &entry.encode()?, &signature)
        .map_err(|_| format!("not signed by {}: forged or altered", entry.node))?;
    Ok(entry)
}
