//! `quorate recover`: moves the money when a node is gone. Offline, from files; the key never exists in one place.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use quorate_intent::decode;
use quorate_recovery::read_steps;
use quorate_types::{Address, Bytes, Clock, Payload, SystemClock};
use serde_json::{Value, json};

use crate::files::{self, Mode};
use crate::output::{Answer, Output, table};
use crate::payload::source::AnySource;
use crate::recover::{Parties, Party, Plan, Record, Source, serve, sweep};
use crate::refusal::{OrRefuse, Refusal};

/// Move the money when a node is gone: offline, from two nodes' sealed files. No command rebuilds or prints the key.
#[derive(Subcommand)]
pub(crate) enum Recover {
    /// Open both packages, one process each, and check that they belong together
    Verify(Source),
    /// Sign a challenge that moves nothing, to prove that the shares still control the address
    Drill {
        #[command(flatten)]
        source: Source,
        /// The certificate to write
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Sign one payload that can be read
    Sign {
        #[command(flatten)]
        source: Source,
        #[command(flatten)]
        payload: AnySource,
        /// The wallet's address, typed by whoever wants this
        #[arg(long, value_name = "ADDRESS")]
        confirm: Address,
    },
    /// Write and sign the transactions that move everything on one chain
    Sweep(Sweep),
    /// Check a transcript's chain and list its steps
    Transcript {
        /// The transcript
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
    },
    /// One party's process; the other commands start it
    #[command(hide = true)]
    Party(Party),
}

/// Where everything goes.
#[derive(Args)]
pub(crate) struct Sweep {
    #[command(flatten)]
    source: Source,
    /// Balances, nonce and fees on one chain, as YAML
    #[arg(long, value_name = "FILE")]
    plan: PathBuf,
    /// Who gets it
    #[arg(long, value_name = "ADDRESS")]
    to: Address,
    /// The same address, typed again
    #[arg(long, value_name = "ADDRESS")]
    confirm_to: Address,
    /// Directory of the journal and the raw transactions; the same one when this is run again
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub(crate) fn run(command: Recover, output: Output) -> Result<Answer, Refusal> {
    match command {
        Recover::Verify(source) => verify(&source),
        Recover::Drill { source, out } => drill(&source, &out),
        Recover::Sign { source, payload, confirm } => sign(&source, &payload.payload()?, confirm),
        Recover::Sweep(command) => run_sweep(&command, output),
        Recover::Transcript { file } => transcript(&file),
        Recover::Party(party) => {
            // Its standard output is the pipe, on which the reason of a refusal was said.
            let code = serve(&party).map_or_else(|refusal| refusal.kind.exit_code(), |()| 0);
            Ok(Answer::new(&Value::Null, "")?.code(code).silent())
        }
    }
}

/// Both packages open, checked, and on the record.
fn begin(source: &Source) -> Result<(Parties, Record, Value), Refusal> {
    let pinned = source.manifest()?;
    let chosen = source.choose(pinned.manifest())?;
    let mut record = Record::open(&source.transcript)?;
    let parties = Parties::start(source, &chosen)?;
    let [one, two] = parties.hellos();
    let package = |hello: &quorate_recovery::Hello, sha256: &[String; 2]| {
        json!({
            "node": hello.facts.node, "role": hello.facts.role, "sealed_at_ms": hello.facts.created_at_ms,
            "manifest": hello.facts.manifest_hash, "share_sha256": sha256.first(), "aux_sha256": sha256.last(),
        })
    };
    let [first, second] = &chosen;
    let facts = json!({
        "cluster": one.facts.cluster, "group": one.facts.group, "wallet": one.wallet.wallet,
        "agent": one.wallet.agent, "address": one.wallet.address, "epoch": one.wallet.epoch,
        "public_key": one.wallet.public_key, "manifest": pinned.hash(),
        "packages": [package(one, &first.sha256), package(two, &second.sha256)],
    });
    if first.address() != one.wallet.address {
        return Err(Refusal::invalid("the index names another address than the package").field("--package"));
    }
    record.step("verified", facts.clone())?;
    Ok((parties, record, facts))
}

fn address(parties: &Parties) -> Address {
    let [hello, _] = parties.hellos();
    hello.wallet.address
}

fn verify(source: &Source) -> Result<Answer, Refusal> {
    let (parties, _record, facts) = begin(source)?;
    let [one, two] = parties.hellos();
    let words = format!(
        "GOOD: {} and {} hold two shares of wallet {}, address {}\n  both packages open, are signed by their nodes and \
         belong together\n  next  quorate recover drill",
        one.facts.node, two.facts.node, one.wallet.wallet, one.wallet.address
    );
    Answer::new(&facts, words)
}

fn drill(source: &Source, out: &std::path::Path) -> Result<Answer, Refusal> {
    if out.try_exists().or_invalid(out.display())? {
        return Err(Refusal::conflict(format!("{} exists already", out.display())).field("--out"));
    }
    let (mut parties, mut record, facts) = begin(source)?;
    let [one, two] = parties.hellos();
    // A personal message (EIP-191): no contract and no chain takes it for a payment.
    let challenge = format!(
        "Quorate recovery drill, version 1. This moves nothing.\ncluster: {}\nwallet: {}\naddress: {}\nUnix \
         milliseconds: {}\nsessions: {} {}",
        one.facts.cluster,
        one.wallet.wallet,
        one.wallet.address,
        SystemClock.now(),
        one.nonce,
        two.nonce
    );
    let payload = Payload::Message(Bytes::from(challenge.clone().into_bytes()));
    let signature = parties.sign(&payload)?;
    let certificate = json!({
        "quorate": "drill-certificate/v1", "challenge": challenge, "address": address(&parties),
        "signature": format!("0x{}", hex::encode(signature.to_bytes())),
        "verified_with": ["k256", "libsecp256k1"], "ceremony": facts,
    });
    let text = serde_json::to_string_pretty(&certificate).or_internal("writing the certificate")?;
    record.step("drill", json!({ "address": address(&parties), "challenge": challenge }))?;
    files::create(out, format!("{text}\n").as_bytes(), Mode::Public)?;
    let words = format!(
        "DRILLED: the two shares signed for {}\n  certificate  {}\n  check it  quorate verify --address {} \
         --payload-message ... --signature ...",
        address(&parties),
        out.display(),
        address(&parties)
    );
    Answer::new(&certificate, words)
}

fn sign(source: &Source, payload: &Payload, confirm: Address) -> Result<Answer, Refusal> {
    let decoded = decode(payload).or_invalid("the payload cannot be read")?;
    let (mut parties, mut record, _) = begin(source)?;
    confirmed(&parties, confirm)?;
    let summary = decoded.intent.summary();
    let about = json!({
        "summary": summary, "digest": decoded.digest.digest(), "payload_hash": payload.hash(),
    });
    record.step("signing", about.clone())?;
    let signature = parties.sign(payload)?;
    record.step("signed", about)?;
    let signature_hex = format!("0x{}", hex::encode(signature.to_bytes()));
    let raw = quorate_intent::signed_transaction(payload, &signature);
    let raw = raw.map(|raw| format!("0x{}", hex::encode(&raw)));
    let mut words =
        format!("SIGNED by {}\n  what       {summary}\n  signature  {signature_hex}", address(&parties));
    if let Some(raw) = &raw {
        words.push_str(&format!("\n  broadcast  {raw}"));
    }
    let answer = json!({
        "signer": address(&parties), "summary": summary, "signature": signature_hex, "signed_transaction": raw,
    });
    Answer::new(&answer, words)
}

fn confirmed(parties: &Parties, confirm: Address) -> Result<(), Refusal> {
    if confirm == address(parties) {
        return Ok(());
    }
    let reason = format!("is {confirm}, the wallet's address is {}; nothing was signed", address(parties));
    Err(Refusal::invalid(reason).field("--confirm"))
}

fn run_sweep(command: &Sweep, output: Output) -> Result<Answer, Refusal> {
    if command.to != command.confirm_to {
        let reason = format!("is {}, and --to is {}; nothing was signed", command.confirm_to, command.to);
        return Err(Refusal::usage(reason).field("--confirm-to"));
    }
    let plan: Plan = files::read_yaml(&command.plan)?;
    let (mut parties, mut record, _) = begin(&command.source)?;
    let from = address(&parties);
    let moves = plan.moves(from, command.to)?;
    output.note(&format!("from {from} to {}", command.to));
    let mut fees = quorate_types::U256::ZERO;
    for planned in &moves {
        let intent = &planned.decoded.intent;
        fees = fees.saturating_add(intent.max_native_fee);
        output.note(&format!("  nonce {:<6} {}", planned.nonce, intent.summary()));
    }
    let fees = alloy_primitives::utils::format_ether(fees);
    output.note(&format!("  {} transactions, fees of at most {fees} of the chain's own coin", moves.len()));
    record.step("sweeping", json!({ "from": from, "to": command.to, "transactions": moves.len() }))?;
    let swept = sweep(&command.out, from, &moves, |payload| parties.sign(payload))?;
    let list: Vec<_> = swept
        .transactions
        .iter()
        .map(|one| {
            json!({
                "chain": one.chain, "nonce": one.nonce, "summary": one.summary, "raw": one.raw,
            })
        })
        .collect();
    record.step("swept", json!({ "from": from, "to": command.to, "transactions": list }))?;
    let words = format!(
        "SWEPT: {} transactions signed by {from}, {} of them before\n  broadcast them in this order, elsewhere: {}",
        list.len(),
        swept.again,
        swept.file.display()
    );
    let answer = json!({
        "from": from, "to": command.to, "transactions": list, "signed_before": swept.again, "max_fees": fees,
        "file": swept.file.display().to_string(),
    });
    Answer::new(&answer, words)
}

fn transcript(file: &std::path::Path) -> Result<Answer, Refusal> {
    let steps = read_steps(&files::read_text(file)?)
        .map_err(|error| Refusal::invalid(format!("{}: {error}", file.display())).field("--file"))?;
    let rows: Vec<_> = steps
        .iter()
        .map(|step| vec![step.sequence.to_string(), step.at_ms.to_string(), step.step.clone()])
        .collect();
    let last = steps.last().map_or_else(String::new, |step| format!("\nlast hash {}", step.hash));
    Answer::new(&json!({ "steps": steps }), format!("{}{last}", table(&["#", "UNIX MS", "STEP"], &rows)))
}
