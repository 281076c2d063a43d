//! What this node saw of others' logs, and its cosignature on what continues that: a log that shrank or forked gets none.
//! Here the coordinators' logs, which nobody signs; the nodes' own are in [`node_log`].

mod node_log;

use quorate_audit::merkle::consistent;
use quorate_proto::v1;
use quorate_session::{LogCheckpoint, NoteError, log_origin};
use quorate_store::{Read, StoreError, update};
use quorate_types::{B256, NodeId};
use serde::{Deserialize, Serialize};

use crate::node::Node;

/// Log to the last checkpoint of it that this node cosigned.
const TABLE: &str = "witness.log";

/// Hashes of a proof: two a level of the largest tree.
const MAX_PROOF: usize = 128;

/// A log, as it was last cosigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    format: u8,
    size: u64,
    root: B256,
}

/// Why a checkpoint is not cosigned.
#[derive(Debug, thiserror::Error)]
enum WitnessError {
    /// It is none.
    #[error("{0}")]
    Note(#[from] NoteError),
    /// No log this node looks after.
    #[error(
        "checkpoint: this node cosigns the logs of the manifest's coordinators and other nodes, and no other"
    )]
    Stranger,
    /// Of a node's log, and not under that node's signature.
    #[error("checkpoint: not signed by the node whose log it is")]
    Unsigned,
    /// Of a node's log, signed before the one this node cosigned: shown again by whoever carries it.
    #[error("checkpoint: older than the one this node cosigned")]
    Old,
    /// Of a node's log, and not shown to continue what this node cosigned: another log, or another proof.
    #[error("checkpoint: not proven to continue the one this node cosigned")]
    Unproven,
    /// Of a node's log, without its last entry.
    #[error("checkpoint: the proof of its last entry does not hold")]
    Head,
    /// A proof from another size than the last one seen.
    #[error("checkpoint: the proof must begin at the size this node cosigned last")]
    Stale,
    /// It ends before what this node cosigned.
    #[error("checkpoint: the log shrank")]
    Shrank,
    /// It does not continue what this node cosigned.
    #[error("checkpoint: the log does not continue the one this node cosigned")]
    Forked,
    /// The proof is no list of hashes.
    #[error("checkpoint: the proof is malformed")]
    Proof,
    /// What was seen before cannot be read.
    #[error("stored checkpoint: malformed")]
    Malformed,
    /// The store.
    #[error("store: {0}")]
    Store(#[from] StoreError),
}

/// Cosigns a checkpoint that continues what this node saw, once that is synced. Waits for the disk.
pub(crate) fn run(node: &Node, asked: &v1::Cosign) -> v1::Cosigned {
    let mut answer = v1::Cosigned { checkpoint: asked.checkpoint.clone(), ..Default::default() };
    let cosigned = if asked.checkpoint.contains("\n\n") {
        node_log::cosign(node, asked, &mut answer)
    } else {
        cosign(node, asked, &mut answer.known)
    };
    match cosigned {
        Ok((timestamp_s, signature)) => v1::Cosigned { timestamp_s, signature, ..answer },
        Err(error) => {
            if matches!(error, WitnessError::Shrank | WitnessError::Forked) {
                metrics::counter!("quorate_node_logs_refused").increment(1);
                tracing::error!(%error, "a log is not what this node saw of it before: it was cut, rewritten or rolled back");
            } else if !matches!(error, WitnessError::Stale) {
                tracing::warn!(%error, "a checkpoint is not cosigned");
            }
            answer.refused = match error {
                WitnessError::Store(_) | WitnessError::Malformed => {
                    "internal error; see this node's log".to_owned()
                }
                other => other.to_string(),
            };
            answer
        }
    }
}

