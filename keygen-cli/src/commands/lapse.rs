//! `quorate lapse`: gives back the spend of an authorization that ended unused, on the word of the operators' quorum.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use quorate_intent::{Action, Charge, decode};
use quorate_lapse::{Block, Lapse};
use quorate_manifest::Namespace;
use quorate_proto::v1;
use quorate_types::{B256, Payload, U256, WalletId};
use serde_json::json;

use crate::cli::Globals;
use crate::client::{Client, ORDINARY, refused, within};
use crate::files::{self, Mode};
use crate::output::{Answer, WAITING};
use crate::profile::{Caller, Profile};
use crate::refusal::{OrRefuse, Refusal};
use crate::ssh;
use crate::views::{hex, instant};

/// What to do.
#[derive(Subcommand)]
pub(crate) enum LapseCommand {
    /// Say that an authorization ended unused: look at the chain first, at a final block after its end
    New(New),
    /// Add a signature: writes FILE.sig, as `ssh-keygen -Y sign -n lapse@quorate FILE` does
    Sign {
        /// The lapse
        file: PathBuf,
        /// An operator's ssh private key [default: the dev cluster's]
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
    },
    /// Have the spend given back; the same again gives nothing back twice
    Apply {
        /// The lapse
        file: PathBuf,
        /// Its signatures; repeat for more files [default: FILE.sig]
        #[arg(long, value_name = "FILE")]
        sig: Vec<PathBuf>,
    },
}

