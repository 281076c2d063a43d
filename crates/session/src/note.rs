//! Checkpoints of logs and their cosignatures, as text: C2SP tlog-checkpoint, signed-note and tlog-cosignature (v1). Whoever
//! knows the manifest's keys checks them, with tools of others too.
//!
//! A node cosigns with its identity key. What that key signs otherwise is always a hash of 32 bytes, and these texts are longer,
//! so that no signature of one passes for one of the other.

use std::fmt;

use base64ct::{Base64, Encoding};
use quorate_types::{B256, ClusterId, NodeId, UnixMillis};
use sha2::{Digest, Sha256};

use crate::{BadSignature, NodeKey, NodePublicKey};

/// C2SP's number for a timestamped Ed25519 cosignature.
const COSIGNATURE: u8 = 4;
/// What a signature line begins with.
const DASH: &str = "\u{2014} ";
/// Longest note, in bytes.
pub const MAX_NOTE_BYTES: usize = 16 * 1024;

/// The text is no note.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NoteError {
    /// Not of the form that C2SP gives.
    #[error("checkpoint: malformed: {0}")]
    Malformed(&'static str),
    /// A line under a key that is known, which does not hold.
    #[error("checkpoint: the cosignature of {0} does not hold")]
    Signature(String),
}

/// A log's size and root under its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogCheckpoint {
    /// The log, such as `quorate/acme/coordinator-1`: see [`log_origin`].
    pub origin: String,
    /// How many entries.
    pub size: u64,
    /// Their root (RFC 6962).
    pub root: B256,
}

/// The name of the log of a coordinator or a node.
pub fn log_origin(cluster: &ClusterId, whose: &str) -> String {
    format!("quorate/{cluster}/{whose}")
}

/// The name of a node's own log. A restore from a backup begins another log, so from then on the name says when it was, in
/// Unix milliseconds; 0 where the node never was restored.
pub fn node_log_origin(cluster: &ClusterId, node: &NodeId, life: UnixMillis) -> String {
    let origin = log_origin(cluster, node.as_str());
    if life == 0 { origin } else { format!("{origin}/{life}") }
}

impl LogCheckpoint {
    /// The node this is the own log of, of `nodes`, and when that log began: see [`node_log_origin`].
    pub fn node_log<'a>(
        &self,
        cluster: &ClusterId,
        nodes: impl IntoIterator<Item = &'a NodeId>,
    ) -> Option<(&'a NodeId, UnixMillis)> {
        let own = |node: &'a NodeId| {
            let rest = self.origin.strip_prefix(&log_origin(cluster, node.as_str()))?;
            let life = rest.strip_prefix('/').map_or(Some(0), |life| life.parse().ok())?;
            (node_log_origin(cluster, node, life) == self.origin).then_some((node, life))
        };
        nodes.into_iter().find_map(own)
    }

    /// Reads three lines, and nothing else.
    ///
    /// # Errors
    /// [`NoteError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let wrong = NoteError::Malformed;
        let lines: Vec<&str> =
            text.strip_suffix('\n').ok_or(wrong("no newline at its end"))?.split('\n').collect();
        let [origin, size, root] = lines.as_slice() else { return Err(wrong("expected three lines")) };
        let printable = |byte: u8| byte.is_ascii_graphic() && byte != b'+';
        if origin.is_empty() || origin.len() > 256 || !origin.bytes().all(printable) {
            return Err(wrong("its origin"));
        }
        let number: u64 = size.parse().map_err(|_| wrong("its size"))?;
        let root = Base64::decode_vec(root).map_err(|_| wrong("its root"))?;
        let root = B256::try_from(root.as_slice()).map_err(|_| wrong("its root"))?;
        let checkpoint = Self { origin: (*origin).to_owned(), size: number, root };
        // One text for each: no zeros before the size, no sign.
        if checkpoint.to_string() == text { Ok(checkpoint) } else { Err(wrong("not in its one spelling")) }
    }

    fn cosigned(&self, timestamp_s: u64) -> String {
        format!("cosignature/v1\ntime {timestamp_s}\n{self}")
    }
}

