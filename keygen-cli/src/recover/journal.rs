//! What a sweep signs, on disk before it is signed: whoever runs it again gets the same transactions, and never a second
//! one for a nonce.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use quorate_types::{Address, B256, Signature};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::plan::Move;
use crate::files;
use crate::refusal::{OrRefuse, Refusal};

const JOURNAL: &str = "journal.jsonl";
const RAW: &str = "raw-transactions.txt";
const CALLS: &str = "authorizations.jsonl";

/// What can be used once: the chain takes one transaction for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Slot {
    /// The wallet's transaction of that nonce.
    Transaction(u64),
    /// The wallet's EIP-3009 authorization of that nonce, of that token.
    Authorization {
        /// The token.
        token: Address,
        /// The authorization's nonce.
        nonce: B256,
    },
}

/// One wallet's moves.
#[derive(Debug)]
pub(crate) struct Job {
    /// The wallet's address.
    pub(crate) from: Address,
    /// What to sign, in order.
    pub(crate) moves: Vec<Move>,
}

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Swept {
    /// The wallet's address.
    pub(crate) from: Address,
    /// EIP-155 chain id.
    pub(crate) chain: u64,
    /// What it uses up.
    pub(crate) slot: Slot,
    /// What it does.
    pub(crate) summary: String,
    /// The unsigned payload, as hex.
    unsigned: String,
    /// The signed transaction, or the call that carries a signed authorization, as hex. None in the line that is written
    /// before it is signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) raw: Option<String>,
    /// The signature alone, `r || s || v` as hex, for the transcript.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
}

type Key = (Address, u64, Slot);

/// A sweep's journal. One sweep writes to it at a time.
pub(crate) struct Journal {
    dir: PathBuf,
    file: File,
    path: PathBuf,
    known: BTreeMap<Key, Swept>,
}

/// The files to broadcast from.
pub(crate) struct Broadcast {
    /// One raw transaction a line.
    pub(crate) raw: PathBuf,
    /// One call with a signed authorization a line; none where nothing was authorized.
    pub(crate) calls: Option<PathBuf>,
}

impl Swept {
    /// What would be signed for a move.
    pub(crate) fn planned(from: Address, planned: &Move) -> Self {
        Self {
            from,
            chain: planned.chain,
            slot: planned.slot,
            summary: planned.decoded.intent.summary(),
            unsigned: hex::encode(planned.payload.as_bytes()),
            raw: None,
            signature: None,
        }
    }

    /// The same line, with what the network takes.
    pub(crate) fn signed(self, raw: String, signature: &Signature) -> Self {
        Self { raw: Some(raw), signature: Some(hex::encode(signature.to_bytes())), ..self }
    }

    /// The signature, where there is one.
    pub(crate) fn signature(&self) -> Option<Vec<u8>> {
        hex::decode(self.signature.as_ref()?).ok()
    }

    const fn key(&self) -> Key {
        (self.from, self.chain, self.slot)
    }

    fn slot_words(&self) -> String {
        match self.slot {
            Slot::Transaction(nonce) => format!("nonce {nonce} on chain {}", self.chain),
            Slot::Authorization { token, nonce } => {
                format!("authorization {nonce} of token {token} on chain {}", self.chain)
            }
        }
    }
}

