//! A checkpoint that nodes cosigned, believed by the manifest's keys and by nothing else.

use std::path::PathBuf;

use clap::Args;
use quorate_audit::Checkpoint;
use quorate_manifest::Manifest;
use quorate_session::{Note, log_origin};
use quorate_types::Role;

use crate::commands::policy::instant;
use crate::files;
use crate::refusal::{OrRefuse, Refusal};

/// A cosigned checkpoint, and by whom it must be.
#[derive(Args)]
pub(crate) struct Cosigned {
    /// A checkpoint that nodes cosigned, as `audit checkpoint` and `audit export` write it
    #[arg(long, value_name = "FILE", requires = "manifest")]
    cosigned: Option<PathBuf>,
    /// The manifest whose nodes' keys it is checked with: your own copy
    #[arg(long, value_name = "FILE", requires = "cosigned")]
    manifest: Option<PathBuf>,
    /// How many of its agent and service nodes must have cosigned it [default: more than half]
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
        let cluster = manifest.cluster();
        let of = |id: &String| log_origin(cluster, id) == note.checkpoint.origin;
        if !manifest.coordinators().iter().any(of) {
            let reason = format!(
                "it is of {}, which is no coordinator's log of that manifest",
                note.checkpoint.origin
            );
            return Err(named(Refusal::invalid(reason)));
        }
        // Cold nodes are away for long, so one could be shown another log. Two majorities of the others share a node.
        let witnesses: Vec<_> = manifest.nodes().iter().filter(|node| node.role != Role::Cold).collect();
        let need = self.cosigners.unwrap_or(witnesses.len() / 2 + 1).max(1);
        let keys = witnesses.iter().map(|node| (&node.id, &node.key));
        let cosigners = note.cosigners(cluster, keys).or_invalid(file.display()).map_err(named)?;
        if cosigners.len() < need {
            let reason = format!(
                "{} of the manifest's agent and service nodes cosigned it, {need} must",
                cosigners.len()
            );
            return Err(named(Refusal::invalid(reason)));
        }
        let at = note.cosigned_at().map_or_else(String::new, |at| instant(at.saturating_mul(1000)));
        let by = cosigners.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let words = format!("cosigned   the first {} entries, at {at}, by {by}", note.checkpoint.size);
        Ok(Some(Known { checkpoint: size_and_root(&note), words }))
    }
}

/// A checkpoint that enough nodes cosigned.
pub(crate) struct Known {
    pub(crate) checkpoint: Checkpoint,
    /// When and by whom: what came after it, nobody vouches for.
    pub(crate) words: String,
}

/// What a note is about.
pub(super) fn size_and_root(note: &Note) -> Checkpoint {
    Checkpoint { sequence: note.checkpoint.size, hash: note.checkpoint.root }
}