impl fmt::Display for LogCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, Base64::encode_string(self.root.as_slice()))
    }
}

/// "When I last looked, this log had all of what I saw of it before."
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cosignature {
    /// When, in Unix seconds, by the cosigner's clock.
    pub timestamp_s: u64,
    /// Ed25519.
    pub signature: [u8; 64],
}

impl NodeKey {
    /// Cosigns a checkpoint that was found to continue what this node saw before: the caller's duty.
    pub fn cosign(&self, checkpoint: &LogCheckpoint, timestamp_s: u64) -> Cosignature {
        Cosignature { timestamp_s, signature: self.sign_text(&checkpoint.cosigned(timestamp_s)) }
    }
}

impl NodePublicKey {
    /// Checks a cosignature of a checkpoint.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify_cosignature(
        &self,
        checkpoint: &LogCheckpoint,
        cosignature: &Cosignature,
    ) -> Result<(), BadSignature> {
        self.verify_text(&checkpoint.cosigned(cosignature.timestamp_s), &cosignature.signature)
    }
}

/// A checkpoint with its cosignatures, as it is kept and handed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What is cosigned.
    pub checkpoint: LogCheckpoint,
    /// Name, key id and cosignature, one a line.
    lines: Vec<(String, [u8; 4], Cosignature)>,
}

impl Note {
    /// A note that nobody cosigned yet.
    pub const fn new(checkpoint: LogCheckpoint) -> Self {
        Self { checkpoint, lines: Vec::new() }
    }

    /// Adds a node's cosignature. Whether it holds is for [`Note::cosigners`].
    pub fn push(
        &mut self,
        cluster: &ClusterId,
        (node, key): (&NodeId, &NodePublicKey),
        cosignature: Cosignature,
    ) {
        let name = log_origin(cluster, node.as_str());
        let id = key_id(&name, key);
        self.lines.push((name, id, cosignature));
    }

    /// When the first of its cosigners signed it, in Unix seconds; none where nobody did. An older checkpoint is as well
    /// cosigned as a new one, and says less.
    pub fn cosigned_at(&self) -> Option<u64> {
        self.lines.iter().map(|(_, _, cosignature)| cosignature.timestamp_s).min()
    }

