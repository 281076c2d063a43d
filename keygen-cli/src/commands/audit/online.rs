//! A proof from a coordinator that runs, believed by the profile's manifest and by nothing else.

use std::path::Path;

use quorate_audit::{Checkpoint, Proof};
use quorate_proto::v1;
use quorate_session::Note;
use quorate_types::B256;
use serde_json::json;

use super::{beside, cosigned};
use crate::cli::Globals;
use crate::client::{Client, ORDINARY, refused, within};
use crate::files::{self, Mode};
use crate::output::Answer;
use crate::profile::{Caller, Profile};
use crate::refusal::{OrRefuse, Refusal};

/// Has the coordinator prove that a receipt's entry is in its log as nodes cosigned it, and checks the proof.
pub(super) async fn prove(
    globals: &Globals,
    receipt: &Checkpoint,
    cosigners: Option<usize>,
    out: &Path,
) -> Result<Answer, Refusal> {
    let profile = Profile::find(globals, Caller::Operator)?;
    let client = Client::connect(&profile).await?;
    let manifest = client.manifest()?;
    let request = within(v1::ProveRequest { sequence: receipt.sequence }, ORDINARY);
    let answer = client.audit().prove(request).await.map_err(refused)?.into_inner();
    let note = Note::parse(&answer.note).or_invalid("the coordinator's checkpoint")?;
    let known = cosigned::judge(manifest, &note, cosigners)?;
    if known.whose != profile.coordinator_id {
        let reason =
            format!("the checkpoint is of the log of {}, not of {}", known.whose, profile.coordinator_id);
        return Err(Refusal::invalid(reason));
    }
    let path = answer.path.iter().map(|hash| B256::try_from(hash.as_slice()));
    let path = path.collect::<Result<_, _>>().or_invalid("the coordinator's proof")?;
    let proof = Proof { entry: answer.entry, checkpoint: known.checkpoint, path };
    check(&proof, receipt)?;
    let text = serde_json::to_string_pretty(&proof).or_internal("writing the proof")?;
    let checkpoint = beside(out);
    files::create(&checkpoint, note.to_string().as_bytes(), Mode::Public)?;
    files::create(out, format!("{text}\n").as_bytes(), Mode::Public)?;
    let words = format!(
        "{}: entry {} is in the log of {}, by {} hashes.\n{}\nNext: quorate audit check {} --cosigned {} --manifest MANIFEST",
        out.display(),
        receipt.sequence,
        proof.checkpoint,
        proof.path.len(),
        known.words,
        out.display(),
        checkpoint.display(),
    );
    Answer::new(
        &json!({ "file": out, "checkpoint": checkpoint, "cosigned": known.words, "proof": proof }),
        words,
    )
}

/// Whether a proof is of just the entry that somebody has a receipt for.
fn check(proof: &Proof, receipt: &Checkpoint) -> Result<(), Refusal> {
    let nothing = || Refusal::invalid("the coordinator's proof proves nothing");
    let entry = proof.check().ok_or_else(nothing)?;
    if entry.sequence == receipt.sequence && entry.hash == receipt.hash {
        return Ok(());
    }
    let reason = format!(
        "entry {}: its hash in the log that nodes cosigned is {}, the receipt says {}: the log was rewritten, or \
         the receipt is not of it",
        entry.sequence, entry.hash, receipt.hash
    );
    Err(Refusal::invalid(reason).next("keep the receipt; compare with the nodes' own logs"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_audit::{Event, Exported, append, entries};
    use quorate_store::{MemStore, update};

    #[test]
    fn a_proof_counts_for_the_receipts_own_entry_alone() {
        let store = MemStore::new();
        for n in 0..5_u64 {
            let append =
                |txn: &mut dyn quorate_store::Txn| append(txn, n, &Event::new("sign.allowed").field("n", n));
            let (receipt, durable) = update(&store, append).unwrap();
            receipt.confirm(&durable);
        }
        let text: Vec<_> = entries(&store, 1, 10).unwrap().into_iter().map(|entry| entry.json).collect();
        let log = Exported::read(&text.join("\n")).unwrap();
        let receipt = |at: usize| Checkpoint { sequence: at as u64, hash: log.entries()[at - 1].hash };
        let proof = log.prove(3).unwrap();
        assert!(check(&proof, &receipt(3)).is_ok());
        let other = Checkpoint { hash: receipt(4).hash, ..receipt(3) };
        assert!(check(&proof, &other).unwrap_err().reason.contains("the log was rewritten"));
        assert!(check(&proof, &receipt(4)).is_err());
        let mut bent = proof.clone();
        bent.path[0].0[0] ^= 1;
        assert!(check(&bent, &receipt(3)).unwrap_err().reason.contains("proves nothing"));
    }
}
