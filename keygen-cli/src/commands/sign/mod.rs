//! `quorate sign`: asks the cluster for a signature.

mod authorization;
mod batch;
mod record;
mod transfer;

use std::collections::HashMap;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use quorate_types::{Payload, WalletId};
use rand_core::{OsRng, RngCore};

use crate::agent_word::Asker;
use crate::cli::Globals;
use crate::client::Client;
use crate::files;
use crate::output::{Answer, DENIED, Output, WAITING};
use crate::payload::source::{MessageSource, TransactionSource, raw_digest};
use crate::profile::{Caller, Profile};
use crate::refusal::Refusal;
use crate::signing::{Order, Outcome, ask_and_wait, foretell};

/// Ask for a signature. Without --config the dev cluster's gateway asks.
#[derive(Subcommand)]
pub(crate) enum Sign {
    /// Sign an unsigned transaction
    Tx {
        #[command(flatten)]
        request: Request,
        #[command(flatten)]
        source: TransactionSource,
    },
    /// Write and sign an EIP-1559 payment
    Transfer {
        #[command(flatten)]
        request: Request,
        #[command(flatten)]
        transfer: transfer::Arguments,
    },
    /// Sign EIP-712 typed data
    TypedData {
        #[command(flatten)]
        request: Request,
        /// The standard JSON object: types, primaryType, domain, message
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
    },
    /// Write and sign an EIP-3009 authorization, as x402 pays with
    Authorization {
        #[command(flatten)]
        request: Request,
        #[command(flatten)]
        authorization: authorization::Arguments,
    },
    /// Sign an EIP-191 personal message
    Message {
        #[command(flatten)]
        request: Request,
        #[command(flatten)]
        source: MessageSource,
    },
    /// Sign a raw digest, which nobody can read: only with a wallet created for them
    RawDigest {
        #[command(flatten)]
        request: Request,
        /// The 32 bytes as hex
        #[arg(long, value_name = "HEX")]
        digest: String,
    },
    /// Sign several at once, each with an answer of its own
    Batch(batch::Arguments),
    /// Tell the audit log which transaction used a signature, where somebody else made it
    RecordTransaction(record::Arguments),
}

/// What every request has.
#[derive(Args)]
pub(crate) struct Request {
    /// The wallet that signs
    #[arg(long)]
    wallet: WalletId,
    /// The same key and payload give the same answer, for ever [default: random, printed]
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// A note for the audit log; repeat for more
    #[arg(long = "note", value_name = "NAME=TEXT", value_parser = note)]
    notes: Vec<(String, String)>,
    #[command(flatten)]
    asker: Asker,
    /// Ask only what would be decided: nothing is signed, reserved or written down
    #[arg(long)]
    dry_run: bool,
    /// Where it waits for time or people, wait with it: ask again once that is over
    #[arg(long, conflicts_with = "dry_run")]
    wait: bool,
}

fn note(text: &str) -> Result<(String, String), String> {
    let (name, text) = text.split_once('=').ok_or("expected NAME=TEXT")?;
    Ok((name.to_owned(), text.to_owned()))
}

pub(crate) async fn run(command: Sign, globals: &Globals, output: Output) -> Result<Answer, Refusal> {
    match command {
        Sign::Tx { request, source } => send(globals, output, request, source.payload()?).await,
        Sign::Transfer { request, transfer } => {
            send(globals, output, request, transfer.transfer().payload()?).await
        }
        Sign::TypedData { request, file } => {
            send(globals, output, request, Payload::TypedData(files::read_text(&file)?)).await
        }
        Sign::Message { request, source } => send(globals, output, request, source.payload()?).await,
        Sign::RawDigest { request, digest } => {
            send(globals, output, request, raw_digest("--digest", &digest)?).await
        }
        Sign::Authorization { request, authorization } => {
            authorization::run(globals, output, request, authorization).await
        }
        Sign::Batch(batch) => batch::run(globals, batch).await,
        Sign::RecordTransaction(transaction) => record::run(globals, transaction).await,
    }
}

async fn send(
    globals: &Globals,
    output: Output,
    request: Request,
    payload: Payload,
) -> Result<Answer, Refusal> {
    let client = Client::connect(&Profile::find(globals, Caller::Gateway)?).await?;
    if request.dry_run {
        return dry_run(&client, request, payload).await;
    }
    let wait = request.wait.then_some(output);
    match ask_and_wait(&client, order(output, request, payload)?, wait).await? {
        Outcome::Signed(signed) => Answer::new(&signed, signed.words()),
        Outcome::Denied(denied) => Ok(Answer::new(&denied, denied.words())?.code(DENIED)),
        Outcome::Waiting(held) => Ok(Answer::new(&held, held.words())?.code(WAITING)),
    }
}

/// What the gate says to it now.
async fn dry_run(client: &Client, mut request: Request, payload: Payload) -> Result<Answer, Refusal> {
    let key = request.idempotency_key.take().unwrap_or_else(random_key);
    let view = foretell(client, under(key, request, payload)?).await?;
    Ok(Answer::new(&view, view.words())?.code(view.code()))
}

fn order(output: Output, mut request: Request, payload: Payload) -> Result<Order, Refusal> {
    let key = request.idempotency_key.take().unwrap_or_else(|| {
        let key = random_key();
        // Said before the request leaves: whoever loses the answer needs it.
        output.note(&format!("idempotency key {key}"));
        key
    });
    under(key, request, payload)
}

fn under(idempotency_key: String, request: Request, payload: Payload) -> Result<Order, Refusal> {
    let metadata: HashMap<_, _> = request.notes.into_iter().collect();
    let word = request.asker.word()?;
    Ok(Order { wallet: request.wallet.to_string(), payload, idempotency_key, metadata, word })
}

/// A key nobody has used.
pub(crate) fn random_key() -> String {
    hex::encode(random::<16>())
}

/// Random bytes of the operating system.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    OsRng.fill_bytes(&mut bytes);
    bytes
}
