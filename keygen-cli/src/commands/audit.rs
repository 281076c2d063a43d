//! `quorate audit`: the coordinator's log, read from it, and checked without it.

mod cosigned;
mod online;

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use quorate_audit::{Checkpoint, Exported, Proof};
use quorate_proto::v1;
use quorate_session::Note;
use quorate_types::NodeId;
use serde_json::{Value, json};
use tonic::Status;

use cosigned::Cosigned;

use crate::cli::Globals;
use crate::client::{Client, ORDINARY, refused, within};
use crate::files::{self, Mode};
use crate::output::{Answer, Output};
use crate::profile::{Caller, Profile};
use crate::refusal::{Kind, OrRefuse, Refusal};
use crate::views::hex;

/// Entries asked for at once.
const PAGE: u32 = 1000;
/// Before a stream that ended is opened again, and how often in a row that may fail.
const FOLLOW: Duration = Duration::from_secs(1);
const FOLLOW_FAILURES: u32 = 30;

/// The audit log.
#[derive(Subcommand)]
pub(crate) enum Audit {
    /// Show the last entries
    Tail {
        /// How many
        #[arg(short = 'n', long, default_value_t = 20)]
        lines: u64,
        /// Go on showing entries as they come
        #[arg(long)]
        follow: bool,
    },
    /// Write the whole log to a new file, one entry a line, and its cosigned checkpoint to FILE.checkpoint; prints its size
    /// and root to keep
    Export {
        /// The file
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Check an exported log without the cluster: edits, deletions and reorders show by themselves, a cut end or a
    /// rewritten log against receipts and earlier roots
    Verify {
        /// The exported log
        file: PathBuf,
        /// A receipt the log must hold, SEQUENCE:HASH; repeat for more
        #[arg(long, value_name = "RECEIPT")]
        receipt: Vec<Checkpoint>,
        /// What an earlier export or verify printed, SIZE:ROOT; repeat for more
        #[arg(long, value_name = "CHECKPOINT")]
        checkpoint: Vec<Checkpoint>,
        #[command(flatten)]
        cosigned: Cosigned,
    },
    /// Write the latest checkpoint that nodes cosigned to a new file
    Checkpoint {
        /// Of this node's own log, as the others cosigned it, and not of the coordinator's
        #[arg(long)]
        node: Option<NodeId>,
        /// The file
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Prove that a receipt's entry is in the log: the coordinator's, by the checkpoint that nodes cosigned and the profile's
    /// manifest, or an exported one, to someone who has only its size and root
    Prove {
        /// The receipt, SEQUENCE:HASH
        receipt: Checkpoint,
        /// An exported log, instead of the coordinator's
        #[arg(long, value_name = "FILE")]
        log: Option<PathBuf>,
        /// Where the proof goes; the checkpoint it is for goes to FILE.checkpoint, where the coordinator answered it
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        #[command(flatten)]
        cosigned: Cosigned,
    },
    /// Check such a proof without the log
    Check {
        /// The proof
        proof: PathBuf,
        /// The size and root the log is known by, SIZE:ROOT
        #[arg(long, value_name = "CHECKPOINT", required_unless_present = "cosigned")]
        checkpoint: Option<Checkpoint>,
        #[command(flatten)]
        cosigned: Cosigned,
    },
}

pub(crate) async fn run(command: Audit, globals: &Globals, output: Output) -> Result<Answer, Refusal> {
    match command {
        Audit::Tail { lines, follow } => tail(globals, output, (lines, follow)).await,
        Audit::Export { out } => export(globals, &out).await,
        Audit::Verify { file, receipt, mut checkpoint, cosigned } => {
            let known = cosigned.read()?;
            checkpoint.extend(known.iter().map(|known| known.checkpoint));
            verify((&file, known.map(|known| known.words)), &receipt, &checkpoint)
        }
        Audit::Checkpoint { node, out } => write_checkpoint(globals, node.as_ref(), &out).await,
        Audit::Prove { receipt, log: Some(log), out, cosigned } => {
            prove(&receipt, (&log, cosigned.read()?.map(|known| known.checkpoint)), &out)
        }
        Audit::Prove { receipt, log: None, out, cosigned } => {
            online::prove(globals, &receipt, cosigned.count()?, &out).await
        }
        Audit::Check { proof, checkpoint, cosigned } => {
            let known = cosigned.read()?.map(|known| known.checkpoint);
            let known = checkpoint.into_iter().chain(known);
            check(&proof, &known.collect::<Vec<_>>())
        }
    }
}

async fn connect(globals: &Globals) -> Result<Client, Refusal> {
    Client::connect(&Profile::find(globals, Caller::Operator)?).await
}

async fn head(client: &Client) -> Result<v1::Receipt, Refusal> {
    let answer = client.audit().head(within(v1::HeadRequest {}, ORDINARY)).await.map_err(refused)?;
    answer.into_inner().head.ok_or_else(|| Refusal::internal("the coordinator answered without a head"))
}

pub(crate) async fn page(client: &Client, from: u64) -> Result<v1::ListEntriesResponse, Refusal> {
    let request = v1::ListEntriesRequest { from, page_size: PAGE };
    Ok(client.audit().list(within(request, ORDINARY)).await.map_err(refused)?.into_inner())
}

async fn tail(globals: &Globals, output: Output, (lines, follow): (u64, bool)) -> Result<Answer, Refusal> {
    let client = connect(globals).await?;
    let mut next = head(&client).await?.sequence.saturating_sub(lines).saturating_add(1);
    if follow {
        return watch(&client, output, next).await;
    }
    let mut shown = Vec::new();
    while next > 0 {
        let page = page(&client, next).await?;
        for entry in page.entries {
            let entry: Value = serde_json::from_str(&entry).or_internal("an entry of the log")?;
            shown.push(entry);
        }
        next = page.next;
    }
    let text = shown.iter().map(words).collect::<Vec<_>>().join("\n");
    Answer::new(&json!({ "entries": shown }), text)
}

/// Shows entries as they come, until somebody stops it. Where the stream ends it is opened again where it ended, so that none
/// is left out.
async fn watch(client: &Client, output: Output, mut next: u64) -> Result<Answer, Refusal> {
    let mut failures = 0_u32;
    loop {
        let Err(status) = stream(client, output, &mut next, &mut failures).await;
        let refusal = refused(status);
        if refusal.kind != Kind::Unavailable || failures >= FOLLOW_FAILURES {
            return Err(refusal);
        }
        failures = failures.saturating_add(1);
        output.note(&refusal.reason);
        tokio::time::sleep(FOLLOW).await;
    }
}

async fn stream(
    client: &Client,
    output: Output,
    next: &mut u64,
    failures: &mut u32,
) -> Result<Infallible, Status> {
    let mut stream = client.audit().watch_events(v1::WatchEventsRequest { from: *next }).await?.into_inner();
    loop {
        let Some(news) = stream.message().await? else {
            return Err(Status::unavailable(format!("the stream ended: going on from {next}")));
        };
        *failures = 0;
        for entry in &news.entries {
            let entry: Value = serde_json::from_str(entry)
                .map_err(|_| Status::data_loss("an entry of the log cannot be read"))?;
            output.say(&words(&entry));
        }
        *next = news.next;
    }
}

/// One line for a person.
fn words(entry: &Value) -> String {
    let text = |name: &str| entry.get(name).map(Value::to_string).unwrap_or_default().replace('"', "");
    let wallet = entry.get("wallet").and_then(Value::as_str).unwrap_or("-");
    let fields = entry.get("fields").map(Value::to_string).unwrap_or_default();
    format!("{} {} {} {wallet} {fields}", text("seq"), text("at_ms"), text("kind"))
}

async fn export(globals: &Globals, out: &Path) -> Result<Answer, Refusal> {
    let client = connect(globals).await?;
    let promised = head(&client).await?;
    let (mut log, mut text, mut from) = (Exported::default(), String::new(), 1);
    while from > 0 {
        let page = page(&client, from).await?;
        for entry in page.entries {
            log.push(&entry).map_err(|error| broken(&error))?;
            text.push_str(&entry);
            text.push('\n');
        }
        from = page.next;
    }
    if promised.sequence > 0 {
        let hash: [u8; 32] = promised.hash.as_slice().try_into().or_internal("the head's hash")?;
        log.holds(&Checkpoint { sequence: promised.sequence, hash: hash.into() })
            .map_err(|error| broken(&error))?;
    }
    // It is of a log that this one continues, or the log is not the one that was cosigned.
    let note = checkpoint(&client, None).await?;
    if let Some(note) = &note {
        log.extends(&cosigned::size_and_root(note)).map_err(|error| broken(&error))?;
        files::create(&beside(out), note.to_string().as_bytes(), Mode::Public)?;
    }
    files::create(out, text.as_bytes(), Mode::Secret)?;
    summary(out, &log, None)
}

fn beside(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".checkpoint");
    name.into()
}

/// The latest cosigned checkpoint of a node's own log, or of the coordinator's; none where there is none yet.
async fn checkpoint(client: &Client, node: Option<&NodeId>) -> Result<Option<Note>, Refusal> {
    let node = node.map(ToString::to_string).unwrap_or_default();
    let request = within(v1::CheckpointRequest { node }, ORDINARY);
    let answer = client.audit().checkpoint(request).await.map_err(refused)?.into_inner();
    if answer.note.is_empty() {
        return Ok(None);
    }
    Note::parse(&answer.note).map(Some).or_invalid("the coordinator's checkpoint")
}

async fn write_checkpoint(globals: &Globals, node: Option<&NodeId>, out: &Path) -> Result<Answer, Refusal> {
    let note = checkpoint(&connect(globals).await?, node).await?;
    let note = note.ok_or_else(|| {
        Refusal::not_found("no checkpoint of the log was cosigned yet: two nodes must be attached")
    })?;
    files::create(out, note.to_string().as_bytes(), Mode::Public)?;
    let words = format!(
        "{}: {} entries\nNext: quorate audit verify LOG --cosigned {}",
        out.display(),
        note.checkpoint.size,
        out.display()
    );
    let checkpoint = cosigned::size_and_root(&note).to_string();
    Answer::new(&json!({ "file": out, "size": note.checkpoint.size, "checkpoint": checkpoint }), words)
}

fn broken(error: &quorate_audit::ExportError) -> Refusal {
    Refusal::invalid(format!("the log is not what was written: {error}"))
        .next("keep the file and the receipts; compare with the nodes' own logs")
}

fn summary(file: &Path, log: &Exported, cosigned: Option<String>) -> Result<Answer, Refusal> {
    let (head, checkpoint) = (log.head(), log.checkpoint());
    let text = format!(
        "{}: {} entries, each in its place and following from the one before.\nlast       {}:{}\ncheckpoint {checkpoint}\n\
         Keep the checkpoint elsewhere: `quorate audit verify --checkpoint` then finds a log that was cut or rewritten.",
        file.display(),
        head.sequence,
        head.sequence,
        head.hash,
    );
    let object = json!({
        "file": file,
        "entries": head.sequence,
        "head": hex(head.hash.as_slice()),
        "root": hex(checkpoint.hash.as_slice()),
        "checkpoint": checkpoint.to_string(),
        "cosigned": cosigned,
    });
    let text = cosigned.map_or(text.clone(), |cosigned| format!("{cosigned}\n{text}"));
    Answer::new(&object, text)
}

fn read_log(file: &Path) -> Result<Exported, Refusal> {
    Exported::read(&files::read_text(file)?).map_err(|error| broken(&error))
}

fn verify(
    (file, cosigned): (&Path, Option<String>),
    receipts: &[Checkpoint],
    checkpoints: &[Checkpoint],
) -> Result<Answer, Refusal> {
    let log = read_log(file)?;
    for receipt in receipts {
        log.holds(receipt).map_err(|error| broken(&error))?;
    }
    for checkpoint in checkpoints {
        log.extends(checkpoint).map_err(|error| broken(&error))?;
    }
    summary(file, &log, cosigned)
}

fn prove(
    receipt: &Checkpoint,
    (file, known): (&Path, Option<Checkpoint>),
    out: &Path,
) -> Result<Answer, Refusal> {
    let log = read_log(file)?;
    log.holds(receipt).map_err(|error| broken(&error))?;
    if let Some(known) = &known {
        log.extends(known).map_err(|error| broken(&error))?;
    }
    let size = known.map_or(log.head().sequence, |known| known.sequence);
    let proof = log.prove_at(receipt.sequence, size).ok_or_else(|| {
        Refusal::not_found(format!("entry {} is not in the log of {size} entries", receipt.sequence))
    })?;
    let text = serde_json::to_string_pretty(&proof).or_internal("writing the proof")?;
    files::create(out, format!("{text}\n").as_bytes(), Mode::Public)?;
    let words = format!(
        "{}: entry {} is in the log of {}, by {} hashes.\nNext: quorate audit check {} --checkpoint {}",
        out.display(),
        receipt.sequence,
        proof.checkpoint,
        proof.path.len(),
        out.display(),
        proof.checkpoint,
    );
    Answer::new(&json!({ "file": out, "proof": proof }), words)
}

fn check(file: &Path, known: &[Checkpoint]) -> Result<Answer, Refusal> {
    let proof: Proof = serde_json::from_slice(&files::read(file)?).or_invalid(file.display())?;
    if let Some(checkpoint) = known.iter().find(|known| proof.checkpoint != **known) {
        let reason = format!("the proof is for the log of {}, not of {checkpoint}", proof.checkpoint);
        return Err(Refusal::invalid(reason).field("--checkpoint"));
    }
    let entry = proof.check();
    let entry = entry.ok_or_else(|| Refusal::invalid(format!("{}: it proves nothing", file.display())))?;
    let words = format!("Entry {}:{} is in that log:\n{}", entry.sequence, entry.hash, entry.json);
    let object =
        json!({ "sequence": entry.sequence, "hash": hex(entry.hash.as_slice()), "entry": entry.json });
    Answer::new(&object, words)
}
