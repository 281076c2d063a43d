//! `quorate recover export`: the one command that makes a whole key. Only in a binary built with the feature `spof`.

use std::path::{Path, PathBuf};

use clap::Args;
use quorate_recovery::{Reconstruction, SharePackage};
use quorate_types::Address;
use serde_json::json;
use zeroize::Zeroizing;

use crate::files::{self, Mode};
use crate::output::Answer;
use crate::recover::{Record, Source, harden};
use crate::refusal::{OrRefuse, Refusal};

/// Shortest passphrase accepted, in bytes: the file will outlive whoever chose it.
const SHORTEST: usize = 16;

/// See [`Recover::Export`](super::Recover::Export).
#[derive(Args)]
pub(crate) struct Export {
    #[command(flatten)]
    source: Source,
    /// Say that you know: from then on one file and one passphrase are the wallet, past every policy
    #[arg(long, required = true)]
    dangerous_reconstruct: bool,
    /// "reconstruct the key of ADDRESS", typed by whoever wants this
    #[arg(long, value_name = "SENTENCE")]
    confirm: String,
    /// A file whose first line is the passphrase: at least 16 characters, six random words are good
    #[arg(long, value_name = "FILE")]
    passphrase_file: PathBuf,
    /// The keystore to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(super) fn run(command: &Export) -> Result<Answer, Refusal> {
    harden()?;
    let Export { source, confirm, out, .. } = command;
    if out.try_exists().or_invalid(out.display())? {
        return Err(Refusal::conflict(format!("{} exists already", out.display())).field("--out"));
    }
    let pinned = source.files.trust.manifest()?;
    let chosen = source.files.packages(pinned.manifest())?.choose(&source.wallet, source.address)?;
    let [first, second] = &chosen;
    confirmed(confirm, first.address())?;
    let passphrase = passphrase(&command.passphrase_file)?;
    let identities = source.files.opener.identities()?;
    let open = |share: &Path| -> Result<SharePackage, Refusal> {
        SharePackage::open(&files::read(share)?, &identities, pinned.manifest()).or_invalid(share.display())
    };
    let packages = [open(&first.share)?, open(&second.share)?];
    let reconstruction = Reconstruction::new(packages, &source.wallet).or_invalid("the packages")?;
    let address = first.address();
    let about = json!({
        "cluster": pinned.manifest().cluster(), "wallet": source.wallet, "address": address,
        "manifest": pinned.hash(), "nodes": [first.node, second.node],
    });
    // On the record first: a key that was whole once is never to be trusted again.
    let mut record = Record::open(&source.files.transcript)?;
    record.step("reconstructing", about)?;
    let keystore = reconstruction.keystore(passphrase.as_bytes()).or_internal("the key")?;
    files::create(out, keystore.as_bytes(), Mode::Secret)?;
    record.step("reconstructed", json!({ "wallet": source.wallet, "address": address }))?;
    let words = format!(
        "EXPORTED: the whole key of {address} is in {}, encrypted\n  next  move everything away from {address}, then retire \
         the wallet: its key was whole",
        out.display()
    );
    Answer::new(&json!({ "address": address, "file": out }), words)
}

fn confirmed(typed: &str, address: Address) -> Result<(), Refusal> {
    let sentence = format!("reconstruct the key of {address}");
    if typed == sentence {
        return Ok(());
    }
    Err(Refusal::invalid(format!("must be {sentence:?}; nothing was opened")).field("--confirm"))
}

fn passphrase(path: &Path) -> Result<Zeroizing<String>, Refusal> {
    let text = Zeroizing::new(files::read_text(path)?);
    let line = Zeroizing::new(text.lines().next().unwrap_or_default().to_owned());
    if line.len() < SHORTEST {
        let reason = format!("{}: its first line is shorter than {SHORTEST} characters", path.display());
        return Err(Refusal::invalid(reason).field("--passphrase-file").next("six random words are good"));
    }
    Ok(line)
}