    /// Reads a note. Lines of another kind of signature are left out, as the format asks.
    ///
    /// # Errors
    /// [`NoteError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        if text.len() > MAX_NOTE_BYTES {
            return Err(NoteError::Malformed("too long"));
        }
        let (body, signatures) = text.split_once("\n\n").ok_or(NoteError::Malformed("no empty line"))?;
        let checkpoint = LogCheckpoint::parse(&format!("{body}\n"))?;
        let signatures =
            signatures.strip_suffix('\n').ok_or(NoteError::Malformed("no newline at its end"))?;
        let mut lines = Vec::new();
        for line in signatures.split('\n') {
            lines.extend(read_line(line)?);
        }
        Ok(Self { checkpoint, lines })
    }

    /// What one node says of it, by its key: of a checkpoint of its own log that is its signature. None where it says nothing.
    ///
    /// # Errors
    /// [`NoteError::Signature`] where a line under that key does not hold.
    pub fn cosignature(
        &self,
        cluster: &ClusterId,
        (node, key): (&NodeId, &NodePublicKey),
    ) -> Result<Option<Cosignature>, NoteError> {
        let name = log_origin(cluster, node.as_str());
        let id = key_id(&name, key);
        let mut found = None;
        for (_, _, cosignature) in self.lines.iter().filter(|(by, with, _)| *by == name && *with == id) {
            key.verify_cosignature(&self.checkpoint, cosignature)
                .map_err(|_| NoteError::Signature(node.to_string()))?;
            found = Some(*cosignature);
        }
        Ok(found)
    }

    /// The same with the lines of these nodes alone, in their order: none that cannot be checked.
    ///
    /// # Errors
    /// As [`Self::cosignature`].
    pub fn only<'a>(
        &self,
        cluster: &ClusterId,
        nodes: impl IntoIterator<Item = (&'a NodeId, &'a NodePublicKey)>,
    ) -> Result<Self, NoteError> {
        let mut only = Self::new(self.checkpoint.clone());
        for hand in nodes {
            if let Some(line) = self.cosignature(cluster, hand)? {
                only.push(cluster, hand, line);
            }
        }
        Ok(only)
    }

    /// The nodes that cosigned it, by the keys of `nodes`. Lines under keys that are not among them say nothing.
    ///
    /// # Errors
    /// [`NoteError::Signature`] where a line under a known key does not hold.
    pub fn cosigners<'a>(
        &self,
        cluster: &ClusterId,
        nodes: impl IntoIterator<Item = (&'a NodeId, &'a NodePublicKey)>,
    ) -> Result<Vec<&'a NodeId>, NoteError> {
        let mut found = Vec::new();
        for (node, key) in nodes {
            found.extend(self.cosignature(cluster, (node, key))?.map(|_| node));
        }
        Ok(found)
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.checkpoint)?;
        for (name, id, Cosignature { timestamp_s, signature }) in &self.lines {
            let bytes = [&id[..], &timestamp_s.to_be_bytes(), signature].concat();
            writeln!(f, "{DASH}{name} {}", Base64::encode_string(&bytes))?;
        }
        Ok(())
    }
}

/// `SHA-256(name || 0x0A || 0x04 || key)`, its first four bytes.
fn key_id(name: &str, key: &NodePublicKey) -> [u8; 4] {
    let mut hash = Sha256::new_with_prefix(name.as_bytes());
    hash.update([b'\n', COSIGNATURE]);
    hash.update(key.as_bytes());
    let [a, b, c, d, ..] = <[u8; 32]>::from(hash.finalize());
    [a, b, c, d]
}