impl Journal {
    /// Opens or begins the journal in `dir`. A line a crash cut short is removed: where it was written before signing,
    /// nothing was signed; where after, the same payload is signed again.
    ///
    /// # Errors
    /// A [`Refusal`] where it cannot be read, or another sweep has it.
    pub(crate) fn open(dir: &Path) -> Result<Self, Refusal> {
        files::private_dir(dir)?;
        let path = dir.join(JOURNAL);
        let opened =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let mut file = opened.or_invalid(path.display())?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
            Refusal::conflict(format!("{}: another sweep is writing to it", path.display())).field("--out")
        })?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).or_invalid(path.display())?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let known = read(text.get(..whole).unwrap_or_default(), &path)?;
        file.set_len(whole as u64)
            .and_then(|()| file.seek(SeekFrom::End(0)).map(drop))
            // The name too: a journal that a crash unlinked would sign everything anew.
            .and_then(|()| File::open(dir)?.sync_all())
            .or_internal(path.display())?;
        Ok(Self { dir: dir.to_owned(), file, path, known })
    }

    /// Checks all that is planned, before anything is signed: nothing takes a slot twice, neither in the plan nor beside
    /// what the journal has.
    ///
    /// # Errors
    /// A [`Refusal`] naming the slot.
    pub(crate) fn check(&self, jobs: &[Job]) -> Result<(), Refusal> {
        let mut taken = BTreeSet::new();
        for job in jobs {
            for planned in &job.moves {
                let swept = Swept::planned(job.from, planned);
                if !taken.insert(swept.key()) {
                    let reason = format!("{} of {} is used twice in it", swept.slot_words(), job.from);
                    return Err(Refusal::invalid(reason)
                        .field("--plan")
                        .next("name each wallet and chain once"));
                }
                self.check_free(&swept)?;
            }
        }
        Ok(())
    }

    fn check_free(&self, swept: &Swept) -> Result<(), Refusal> {
        match self.known.get(&swept.key()) {
            Some(known) if known.unsigned != swept.unsigned => Err(Refusal::conflict(format!(
                "{}: {} is taken by: {}; a second, different one is not signed for it",
                self.path.display(),
                known.slot_words(),
                known.summary
            ))
            .field("--plan")
            .next("use the plan the journal was begun with; or, once those are on chain, a plan with the next nonce")),
            _ => Ok(()),
        }
    }

    /// The signed line for a move, where there is one.
    pub(crate) fn signed(&self, from: Address, planned: &Move) -> Option<&Swept> {
        self.known.get(&(from, planned.chain, planned.slot)).filter(|known| known.raw.is_some())
    }

    /// Appends and syncs a line.
    ///
    /// # Errors
    /// A [`Refusal`]: internal, the run must stop.
    pub(crate) fn write(&mut self, swept: &Swept) -> Result<(), Refusal> {
        self.check_free(swept)?;
        let line = serde_json::to_string(swept).or_internal("writing the journal")?;
        self.file
            .write_all(format!("{line}\n").as_bytes())
            .and_then(|()| self.file.sync_data())
            .or_internal(self.path.display())?;
        self.known.insert(swept.key(), swept.clone());
        Ok(())
    }

    /// Writes what is signed of the jobs to the files to broadcast from, in order.
    ///
    /// # Errors
    /// A [`Refusal`] where a file cannot be written.
    pub(crate) fn broadcast(&self, jobs: &[Job]) -> Result<Broadcast, Refusal> {
        let (mut raws, mut calls) = (String::new(), String::new());
        let all = jobs.iter().flat_map(|job| job.moves.iter().map(move |planned| (job.from, planned)));
        for swept in all.filter_map(|(from, planned)| self.signed(from, planned)) {
            let raw = swept.raw.as_deref().unwrap_or_default();
            match swept.slot {
                Slot::Transaction(_) => raws.push_str(&format!("{raw}\n")),
                Slot::Authorization { token, .. } => {
                    let call = serde_json::json!({
                        "chain": swept.chain, "to": token, "data": raw, "from": swept.from, "summary": swept.summary,
                    });
                    calls.push_str(&format!("{call}\n"));
                }
            }
        }
        let raw = self.dir.join(RAW);
        files::replace(&raw, raws.as_bytes())?;
        let file = self.dir.join(CALLS);
        if calls.is_empty() {
            return Ok(Broadcast { raw, calls: None });
        }
        files::replace(&file, calls.as_bytes())?;
        Ok(Broadcast { raw, calls: Some(file) })
    }
}

fn read(text: &[u8], path: &Path) -> Result<BTreeMap<Key, Swept>, Refusal> {
    let mut known: BTreeMap<Key, Swept> = BTreeMap::new();
    let lines = text.strip_suffix(b"\n").map(|text| text.split(|byte| *byte == b'\n'));
    for (at, line) in lines.into_iter().flatten().enumerate() {
        let refuse = |reason: String| {
            Refusal::invalid(format!("{}: line {}: {reason}", path.display(), at + 1))
                .field("--out")
                .next("the journal says what was signed; restore it from a copy, never delete it")
        };
        let swept: Swept = serde_json::from_slice(line).map_err(|error| refuse(error.to_string()))?;
        if known.get(&swept.key()).is_some_and(|before| before.unsigned != swept.unsigned) {
            return Err(refuse(format!(
                "gives {} to another payload than a line before",
                swept.slot_words()
            )));
        }
        known.insert(swept.key(), swept);
    }
    Ok(known)
}
