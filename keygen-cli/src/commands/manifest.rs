//! `quorate manifest`: written here, signed by operators, applied to the cluster.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use quorate_manifest::{
    CoordinatorDraft, Manifest as Checked, ManifestDraft, Namespace, PersonDraft, QuorumDraft,
};
use quorate_proto::v1;
use quorate_types::{ClusterId, NodeId};
use serde_json::json;

use crate::cli::Globals;
use crate::client::{Client, ORDINARY, refused, within};
use crate::files::{self, Mode};
use crate::output::{Answer, table};
use crate::profile::{Caller, Profile};
use crate::refusal::{OrRefuse, Refusal};
use crate::ssh;

/// The manifest.
#[derive(Subcommand)]
pub(crate) enum Manifest {
    /// Write the first draft of a cluster's manifest
    New(New),
    /// Sign a manifest with an operator's ssh key: writes FILE.sig beside it
    Sign {
        /// The manifest
        #[arg(long = "in", value_name = "FILE")]
        file: PathBuf,
        /// An operator's ssh private key [default: the dev cluster's]
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
    },
    /// Put a signed manifest in force
    Apply {
        /// The manifest
        file: PathBuf,
        /// Its signatures; repeat for more files [default: FILE.sig]
        #[arg(long, value_name = "FILE")]
        sig: Vec<PathBuf>,
    },
    /// Check a manifest and tell what it says
    Show {
        /// The manifest [default: the dev cluster's]
        file: Option<PathBuf>,
    },
}

/// See [`Manifest::New`].
#[derive(Args)]
pub(crate) struct New {
    /// Where to write it
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The cluster's name
    #[arg(long)]
    cluster: ClusterId,
    /// An operator and the file of their ssh public key; repeat for more
    #[arg(long = "operator", value_name = "NAME=FILE", required = true, value_parser = operator)]
    operators: Vec<(String, PathBuf)>,
    /// Someone who approves what policies do not sign without people, and their ssh public key; repeat for more
    #[arg(long = "approver", value_name = "NAME=FILE", value_parser = operator)]
    approvers: Vec<(String, PathBuf)>,
    /// Someone who keeps a piece of the recovery identity, and their ssh public key; repeat for more
    #[arg(long = "custodian", value_name = "NAME=FILE", value_parser = operator)]
    custodians: Vec<(String, PathBuf)>,
    /// How many operators must sign a policy or an order
    #[arg(long, default_value_t = 1)]
    quorum: usize,
    /// How many operators must sign a later manifest [default: as many]. Wallets with a loosening delay need 2
    #[arg(long, value_name = "N")]
    manifest_quorum: Option<usize>,
    /// age recipient the cold shares are sealed to; repeat for more
    #[arg(long, value_name = "AGE1...", required = true)]
    recovery: Vec<String>,
    /// A coordinator's id; repeat for more
    #[arg(long, value_name = "ID", required = true)]
    coordinator: Vec<NodeId>,
}

fn operator(text: &str) -> Result<(String, PathBuf), String> {
    let (name, path) = text.split_once('=').ok_or("expected NAME=FILE, such as alice=alice.pub")?;
    Ok((name.to_owned(), path.into()))
}

pub(crate) async fn run(command: Manifest, globals: &Globals) -> Result<Answer, Refusal> {
    match command {
        Manifest::New(command) => new(command),
        Manifest::Sign { file, key } => sign(globals, &file, key.as_deref()),
        Manifest::Apply { file, sig } => apply(globals, &file, &sig).await,
        Manifest::Show { file } => show(globals, file.as_deref()),
    }
}

/// Each with the key in their file.
fn people(named: Vec<(String, PathBuf)>) -> Result<Vec<PersonDraft>, Refusal> {
    let person = |(name, path): (String, PathBuf)| {
        let key = files::read_text(&path)?.trim().to_owned();
        Ok(PersonDraft { name, key })
    };
    named.into_iter().map(person).collect()
}

fn new(command: New) -> Result<Answer, Refusal> {
    let draft = ManifestDraft {
        approvers: people(command.approvers)?,
        custodians: people(command.custodians)?,
        quorum: QuorumDraft { operators: command.quorum, manifests: command.manifest_quorum },
        recovery: command.recovery,
        coordinators: command.coordinator.iter().map(|id| CoordinatorDraft { id: id.to_string() }).collect(),
        ..ManifestDraft::new(command.cluster.to_string(), people(command.operators)?)
    };
    let yaml = draft.to_yaml().or_invalid("this manifest would be refused")?;
    files::create(&command.out, yaml.as_bytes(), Mode::Public)?;
    let out = command.out.display();
    let words = format!(
        "Wrote {out}. Next: quorate node enrol --manifest {out} --role agent --key-file NODE.json, for each node"
    );
    Answer::new(&json!({ "manifest": command.out, "version": 1 }), words)
}

