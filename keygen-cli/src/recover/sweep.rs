//! Signs a plan's transactions one by one. What is going to be signed is on disk before it is: whoever runs this again
//! gets the same transactions, and never a second one for a nonce.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use quorate_intent::signed_transaction;
use quorate_types::{Address, Payload, Signature};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::plan::Move;
use crate::check;
use crate::files;
use crate::refusal::{OrRefuse, Refusal};

const JOURNAL: &str = "journal.jsonl";
const RAW: &str = "raw-transactions.txt";

/// One transaction of the outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Swept {
    /// The wallet's address.
    pub(crate) from: Address,
    /// EIP-155 chain id.
    pub(crate) chain: u64,
    /// Its nonce.
    pub(crate) nonce: u64,
    /// What it does.
    pub(crate) summary: String,
    /// The unsigned transaction, as hex.
    unsigned: String,
    /// The signed transaction, as hex. None in the line that is written before it is signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) raw: Option<String>,
}

type Nonce = (Address, u64, u64);

struct Journal {
    file: File,
    path: PathBuf,
    known: BTreeMap<Nonce, Swept>,
}

/// What a sweep came to.
pub(crate) struct Sweep {
    /// Every transaction, signed.
    pub(crate) transactions: Vec<Swept>,
    /// How many of them had been signed before.
    pub(crate) again: usize,
    /// The file with one raw transaction a line.
    pub(crate) file: PathBuf,
}

/// Signs every move that the journal in `dir` does not have signed yet, with `sign`.
///
/// # Errors
/// A [`Refusal`]; what was signed before it stays in the journal.
pub(crate) fn sweep(
    dir: &Path,
    from: Address,
    moves: &[Move],
    mut sign: impl FnMut(&Payload) -> Result<Signature, Refusal>,
) -> Result<Sweep, Refusal> {
    files::private_dir(dir)?;
    let mut journal = Journal::open(&dir.join(JOURNAL))?;
    let planned: Vec<_> = moves.iter().map(|planned| Swept::planned(from, planned)).collect();
    // All of the plan is checked against the journal before anything is signed.
    for swept in &planned {
        journal.check(swept)?;
    }
    let (mut transactions, mut again) = (Vec::new(), 0);
    for (planned, swept) in moves.iter().zip(planned) {
        let known = journal.known.get(&swept.nonce()).cloned();
        if let Some(done) = known.filter(|known| known.raw.is_some()) {
            again += 1;
            transactions.push(done);
            continue;
        }
        journal.write(&swept)?;
        let signature = sign(&planned.payload)?;
        let signed = Swept { raw: Some(raw(from, planned, &signature)?), ..swept };
        journal.write(&signed)?;
        transactions.push(signed);
    }
    let file = dir.join(RAW);
    let lines = transactions.iter().filter_map(|swept| swept.raw.as_ref()).map(|raw| format!("{raw}\n"));
    files::replace(&file, lines.collect::<String>().as_bytes())?;
    Ok(Sweep { transactions, again, file })
}

/// The signed transaction, read back as the network would read it: by this wallet, and of what was meant.
fn raw(from: Address, planned: &Move, signature: &Signature) -> Result<String, Refusal> {
    let raw = signed_transaction(&planned.payload, signature)
        .ok_or_else(|| Refusal::internal("the payload is no transaction"))?;
    let read = check::signed_transaction(&raw)?;
    if read.signer != from || read.digest != planned.decoded.digest.digest() {
        return Err(Refusal::internal(
            "the signed transaction reads back as another one; it was not written",
        ));
    }
    Ok(format!("0x{}", hex::encode(&raw)))
}

impl Swept {
    fn planned(from: Address, planned: &Move) -> Self {
        Self {
            from,
            chain: planned.chain,
            nonce: planned.nonce,
            summary: planned.decoded.intent.summary(),
            unsigned: hex::encode(planned.payload.as_bytes()),
            raw: None,
        }
    }

    const fn nonce(&self) -> Nonce {
        (self.from, self.chain, self.nonce)
    }
}

impl Journal {
    /// Opens or begins it. One sweep writes to it at a time. A line a crash cut short is removed: where it was written
    /// before signing, nothing was signed; where after, the same transaction is signed again.
    fn open(path: &Path) -> Result<Self, Refusal> {
        let opened =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
        let mut file = opened.or_invalid(path.display())?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
            Refusal::conflict(format!("{}: another sweep is writing to it", path.display())).field("--out")
        })?;
        let mut text = String::new();
        file.read_to_string(&mut text).or_invalid(path.display())?;
        let whole = text.rfind('\n').map_or(0, |at| at + 1);
        let mut known = BTreeMap::new();
        for (at, line) in text.get(..whole).unwrap_or_default().lines().enumerate() {
            let swept: Swept = serde_json::from_str(line).map_err(|error| {
                Refusal::invalid(format!("{}: line {}: {error}", path.display(), at + 1))
                    .field("--out")
                    .next("the journal says what was signed; restore it from a copy, never delete it")
            })?;
            known.insert(swept.nonce(), swept);
        }
        file.set_len(whole as u64)
            .and_then(|()| file.seek(SeekFrom::End(0)).map(drop))
            .or_internal(path.display())?;
        Ok(Self { file, path: path.to_owned(), known })
    }

    /// A nonce that the journal gives to another transaction is never given to this one.
    fn check(&self, swept: &Swept) -> Result<(), Refusal> {
        match self.known.get(&swept.nonce()) {
            Some(known) if known.unsigned != swept.unsigned => Err(Refusal::conflict(format!(
                "{}: nonce {} on chain {} is taken by: {}; a second, different transaction is not signed for it",
                self.path.display(),
                known.nonce,
                known.chain,
                known.summary
            ))
            .field("--plan")
            .next("use the plan the journal was begun with; or, once those are on chain, a plan with the next nonce")),
            _ => Ok(()),
        }
    }

    fn write(&mut self, swept: &Swept) -> Result<(), Refusal> {
        let line = serde_json::to_string(swept).or_internal("writing the journal")?;
        self.file
            .write_all(format!("{line}\n").as_bytes())
            .and_then(|()| self.file.sync_all())
            .or_internal(self.path.display())?;
        self.known.insert(swept.nonce(), swept.clone());
        Ok(())
    }
}