/// What was seen.
#[derive(Args)]
pub(crate) struct New {
    /// The wallet that signed it
    #[arg(long)]
    wallet: WalletId,
    /// The EIP-3009 authorization or EIP-2612 permit, byte for byte as it was asked for: EIP-712 typed data
    #[arg(long, value_name = "FILE")]
    typed_data: PathBuf,
    /// A block of its chain after its end, at which the token had not taken it
    #[arg(long, value_name = "NUMBER")]
    block: u64,
    /// That block's hash
    #[arg(long, value_name = "HASH")]
    block_hash: B256,
    /// That block's time, in Unix seconds
    #[arg(long, value_name = "UNIX")]
    block_time: u64,
    /// How that was seen, for whoever signs it next
    #[arg(long)]
    reason: String,
    /// An ssh private key to sign with [default: the dev cluster's]
    #[arg(long, value_name = "FILE", conflicts_with = "out")]
    key: Option<PathBuf>,
    /// Write the lapse to this file instead, to be signed by several people or on a token
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(crate) async fn run(command: LapseCommand, globals: &Globals) -> Result<Answer, Refusal> {
    match command {
        LapseCommand::New(new) => make(globals, new).await,
        LapseCommand::Sign { file, key } => sign(globals, &file, key.as_deref()),
        LapseCommand::Apply { file, sig } => apply(globals, &file, &sig).await,
    }
}

async fn make(globals: &Globals, new: New) -> Result<Answer, Refusal> {
    let typed_data = files::read_text(&new.typed_data)?;
    let client = Client::connect(&Profile::find(globals, Caller::Operator)?).await?;
    let lapse = Lapse {
        cluster: client.cluster_id()?.clone(),
        wallet: new.wallet,
        typed_data,
        block: Block { number: new.block, hash: new.block_hash, time_s: new.block_time },
        reason: new.reason,
    };
    let body = lapse.to_yaml().map_err(|error| Refusal::invalid(error.to_string()))?;
    if let Some(out) = &new.out {
        files::create(out, body.as_bytes(), Mode::Public)?;
        let words = format!(
            "{2}\n{0} is written. Next: ssh-keygen -Y sign -n {1} -f KEY {0}, then quorate lapse apply {0}",
            out.display(),
            Namespace::Lapse,
            in_words(&lapse)?,
        );
        return Answer::new(&json!({ "file": out }), words);
    }
    let key = ssh::signing_key(globals, new.key.as_deref())?;
    let signature = ssh::sign_body(body.as_bytes(), Namespace::Lapse, &key)?;
    send(&client, v1::SignedDocument { body: body.into_bytes(), signatures: vec![signature] }).await
}

fn sign(globals: &Globals, file: &Path, key: Option<&Path>) -> Result<Answer, Refusal> {
    let lapse = Lapse::parse(&files::read(file)?).or_invalid(file.display())?;
    let key = ssh::signing_key(globals, key)?;
    let signed = ssh::sign_file(file, Namespace::Lapse, &key)?;
    let text = format!(
        "{}\nSigned with {}. Next: quorate lapse apply {}",
        in_words(&lapse)?,
        signed.signer,
        file.display()
    );
    Answer::new(&json!({ "file": file, "signer": signed.signer, "signatures": signed.count }), text)
}

/// What is said of what, for whoever signs it: to be held against the chain.
fn in_words(lapse: &Lapse) -> Result<String, Refusal> {
    let Lapse { wallet, typed_data, block, reason, .. } = lapse;
    let intent = decode(&Payload::TypedData(typed_data.clone())).or_invalid("typed_data")?.intent;
    let nonce = match &intent.action {
        Action::TokenTransfer { authorization: Some(authorization), .. } => authorization.nonce.to_string(),
        Action::TokenPermit { nonce, .. } => nonce.to_string(),
        _ => "none".to_owned(),
    };
    let ended = instant(intent.validity.not_after_s.unwrap_or(u64::MAX).saturating_mul(1000));
    let (Block { number, hash, time_s }, seen) = (block, instant(block.time_s.saturating_mul(1000)));
    Ok(format!(
        "Wallet {wallet}: {intent}, with nonce {nonce}, until {ended}.\n\
         Unused at block {number} ({hash}) of {seen} ({time_s}): {reason}"
    ))
}

async fn apply(globals: &Globals, file: &Path, sig: &[PathBuf]) -> Result<Answer, Refusal> {
    let document = ssh::document(file, sig)?;
    Lapse::parse(&document.body).or_invalid(file.display())?;
    let client = Client::connect(&Profile::find(globals, Caller::Operator)?).await?;
    send(&client, ssh::to_pb(document)).await
}

async fn send(client: &Client, lapse: v1::SignedDocument) -> Result<Answer, Refusal> {
    let request = v1::ApplyLapseRequest { lapse: Some(lapse) };
    let answer = client.signing().apply_lapse(within(request, ORDINARY)).await.map_err(refused)?.into_inner();
    let spends = answer.given_back.iter().map(charge).collect::<Result<Vec<_>, _>>()?;
    let given_back: Vec<_> = answer
        .given_back
        .iter()
        .map(
            |back| json!({ "asset": back.asset, "amount": back.amount, "counted_at_ms": back.counted_at_ms }),
        )
        .collect();
    let object = json!({
        "hash": hex(&answer.hash),
        "node": answer.node,
        "node_given_back": answer.node_given_back,
        "given_back": given_back,
        "waits_until_ms": answer.waits_until_ms,
    });
    if answer.waits_until_ms > 0 {
        let until = instant(answer.waits_until_ms);
        let words =
            format!("Nothing has come back yet: {} waits until {until}. Apply it again then.", answer.node);
        return Ok(Answer::new(&object, words)?.code(WAITING));
    }
    let node = match answer.node_given_back {
        0 => format!("{} had already", answer.node),
        counts => format!("{} took back {counts}", answer.node),
    };
    let words = if spends.is_empty() {
        format!("Nothing counts at the coordinator any more; {node}.")
    } else {
        format!("{} came back at the coordinator; {node}.", spends.join(", "))
    };
    Answer::new(&object, words)
}

fn charge(back: &v1::GivenBack) -> Result<String, Refusal> {
    let asset = back.asset.parse().or_internal("the coordinator's asset")?;
    let amount: U256 = back.amount.parse().or_internal("the coordinator's amount")?;
    Ok(Charge { asset, amount }.to_string())
}
