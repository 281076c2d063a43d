//! `quorate recover`: moves the money when a node is gone. Offline, from files; the key never exists in one place.

#[cfg(feature = "spof")]
mod export;
mod sweep;
mod transcript;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use quorate_ceremony::{DrillCertificate, DrillChallenge, Made, SIGNATURES};
use quorate_intent::decode;
use quorate_manifest::Namespace;
use quorate_types::{Address, B256, Clock, Payload, PublicKey, SystemClock, WalletId};
use serde_json::{Value, json};

pub(crate) use transcript::head_file;

use crate::cli::Globals;
use crate::files::{self, Mode};
use crate::output::{Answer, Output};
use crate::payload::source::AnySource;
use crate::recover::{Chosen, Files, Parties, Party, Record, Source, destination, serve};
use crate::refusal::{OrRefuse, Refusal};
use crate::ssh;

/// Move the money when a node is gone: offline, from two nodes' sealed files, without making the key.
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
    Sweep(sweep::Sweep),
    /// Sweep many wallets in one run
    Fleet(sweep::Fleet),
    /// LAST RESORT: put the whole key into an encrypted Web3 keystore file
    #[cfg(feature = "spof")]
    Export(export::Export),
    /// Sign a sweep policy: writes FILE.sig, as `ssh-keygen -Y sign -n sweep@quorate FILE` does
    SignPolicy {
        /// The sweep policy
        file: PathBuf,
        /// An operator's ssh private key [default: the dev cluster's]
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
    },
    /// Check a transcript's chain and signatures, and list its steps
    Transcript(transcript::Transcript),
    /// Sign where a transcript ends: writes FILE.head and FILE.head.sig, as `ssh-keygen -Y sign -n ceremony@quorate
    /// FILE.head` does
    SignTranscript {
        /// The transcript
        file: PathBuf,
        /// An operator's ssh private key [default: the dev cluster's]
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
    },
    /// One party's process; the other commands start it
    #[command(hide = true)]
    Party(Party),
}

pub(crate) fn run(command: Recover, globals: &Globals, output: Output) -> Result<Answer, Refusal> {
    match command {
        Recover::Verify(source) => verify(&source),
        Recover::Drill { source, out } => drill(&source, &out),
        Recover::Sign { source, payload, confirm } => sign(&source, &payload.payload()?, confirm),
        Recover::Sweep(command) => sweep::one(&command, output),
        Recover::Fleet(command) => sweep::fleet(&command, output),
        #[cfg(feature = "spof")]
        Recover::Export(command) => export::run(&command),
        Recover::SignPolicy { file, key } => sign_policy(globals, &file, key.as_deref()),
        Recover::Transcript(command) => transcript::check(&command),
        Recover::SignTranscript { file, key } => transcript::sign(globals, &file, key.as_deref()),
        Recover::Party(party) => {
            // Its standard output is the pipe, on which the reason of a refusal was said.
            let code = serve(&party).map_or_else(|refusal| refusal.kind.exit_code(), |()| 0);
            Ok(Answer::new(&Value::Null, "")?.code(code).silent())
        }
    }
}

/// Both packages open, checked, and on the record.
fn begin(source: &Source) -> Result<(Parties, Record, Value), Refusal> {
    let pinned = source.files.trust.manifest()?;
    let chosen = source.files.packages(pinned.manifest())?.choose(&source.wallet, source.address)?;
    let mut record = Record::open(&source.files.transcript)?;
    let (parties, facts) = open(&source.files, (&source.wallet, &chosen), pinned.hash(), &mut record)?;
    Ok((parties, record, facts))
}

