//! `quorate verify`: trusts nobody, needs no cluster.

use std::path::{Path, PathBuf};

use clap::Args;
use quorate_intent::{Decoded, Intent, decode};
use quorate_manifest::{Manifest, NodeEntry};
use quorate_session::{IntentStatement, SignedStatement, Statement};
use quorate_types::{Address, NodeId, Payload};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::check;
use crate::cli::Globals;
use crate::dev::Layout;
use crate::files;
use crate::output::Answer;
use crate::payload::source::{AnySource, hex_bytes};
use crate::refusal::{Kind, OrRefuse, Refusal};

/// Check a signature with another library than the cluster's, and say what was signed.
#[derive(Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    payload: AnySource,
    /// r, s and v as hex, 65 bytes
    #[arg(long, value_name = "HEX")]
    signature: String,
    /// The address that should have signed
    #[arg(long)]
    address: Address,
    /// Also check that an agent node asked for it: the answer of `quorate sign --json`, or its `intent` object
    #[arg(long, value_name = "FILE")]
    intent: Option<PathBuf>,
    /// The manifest that names the agent node's key, with --intent [default: the dev cluster's]
    #[arg(long, value_name = "FILE", requires = "intent")]
    manifest: Option<PathBuf>,
}

/// What was signed, in words.
#[derive(Debug, Serialize)]
pub(crate) struct Meaning {
    summary: String,
    digest: String,
    max_native_fee_wei: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_before_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_after_s: Option<u64>,
}

pub(crate) fn run(command: &Verify, globals: &Globals) -> Result<Answer, Refusal> {
    let payload = command.payload.payload()?;
    let decoded = decode(&payload).or_invalid("the payload cannot be read")?;
    let signature = hex_bytes("--signature", &command.signature)?;
    let signer = check::recover(decoded.digest.digest(), &signature)?;
    let meaning = Meaning::of(&decoded);
    if signer != command.address {
        let reason = format!("signed by {signer}, not by {}: {}", command.address, meaning.summary);
        return Err(Refusal::invalid(reason).field("--address"));
    }
    payload_names(&decoded.intent, signer)?;
    let mut words = format!("VALID: {signer} signed\n{}", meaning.words());
    let mut object = json!({ "valid": true, "signer": signer, "signed": meaning });
    if let Some(file) = &command.intent {
        let statement = attested(file, command.manifest.as_deref(), globals, &payload, &decoded)?;
        words.push_str(&format!("\n  asked by     agent {} of wallet {}", statement.agent, statement.wallet));
        if let Value::Object(fields) = &mut object {
            fields.insert("agent".to_owned(), json!(statement.agent));
            fields.insert("wallet".to_owned(), json!(statement.wallet));
        }
    }
    Answer::new(&object, words)
}

/// Typed data that names its signer is worthless under another's signature.
fn payload_names(intent: &Intent, signer: Address) -> Result<(), Refusal> {
    match intent.signer {
        Some(named) if named != signer => Err(Refusal::invalid(format!(
            "the payload names {named} as its signer: a signature by {signer} is worthless"
        ))
        .field("payload")),
        _ => Ok(()),
    }
}

impl Meaning {
    pub(crate) fn of(decoded: &Decoded) -> Self {
        let Intent { max_native_fee, validity, .. } = &decoded.intent;
        Self {
            summary: decoded.intent.summary(),
            digest: decoded.digest.digest().to_string(),
            max_native_fee_wei: max_native_fee.to_string(),
            not_before_s: validity.not_before_s,
            not_after_s: validity.not_after_s,
        }
    }

    fn words(&self) -> String {
        let mut words = format!("  what         {}\n  digest       {}", self.summary, self.digest);
        if self.max_native_fee_wei != "0" {
            words.push_str(&format!("\n  fee at most  {} wei", self.max_native_fee_wei));
        }
        if let Some(from) = self.not_before_s {
            words.push_str(&format!("\n  usable from  Unix second {from}"));
        }
        if let Some(until) = self.not_after_s {
            words.push_str(&format!("\n  usable until Unix second {until}"));
        }
        words
    }
}

#[derive(Deserialize)]
struct IntentFile {
    node: NodeId,
    statement: String,
    signature: String,
}

fn attested(
    file: &Path,
    manifest: Option<&Path>,
    globals: &Globals,
    payload: &Payload,
    decoded: &Decoded,
) -> Result<IntentStatement, Refusal> {
    let signed = statement(file)?;
    let path = manifest.map_or_else(|| Layout::new(&globals.dir).manifest(), Path::to_owned);
    let manifest = Manifest::parse(&files::read(&path)?).or_invalid(path.display())?;
    let key = |node: &NodeId| manifest.node(node).map(|entry: &NodeEntry| entry.key);
    let statement = IntentStatement::verify(&signed, key).or_invalid("--intent")?;
    if statement.cluster != *manifest.cluster() {
        return Err(Refusal::invalid(format!("is of cluster {}", statement.cluster)).field("--intent"));
    }
    if statement.payload_hash != payload.hash() || statement.digest != decoded.digest.digest() {
        let reason = "the agent node asked for another payload";
        return Err(Refusal::new(Kind::Invalid, reason).field("--intent"));
    }
    Ok(statement)
}

/// The statement in a `sign --json` answer, at whatever depth it is there.
fn statement(file: &Path) -> Result<SignedStatement, Refusal> {
    let whole: Value = serde_json::from_slice(&files::read(file)?).or_invalid(file.display())?;
    let places = ["/intent", "/signed/intent", ""];
    let found = places.iter().find_map(|place| {
        let value = whole.pointer(place)?;
        IntentFile::deserialize(value).ok()
    });
    let found = found.ok_or_else(|| {
        Refusal::invalid(format!("{}: holds no intent (node, statement, signature)", file.display()))
            .field("--intent")
    })?;
    Ok(SignedStatement {
        node: found.node,
        bytes: hex_bytes("--intent", &found.statement)?,
        signature: hex_bytes("--intent", &found.signature)?,
    })
}
