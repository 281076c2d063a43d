//! `quorate ceremony`: what was done offline, told to the cluster when it is back.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use quorate_proto::v1;
use serde_json::json;

use super::recover::head_file;
use crate::cli::Globals;
use crate::client::{Client, ORDINARY, SESSION, refused, within};
use crate::files;
use crate::output::Answer;
use crate::profile::{Caller, Profile};
use crate::refusal::Refusal;
use crate::ssh;

/// What an offline ceremony did.
#[derive(Subcommand)]
pub(crate) enum Ceremony {
    /// Record a drill: the wallet's signature in the certificate is its proof
    Drill {
        /// The certificate that `quorate recover drill` wrote
        certificate: PathBuf,
    },
    /// Record a transcript's steps and signatures in the audit log; one that has grown adds its new steps
    Transcript {
        /// The transcript, with FILE.head and FILE.head.sig of `quorate recover sign-transcript` beside it
        file: PathBuf,
    },
}

pub(crate) async fn run(command: Ceremony, globals: &Globals) -> Result<Answer, Refusal> {
    match command {
        Ceremony::Drill { certificate } => drill(globals, &certificate).await,
        Ceremony::Transcript { file } => transcript(globals, &file).await,
    }
}

async fn drill(globals: &Globals, file: &Path) -> Result<Answer, Refusal> {
    let request = v1::RecordDrillRequest { certificate: files::read(file)? };
    let client = Client::connect(&Profile::find(globals, Caller::Operator)?).await?;
    let answer = client.ceremonies().record_drill(within(request, ORDINARY)).await.map_err(refused)?;
    let v1::RecordDrillResponse { wallet, drilled_at_ms, receipt } = answer.into_inner();
    let known = receipt.is_none();
    let words = match &receipt {
        Some(receipt) => {
            format!("the drill of {wallet} is on record, entry {} of the audit log", receipt.sequence)
        }
        None => format!("the drill of {wallet} was on record already"),
    };
    let entry = receipt.map(|receipt| receipt.sequence);
    let answer = json!({ "wallet": wallet, "drilled_at_ms": drilled_at_ms, "known": known, "entry": entry });
    Answer::new(&answer, words)
}

async fn transcript(globals: &Globals, file: &Path) -> Result<Answer, Refusal> {
    let transcript = files::read(file)?;
    let head = ssh::document(&head_file(file), &[])
        .map_err(|refusal| refusal.next(format!("quorate recover sign-transcript {}", file.display())))?;
    let request = v1::RecordTranscriptRequest { head: Some(ssh::to_pb(head)), transcript };
    let client = Client::connect(&Profile::find(globals, Caller::Operator)?).await?;
    let answer = client.ceremonies().record_transcript(within(request, SESSION)).await.map_err(refused)?;
    let v1::RecordTranscriptResponse { steps, recorded, signatures, signers, receipt } = answer.into_inner();
    let words = match &receipt {
        Some(receipt) => format!(
            "{recorded} of {steps} steps are new, with {signatures} signatures; the last is entry {} of the audit log",
            receipt.sequence
        ),
        None => format!("all {steps} steps were on record already"),
    };
    let entry = receipt.map(|receipt| receipt.sequence);
    let answer = json!({
        "steps": steps, "recorded": recorded, "signatures": signatures, "signers": signers, "entry": entry,
    });
    Answer::new(&answer, words)
}
