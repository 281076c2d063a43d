//! `quorate recover transcript` and `sign-transcript`: what a ceremony did, held against the signatures of who was there.

use std::path::{Path, PathBuf};

use clap::Args;
use quorate_ceremony::{Head, Made, Step, read_steps};
use quorate_manifest::Namespace;
use quorate_types::ClusterId;
use serde_json::json;

use crate::cli::Globals;
use crate::files;
use crate::output::{Answer, table};
use crate::recover::Trust;
use crate::refusal::{OrRefuse, Refusal};
use crate::ssh;

/// What to check.
#[derive(Args)]
pub(crate) struct Transcript {
    /// The transcript
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// Check that operators of this manifest signed FILE.head
    #[arg(long, value_name = "FILE", requires_all = ["manifest_signature", "root"])]
    manifest: Option<PathBuf>,
    /// Its signatures; repeat for more
    #[arg(long, value_name = "FILE", requires = "manifest")]
    manifest_signature: Vec<PathBuf>,
    /// An operator's public key, from your own records: the manifest must be signed by such; repeat for more
    #[arg(long, value_name = "FILE", requires = "manifest")]
    root: Vec<PathBuf>,
}

impl Transcript {
    fn trust(&self) -> Option<Trust> {
        let manifest = self.manifest.clone()?;
        let (manifest_signature, root) = (self.manifest_signature.clone(), self.root.clone());
        Some(Trust { manifest, manifest_signature, root })
    }
}

pub(super) fn check(command: &Transcript) -> Result<Answer, Refusal> {
    let file = &command.file;
    let steps = read(file)?;
    for step in &steps {
        Made::read(&step.detail).map_err(|error| {
            Refusal::invalid(format!("{}: step {}: {error}", file.display(), step.sequence))
        })?;
    }
    let signers = command.trust().map(|trust| signers(file, &steps, &trust)).transpose()?;
    let rows: Vec<_> = steps
        .iter()
        .map(|step| vec![step.sequence.to_string(), step.at_ms.to_string(), step.step.clone()])
        .collect();
    let mut words = table(&["#", "UNIX MS", "STEP"], &rows);
    if let Some(last) = steps.last() {
        words.push_str(&format!("\nlast hash {}", last.hash));
    }
    if let Some(signers) = &signers {
        words.push_str(&format!("\nsigned by {}", signers.join(", ")));
    }
    Answer::new(&json!({ "steps": steps, "signers": signers }), words)
}

fn read(file: &Path) -> Result<Vec<Step>, Refusal> {
    read_steps(&files::read_text(file)?)
        .map_err(|error| Refusal::invalid(format!("{}: {error}", file.display())).field("--file"))
}

/// The operators whose signatures are in `FILE.head.sig`.
fn signers(file: &Path, steps: &[Step], trust: &Trust) -> Result<Vec<String>, Refusal> {
    let pinned = trust.manifest()?;
    let beside = head_file(file);
    let (head, signers) =
        Head::verify(&ssh::document(&beside, &[])?, pinned.manifest()).or_invalid(beside.display())?;
    head.check(steps).or_invalid(beside.display())?;
    Ok(signers)
}

/// Writes where the transcript ends, and signs that. The signatures of others who signed the same end stay.
pub(super) fn sign(globals: &Globals, file: &Path, key: Option<&Path>) -> Result<Answer, Refusal> {
    let steps = read(file)?;
    let cluster = cluster(&steps).ok_or_else(|| {
        Refusal::invalid(format!("{}: no step names a cluster: nothing was opened in it", file.display()))
    })?;
    let head = Head::of(&steps, cluster).ok_or_else(|| Refusal::invalid("has no step").field("FILE"))?;
    let key = ssh::signing_key(globals, key)?;
    let beside = head_file(file);
    files::replace(&beside, head.to_yaml().or_internal(beside.display())?.as_bytes())?;
    let signed = ssh::sign_file(&beside, Namespace::Ceremony, &key)?;
    let words = format!(
        "{} steps signed with {}\n  next  when the cluster is there: quorate ceremony transcript {}",
        head.steps,
        signed.signer,
        file.display()
    );
    let answer = json!({ "head": head, "file": beside, "signer": signed.signer, "signatures": signed.count });
    Answer::new(&answer, words)
}

fn cluster(steps: &[Step]) -> Option<ClusterId> {
    steps.iter().find_map(|step| step.detail.get("cluster")?.as_str()?.parse().ok())
}

/// `ceremony.jsonl` ends where `ceremony.jsonl.head` says.
pub(crate) fn head_file(file: &Path) -> PathBuf {
    files::with_suffix(file, ".head")
}
