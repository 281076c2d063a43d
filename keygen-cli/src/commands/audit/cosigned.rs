//! A checkpoint that nodes cosigned, believed by the manifest's keys and by nothing else.

use std::path::PathBuf;

use clap::Args;
use quorate_audit::Checkpoint;
use quorate_manifest::{Manifest, NodeEntry};
use quorate_session::{Note, log_origin};
use quorate_types::Role;

use crate::commands::policy::instant;
use crate::files;
use crate::refusal::{OrRefuse, Refusal};

/// A cosigned checkpoint, and by whom it must be.
#[derive(Args)]
pub(crate) struct Cosigned {
    /// A checkpoint that nodes cosigned, as `audit checkpoint`, `audit export` and `quorate-node export-log` write it
    #[arg(long, value_name = "FILE", requires = "manifest")]
    cosigned: Option<PathBuf>,
    /// The manifest whose nodes' keys it is checked with: your own copy
    #[arg(long, value_name = "FILE", requires = "cosigned")]
    manifest: Option<PathBuf>,
    /// How many of its agent and service nodes must have cosigned it, of a node's own log how many of the others [default:
    /// more than half]
    #[arg(long, value_name = "COUNT")]
    cosigners: Option<usize>,
}

impl Cosigned {
    /// The size and root that enough nodes cosigned, where a file is named.
    ///
    /// # Errors
    /// A [`Refusal`] where it is no checkpoint of a log of the manifest's, a cosignature does not hold, or there are too few.
    pub(crate) fn read(&self) -> Result<Option<Known>, Refusal> {
        let (Some(file), Some(manifest)) = (&self.cosigned, &self.manifest) else { return Ok(None) };
        let named = |refusal: Refusal| refusal.field("--cosigned");
        let manifest = Manifest::parse(&files::read(manifest)?).or_invalid(manifest.display())?;
        let note = Note::parse(&files::read_text(file)?).or_invalid(file.display()).map_err(named)?;
        judge(&manifest, &note, self.cosigners).map(Some).map_err(named)
    }

    /// How many must have cosigned what the coordinator answers: no file is read then.
    ///
    /// # Errors
    /// A [`Refusal`] where a file is named.
    pub(super) fn count(&self) -> Result<Option<usize>, Refusal> {
        match &self.cosigned {
            None => Ok(self.cosigners),
            Some(_) => {
                let reason = "a checkpoint is for an exported log: name it too, or leave the checkpoint out";
                Err(Refusal::usage(reason).field("--log"))
            }
        }
    }
}

/// What a note proves by a manifest's keys.
///
/// # Errors
/// A [`Refusal`] where it is of no log of that manifest, a cosignature does not hold, or there are too few.
pub(super) fn judge(manifest: &Manifest, note: &Note, cosigners: Option<usize>) -> Result<Known, Refusal> {
    let cluster = manifest.cluster();
    let whose = whose(manifest, note)?;
    // Cold nodes are away for long, so one could be shown another log. Two majorities of the others share a node.
    let counts = |node: &&NodeEntry| node.role != Role::Cold && node.id.as_str() != whose;
    let witnesses: Vec<_> = manifest.nodes().iter().filter(counts).collect();
    let need = cosigners.unwrap_or(witnesses.len() / 2 + 1).max(1);
    let keys = witnesses.iter().map(|node| (&node.id, &node.key));
    let by = note.cosigners(cluster, keys).or_invalid("checkpoint")?;
    if by.len() < need {
        return Err(Refusal::invalid(format!(
            "{} of the manifest's agent and service nodes cosigned it, {need} must",
            by.len()
        )));
    }
    let at = note.cosigned_at().map_or_else(String::new, |at| instant(at.saturating_mul(1000)));
    let by = by.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let words = format!("cosigned   the first {} entries of {whose}, at {at}, by {by}", note.checkpoint.size);
    Ok(Known { checkpoint: size_and_root(note), whose: whose.to_owned(), words })
}

/// The node or coordinator whose log a checkpoint is of. A node's must be under that node's own signature.
fn whose<'a>(manifest: &'a Manifest, note: &Note) -> Result<&'a str, Refusal> {
    let (cluster, origin) = (manifest.cluster(), &note.checkpoint.origin);
    let nodes = manifest.nodes().iter().map(|node| &node.id);
    let node = note.checkpoint.node_log(cluster, nodes).and_then(|(id, _)| manifest.node(id));
    if let Some(node) = node {
        let signed = note.cosignature(cluster, (&node.id, &node.key)).or_invalid("checkpoint")?;
        let unsigned = || Refusal::invalid(format!("{} did not sign it, and it is of its own log", node.id));
        return signed.map(|_| node.id.as_str()).ok_or_else(unsigned);
    }
    let coordinator = manifest.coordinators().iter().find(|id| log_origin(cluster, id) == *origin);
    coordinator.map(String::as_str).ok_or_else(|| {
        Refusal::invalid(format!(
            "it is of {origin}, which is no log of a coordinator or node of that manifest"
        ))
    })
}

/// A checkpoint that enough nodes cosigned.
pub(crate) struct Known {
    pub(crate) checkpoint: Checkpoint,
    /// The node or coordinator whose log it is of.
    pub(crate) whose: String,
    /// When and by whom: what came after it, nobody vouches for.
    pub(crate) words: String,
}

/// What a note is about.
pub(super) fn size_and_root(note: &Note) -> Checkpoint {
    Checkpoint { sequence: note.checkpoint.size, hash: note.checkpoint.root }
}