/// What an edit left behind.
pub(super) struct Edited {
    /// The draft's version now.
    pub(super) version: u64,
    /// What to do next.
    pub(super) next: String,
}

/// Edits a draft in place. A version that was signed can be in force, so an edit of it becomes the next version.
pub(super) fn edit(
    path: &Path,
    change: impl FnOnce(&mut ManifestDraft) -> Result<(), Refusal>,
) -> Result<Edited, Refusal> {
    let mut draft = ManifestDraft::from_yaml(&files::read(path)?).or_invalid(path.display())?;
    change(&mut draft)?;
    if files::with_suffix(path, ".sig").exists() {
        draft.version = draft
            .version
            .checked_add(1)
            .ok_or_else(|| Refusal::invalid("there is no higher version").field("version"))?;
    }
    let yaml = draft.to_yaml().or_invalid("nothing was written; the manifest would be refused")?;
    files::replace(path, yaml.as_bytes())?;
    let next = format!("quorate manifest sign --key ~/.ssh/id_ed25519 --in {}", path.display());
    Ok(Edited { version: draft.version, next })
}

fn sign(globals: &Globals, file: &Path, key: Option<&Path>) -> Result<Answer, Refusal> {
    let manifest = Checked::parse(&files::read(file)?).or_invalid(file.display())?;
    let key = ssh::signing_key(globals, key)?;
    let signed = ssh::sign_file(file, Namespace::Manifest, &key)?;
    // The first is believed where its signers are among the roots; every later one is the operators' before it to sign.
    let first = manifest.version() == 1;
    let needed = if first { manifest.operator_quorum() } else { manifest.manifest_quorum() };
    let next = if signed.count < needed {
        format!("{} of {needed} signatures; the next operator runs the same command", signed.count)
    } else {
        format!("Next: quorate manifest apply {}", file.display())
    };
    let words = format!("Signed version {} with {}.\n{next}", manifest.version(), signed.signer);
    let object = json!({
        "version": manifest.version(),
        "signer": signed.signer,
        "signatures": signed.count,
        "stale_signatures_dropped": signed.stale,
        "needed": needed,
    });
    Answer::new(&object, words)
}

async fn apply(globals: &Globals, file: &Path, sig: &[PathBuf]) -> Result<Answer, Refusal> {
    let document = ssh::document(file, sig)?;
    Checked::parse(&document.body).or_invalid(file.display())?;
    let client = Client::connect(&Profile::find(globals, Caller::Operator)?).await?;
    let request = v1::ApplyManifestRequest { manifest: Some(ssh::to_pb(document)) };
    let answer =
        client.cluster().apply_manifest(within(request, ORDINARY)).await.map_err(refused)?.into_inner();
    let hash = crate::views::hex(&answer.hash);
    let words = format!(
        "Manifest version {} is in force, {hash}.\nNext: client profiles that name a manifest need this one too.",
        answer.version
    );
    Answer::new(&json!({ "version": answer.version, "hash": hash }), words)
}

fn show(globals: &Globals, file: Option<&Path>) -> Result<Answer, Refusal> {
    let path = file.map_or_else(|| crate::dev::Layout::new(&globals.dir).manifest(), Path::to_owned);
    let manifest = Checked::parse(&files::read(&path)?).or_invalid(path.display())?;
    let nodes: Vec<_> = manifest
        .nodes()
        .iter()
        .map(|node| vec![node.id.to_string(), node.role.to_string(), node.key.to_string()])
        .collect();
    let groups: Vec<_> = manifest
        .groups()
        .iter()
        .map(|group| [&group.agent, &group.service, &group.cold].map(ToString::to_string).to_vec())
        .zip(manifest.groups())
        .map(|(members, group)| [vec![group.id.to_string()], members].concat())
        .collect();
    let operators: Vec<_> = manifest.operators().iter().map(|person| person.name.clone()).collect();
    let words = format!(
        "cluster {}, version {}{}\noperators: {} (quorum {}, of manifests {})\nrecovery: {}\n\n{}\n\n{}",
        manifest.cluster(),
        manifest.version(),
        if manifest.is_dev() { ", DEV: everybody knows its primes" } else { "" },
        operators.join(", "),
        manifest.operator_quorum(),
        manifest.manifest_quorum(),
        manifest.recovery().join(", "),
        table(&["NODE", "ROLE", "KEY"], &nodes),
        table(&["GROUP", "AGENT", "SERVICE", "COLD"], &groups),
    );
    Answer::new(&ManifestDraft::from(&manifest), words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_are_named_with_their_key_file() {
        assert_eq!(operator("alice=a.pub"), Ok(("alice".to_owned(), "a.pub".into())));
        assert!(operator("alice").is_err());
    }
}
