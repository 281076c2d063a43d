//! The text that is hashed, and where it is kept.

use quorate_types::{B256, Transcript, UnixMillis, WalletId};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::Entry;
use crate::canonical::to_json;
use crate::error::{AuditError, Damage, EventError};
use crate::event::check_kind;

/// Entries, by sequence number as 8 bytes big-endian.
pub(crate) const ENTRIES: &str = "audit_entry";

/// The form of an entry; part of what is hashed.
const VERSION: u64 = 1;

/// What the first entry names as the hash before it.
pub(crate) const GENESIS: B256 = B256::ZERO;

/// What an entry says.
pub(crate) struct Line<'a> {
    pub(crate) seq: u64,
    pub(crate) at_ms: UnixMillis,
    pub(crate) prev: B256,
    pub(crate) kind: &'a str,
    pub(crate) wallet: Option<&'a WalletId>,
    pub(crate) fields: &'a Map<String, Value>,
}

impl Line<'_> {
    /// The canonical text: the members are written in the order of their names.
    ///
    /// # Errors
    /// [`EventError`] where the event has none.
    pub(crate) fn text(&self) -> Result<String, EventError> {
        check_kind(self.kind)?;
        let Self { seq, at_ms, prev, kind, wallet, fields } = self;
        let fields = to_json(fields)?;
        let prev = hex::encode(prev);
        // Neither a kind nor a wallet's name has a character that JSON escapes.
        let wallet = wallet.map_or_else(|| "null".to_owned(), |name| format!("\"{name}\""));
        Ok(format!(
            r#"{{"at_ms":{at_ms},"fields":{fields},"kind":"{kind}","prev":"{prev}","seq":{seq},"v":{VERSION},"wallet":{wallet}}}"#
        ))
    }
}

/// An entry as JSON gives it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    v: u64,
    seq: u64,
    at_ms: UnixMillis,
    prev: String,
    kind: String,
    wallet: Option<WalletId>,
    fields: Map<String, Value>,
}

/// Reads the entry stored under `key`: exactly what [`Line::text`] would write, at the place it says it is for.
pub(crate) fn parse(key: &[u8], bytes: &[u8]) -> Result<Entry, AuditError> {
    // Entries count from 1, so 0 stands for a key that is no number at all.
    let sequence = key.try_into().map_or(0, u64::from_be_bytes);
    let damaged = |damage| AuditError::Damaged { sequence, damage };
    let entry = canonical_entry(bytes).ok_or(damaged(Damage::Malformed))?;
    match entry.sequence {
        _ if sequence == 0 => Err(damaged(Damage::Malformed)),
        says if says != sequence => Err(damaged(Damage::Misplaced { says })),
        _ => Ok(entry),
    }
}

pub(crate) fn canonical_entry(bytes: &[u8]) -> Option<Entry> {
    let text = std::str::from_utf8(bytes).ok()?;
    let Stored { v, seq, at_ms, prev, kind, wallet, fields } = serde_json::from_str(text).ok()?;
    let mut hash_before = [0; 32];
    hex::decode_to_slice(prev, &mut hash_before).ok()?;
    let prev = B256::from(hash_before);
    let line = Line { seq, at_ms, prev, kind: &kind, wallet: wallet.as_ref(), fields: &fields };
    if v != VERSION || line.text().ok()? != text {
        return None;
    }
    let (hash, json) = (hash(text), text.to_owned());
    Some(Entry { sequence: seq, at: at_ms, prev, hash, kind, wallet, fields, json })
}

/// SHA-256 over `len(domain) | domain | len(text) | text` with the domain `quorate/audit/v1` and lengths as 8 bytes
/// big-endian.
pub(crate) fn hash(text: &str) -> B256 {
    Transcript::new("quorate/audit/v1").field(text.as_bytes()).finish()
}