/// Two processes, one package each, for one key of a wallet.
fn open(
    files: &Files,
    (wallet, chosen): (&WalletId, &[Chosen; 2]),
    manifest: B256,
    record: &mut Record,
) -> Result<(Parties, Value), Refusal> {
    let parties = Parties::start(files, wallet, chosen)?;
    let [one, two] = parties.hellos();
    let package = |hello: &quorate_recovery::Hello, sha256: &[String; 2]| {
        json!({
            "node": hello.facts.node, "role": hello.facts.role, "sealed_at_ms": hello.facts.created_at_ms,
            "manifest": hello.facts.manifest_hash, "share_sha256": sha256.first(), "aux_sha256": sha256.last(),
        })
    };
    let [first, second] = chosen;
    let facts = json!({
        "cluster": one.facts.cluster, "group": one.facts.group, "wallet": one.wallet.wallet,
        "agent": one.wallet.agent, "address": one.wallet.address, "epoch": one.wallet.epoch,
        "public_key": one.wallet.public_key, "manifest": manifest,
        "packages": [package(one, &first.sha256), package(two, &second.sha256)],
    });
    if first.address() != one.wallet.address {
        return Err(Refusal::invalid("the index names another address than the package").field("--package"));
    }
    record.step("verified", facts.clone())?;
    Ok((parties, facts))
}

fn address(parties: &Parties) -> Address {
    let [hello, _] = parties.hellos();
    hello.wallet.address
}

/// Whose signatures the two make.
fn signer(parties: &Parties) -> (WalletId, PublicKey) {
    let [hello, _] = parties.hellos();
    (hello.wallet.wallet.clone(), hello.wallet.public_key)
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
    let challenge = DrillChallenge {
        cluster: one.facts.cluster.clone(),
        wallet: one.wallet.wallet.clone(),
        address: one.wallet.address,
        at_ms: SystemClock.now(),
        sessions: [one.nonce, two.nonce],
    };
    let payload = challenge.payload();
    let signature = parties.sign(&payload)?;
    let certificate = DrillCertificate::new(&challenge, &signature, facts);
    let text = serde_json::to_string_pretty(&certificate).or_internal("writing the certificate")?;
    let decoded = decode(&payload).or_internal("the challenge")?;
    let said = (decoded.intent.summary(), decoded.digest.digest());
    let made = Made::new(signer(&parties), said, &signature.to_bytes());
    let about =
        json!({ "address": address(&parties), "challenge": challenge.to_string(), SIGNATURES: [made] });
    record.step("drill", about)?;
    files::create(out, format!("{text}\n").as_bytes(), Mode::Public)?;
    let words = format!(
        "DRILLED: the two shares signed for {}\n  certificate  {}\n  next  when the cluster is there: quorate ceremony \
         drill {}",
        address(&parties),
        out.display(),
        out.display()
    );
    Answer::new(&certificate, words)
}

fn sign(source: &Source, payload: &Payload, confirm: Address) -> Result<Answer, Refusal> {
    let decoded = decode(payload).or_invalid("the payload cannot be read")?;
    if decoded.digest.read().is_none() {
        let reason = "a ceremony signs nothing that people cannot read";
        return Err(Refusal::invalid(reason).field("--payload-raw-digest"));
    }
    let (mut parties, mut record, _) = begin(source)?;
    confirmed(&parties, confirm)?;
    let summary = decoded.intent.summary();
    let about = json!({
        "summary": summary, "digest": decoded.digest.digest(), "payload_hash": payload.hash(),
    });
    record.step("signing", about)?;
    let signature = parties.sign(payload)?;
    let said = (summary.clone(), decoded.digest.digest());
    let made = Made::new(signer(&parties), said, &signature.to_bytes());
    record.step("signed", json!({ "payload_hash": payload.hash(), SIGNATURES: [made] }))?;
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

fn sign_policy(globals: &Globals, file: &Path, key: Option<&Path>) -> Result<Answer, Refusal> {
    destination::check(&files::read(file)?, file.display())?;
    let key = ssh::signing_key(globals, key)?;
    let signed = ssh::sign_file(file, Namespace::Sweep, &key)?;
    let words = format!(
        "Signed with {}. Next: print it, keep it with its signatures beside the sealed files",
        signed.signer
    );
    Answer::new(&json!({ "file": file, "signer": signed.signer, "signatures": signed.count }), words)
}