fn cosign(node: &Node, asked: &v1::Cosign, known: &mut u64) -> Result<(u64, Vec<u8>), WitnessError> {
    let checkpoint = LogCheckpoint::parse(&asked.checkpoint)?;
    let pinned = node.documents.manifest();
    let named = |id: &String| log_origin(&node.cluster, id) == checkpoint.origin;
    // A coordinator that is named like a node would have that node sign, or cosign, what only its node may.
    let node_named = |id: &NodeId| log_origin(&node.cluster, id.as_str()) == checkpoint.origin;
    let a_nodes = pinned.manifest().nodes().iter().any(|entry| node_named(&entry.id));
    // Of a log without entries there is nothing to see.
    if checkpoint.size == 0 || a_nodes || !pinned.manifest().coordinators().iter().any(named) {
        return Err(WitnessError::Stranger);
    }
    let seen = read(&*node.store, &checkpoint.origin)?;
    *known = seen.map_or(0, |seen| seen.size);
    let next = Seen { format: 1, size: checkpoint.size, root: checkpoint.root };
    if seen != Some(next) {
        continues(seen, next, asked)?;
        let bytes = postcard::to_allocvec(&next).map_err(|_| WitnessError::Malformed)?;
        let ((), _synced) = update(&*node.store, |txn| {
            // Two streams may ask at once: what is replaced must be what was compared.
            if read(&*txn, &checkpoint.origin)? != seen {
                return Err(WitnessError::Stale);
            }
            Ok(txn.put(TABLE, checkpoint.origin.as_bytes(), &bytes)?)
        })?;
    }
    let cosignature = node.key.cosign(&checkpoint, node.clock.now() / 1000);
    Ok((cosignature.timestamp_s, cosignature.signature.to_vec()))
}

fn continues(seen: Option<Seen>, next: Seen, asked: &v1::Cosign) -> Result<(), WitnessError> {
    let Some(seen) = seen.filter(|seen| seen.size > 0) else {
        return if asked.from == 0 { Ok(()) } else { Err(WitnessError::Stale) };
    };
    if next.size < seen.size {
        return Err(WitnessError::Shrank);
    }
    if next.size == seen.size {
        return Err(WitnessError::Forked);
    }
    if asked.from != seen.size {
        return Err(WitnessError::Stale);
    }
    let path = hashes(&asked.proof)?;
    if consistent((seen.size, &seen.root), (next.size, &next.root), &path) {
        Ok(())
    } else {
        Err(WitnessError::Forked)
    }
}

fn hashes(proof: &[Vec<u8>]) -> Result<Vec<B256>, WitnessError> {
    if proof.len() > MAX_PROOF {
        return Err(WitnessError::Proof);
    }
    let hash = |hash: &Vec<u8>| B256::try_from(hash.as_slice()).map_err(|_| WitnessError::Proof);
    proof.iter().map(hash).collect()
}