fn read_line(line: &str) -> Result<Option<(String, [u8; 4], Cosignature)>, NoteError> {
    let wrong = || NoteError::Malformed("a signature line");
    let (name, text) = line.strip_prefix(DASH).and_then(|rest| rest.split_once(' ')).ok_or_else(wrong)?;
    let bytes = Base64::decode_vec(text).map_err(|_| wrong())?;
    let (id, rest) = bytes.split_first_chunk::<4>().ok_or_else(wrong)?;
    let Some((timestamp, signature)) = rest.split_first_chunk::<8>() else { return Ok(None) };
    let Ok(signature) = <[u8; 64]>::try_from(signature) else { return Ok(None) };
    let cosignature = Cosignature { timestamp_s: u64::from_be_bytes(*timestamp), signature };
    Ok(Some((name.to_owned(), *id, cosignature)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_core::OsRng;

    fn cluster() -> ClusterId {
        "acme".parse().unwrap()
    }

    fn checkpoint() -> LogCheckpoint {
        let origin = log_origin(&cluster(), "coordinator-1");
        LogCheckpoint { origin, size: 20852163, root: B256::repeat_byte(7) }
    }

    fn node(name: &str) -> (NodeId, NodeKey) {
        (name.parse().unwrap(), NodeKey::generate(&mut OsRng))
    }

    fn note(nodes: &[(NodeId, NodeKey)]) -> Note {
        let mut note = Note::new(checkpoint());
        for (id, key) in nodes {
            note.push(&cluster(), (id, &key.public()), key.cosign(&checkpoint(), 1679315147));
        }
        note
    }

    #[test]
    fn a_note_reads_as_it_was_written_and_names_who_cosigned() {
        let nodes = [node("agent-1"), node("service-1")];
        let text = note(&nodes).to_string();
        assert!(text.starts_with("quorate/acme/coordinator-1\n20852163\nBwcH"), "{text}");
        assert!(text.contains("\n\n\u{2014} quorate/acme/agent-1 "), "{text}");
        let read = Note::parse(&text).unwrap();
        assert_eq!(read.to_string(), text);
        let keys: Vec<_> = nodes.iter().map(|(id, key)| (id.clone(), key.public())).collect();
        let known = || keys.iter().map(|(id, key)| (id, key));
        assert_eq!(read.cosigners(&cluster(), known()), Ok(vec![&nodes[0].0, &nodes[1].0]));
        assert_eq!(read.cosigners(&cluster(), known().take(1)), Ok(vec![&nodes[0].0]), "others say nothing");
        assert_eq!(read.cosigners(&"other".parse().unwrap(), known()), Ok(vec![]));
        let (stranger, _) = node("agent-1");
        let key = NodeKey::generate(&mut OsRng).public();
        assert_eq!(read.cosigners(&cluster(), [(&stranger, &key)]), Ok(vec![]), "another key of that name");
    }

    #[test]
    fn any_change_of_what_was_cosigned_is_found() {
        let nodes = [node("agent-1")];
        let good = note(&nodes);
        let key = nodes[0].1.public();
        let judge = |note: &Note| note.cosigners(&cluster(), [(&nodes[0].0, &key)]).map(|by| by.len());
        assert_eq!(judge(&good), Ok(1));
        let bad = Err(NoteError::Signature("agent-1".to_owned()));
        for change in [
            (|note: &mut Note| note.checkpoint.size -= 1) as fn(&mut Note),
            |note| note.checkpoint.root = B256::ZERO,
            |note| note.checkpoint.origin.push('0'),
            |note| note.lines[0].2.timestamp_s += 1,
            |note| note.lines[0].2.signature[9] ^= 1,
        ] {
            let mut changed = good.clone();
            change(&mut changed);
            assert_eq!(judge(&changed), bad);
        }
    }

    #[test]
    fn what_is_no_note_is_refused() {
        let good = note(&[node("agent-1")]).to_string();
        let long = "a".repeat(MAX_NOTE_BYTES + 1);
        for bad in [
            "".to_owned(),
            long,
            good.trim_end().to_owned(),
            good.replace("\n\n", "\n"),
            good.replace("20852163", "020852163"),
            good.replace("20852163", "+20852163"),
            good.replace("20852163", "x"),
            good.replace("BwcH", "Bw=H"),
            good.replace("acme/coordinator-1", "acme/coor dinator-1"),
            good.replace("\n\n", "\nmore\n\n"),
            good.replace(DASH, "- "),
            good.replace("agent-1 ", "agent-1 !"),
        ] {
            assert!(Note::parse(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_log_is_of_one_node_and_one_life() {
        let nodes = ["service-1", "service-11"].map(|name| name.parse::<NodeId>().unwrap());
        let read = |origin: &str| {
            let checkpoint = LogCheckpoint { origin: origin.to_owned(), ..checkpoint() };
            checkpoint.node_log(&cluster(), &nodes).map(|(node, life)| (node.to_string(), life))
        };
        for life in [0, 7, u64::MAX] {
            for node in &nodes {
                let origin = node_log_origin(&cluster(), node, life);
                assert_eq!(read(&origin), Some((node.to_string(), life)), "{origin}");
            }
        }
        for other in [
            "quorate/acme/service-2",
            "quorate/acme/service",
            "quorate/other/service-1",
            "quorate/acme/service-1/",
            "quorate/acme/service-1/0",
            "quorate/acme/service-1/07",
            "quorate/acme/service-1/+7",
            "quorate/acme/service-1/7/7",
            "quorate/acme/service-1/18446744073709551616",
            "quorate/acme/service-1x",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn a_cosignature_is_never_over_a_hash_of_32_bytes() {
        assert!(checkpoint().cosigned(0).len() > 32);
    }
}