fn read(read: &dyn Read, origin: &str) -> Result<Option<Seen>, WitnessError> {
    let Some(bytes) = read.get(TABLE, origin.as_bytes())? else { return Ok(None) };
    match postcard::take_from_bytes::<Seen>(&bytes) {
        Ok((seen, [])) if seen.format == 1 => Ok(Some(seen)),
        _ => Err(WitnessError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Cluster, memory};
    use quorate_audit::{Event, append, tree};
    use quorate_session::Cosignature;
    use quorate_store::{MemStore, Store};
    use quorate_types::Role;

    /// A coordinator's log, with its tree.
    fn log(entries: u64, what: &str) -> MemStore {
        let store = MemStore::new();
        for n in 0..entries {
            let event =
                Event::new("sign.allowed").field("n", n).field("what", if n < 3 { "same" } else { what });
            let (receipt, durable) = update(&store, |txn| append(txn, n, &event)).unwrap();
            receipt.confirm(&durable);
        }
        let (_, _synced) = update(&store, |txn| tree::grow(txn, 1000)).unwrap();
        store
    }

    fn asked(log: &MemStore, from: u64, size: u64) -> v1::Cosign {
        let root = tree::checkpoint(log, size).unwrap().hash;
        let checkpoint = LogCheckpoint { origin: "quorate/dev/coordinator-1".to_owned(), size, root };
        let proof = tree::consistency(log, from, size).unwrap().unwrap_or_default();
        let proof = proof.iter().map(|hash| hash.to_vec()).collect();
        v1::Cosign { checkpoint: checkpoint.to_string(), from, proof, ..Default::default() }
    }

    fn holds(node: &Node, asked: &v1::Cosign, said: &v1::Cosigned) {
        assert_eq!(said.refused, "");
        let signature = said.signature.as_slice().try_into().unwrap();
        let cosignature = Cosignature { timestamp_s: said.timestamp_s, signature };
        let checkpoint = LogCheckpoint::parse(&asked.checkpoint).unwrap();
        node.key.public().verify_cosignature(&checkpoint, &cosignature).unwrap();
    }

    #[test]
    fn what_continues_is_cosigned_and_what_was_seen_outlives_a_restart() {
        let (cluster, store, log) = (Cluster::new(), memory(), log(9, "x"));
        let node = cluster.node(Role::Agent, &store);
        let first = asked(&log, 0, 4);
        holds(&node, &first, &run(&node, &first));
        holds(&node, &first, &run(&node, &first));
        let later = asked(&log, 4, 9);
        holds(&node, &later, &run(&node, &later));
        drop(node);
        let node = cluster.node(Role::Agent, &store);
        let said = run(&node, &asked(&log, 4, 9));
        assert_eq!((said.refused.as_str(), said.known), ("", 9), "the same again needs no proof");
        let said = run(&node, &asked(&log, 3, 4));
        assert_eq!((said.refused.as_str(), said.known), ("checkpoint: the log shrank", 9));
    }

    #[test]
    fn a_log_that_forked_or_comes_without_its_proof_is_not_cosigned() {
        let (cluster, mine) = (Cluster::new(), log(9, "x"));
        let node = cluster.node(Role::Service, &memory());
        holds(&node, &asked(&mine, 0, 5), &run(&node, &asked(&mine, 0, 5)));
        let (other, shorter) = (log(9, "y"), log(5, "y"));
        let forked = "checkpoint: the log does not continue the one this node cosigned";
        assert_eq!(run(&node, &asked(&other, 5, 9)).refused, forked);
        assert_eq!(run(&node, &asked(&shorter, 5, 5)).refused, forked, "of the same size");
        let good = asked(&mine, 5, 9);
        let bend = |change: fn(&mut v1::Cosign)| {
            let mut bent = good.clone();
            change(&mut bent);
            run(&node, &bent)
        };
        for (what, said) in [
            ("no proof", bend(|asked| asked.proof.clear())),
            ("one hash short", bend(|asked| drop(asked.proof.pop()))),
            ("one hash more", bend(|asked| asked.proof.push(vec![0; 32]))),
            ("another hash", bend(|asked| asked.proof[0][0] ^= 1)),
            ("no hash", bend(|asked| asked.proof[0].truncate(31))),
            ("from the beginning", bend(|asked| asked.from = 0)),
            ("endless", bend(|asked| asked.proof = vec![vec![0; 32]; 1000])),
            ("no checkpoint", bend(|asked| asked.checkpoint.push('x'))),
            (
                "another's log",
                bend(|asked| asked.checkpoint = asked.checkpoint.replace("coordinator-1", "mallory")),
            ),
            (
                "another cluster's",
                bend(|asked| asked.checkpoint = asked.checkpoint.replace("/dev/", "/prod/")),
            ),
        ] {
            assert!(!said.refused.is_empty() && said.signature.is_empty(), "{what}");
        }
        holds(&node, &good, &run(&node, &good));
    }

    #[test]
    fn nothing_is_cosigned_that_is_not_synced() {
        let failing = std::sync::Arc::new(quorate_store::FailingStore::new(memory()));
        let store: std::sync::Arc<dyn Store> = std::sync::Arc::clone(&failing) as _;
        let node = Cluster::new().node(Role::Agent, &store);
        failing.fail_commit_after(0, quorate_store::Aftermath::Lost);
        let said = run(&node, &asked(&log(4, "x"), 0, 4));
        assert!(said.signature.is_empty() && said.refused.contains("internal error"));
    }
}
