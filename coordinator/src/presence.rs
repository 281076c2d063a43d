//! Which nodes are away, and for how long. One that signs and is away for longer than it takes to restart goes into the log,
//! and so does its return, and a node's word that its data directory was put back to an older state.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quorate_audit::Event;
use quorate_proto::v1;
use quorate_proto::v1::session_outcome::Outcome;
use quorate_types::{NodeId, Role, UnixMillis};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::coordinator::Coordinator;
use crate::link::{Link, quoted};

/// How long a node may be away without being written about.
const GRACE_MS: u64 = 30_000;
/// How often it is looked who is there.
const TICK: Duration = Duration::from_secs(5);
/// Between two entries about one node that was put back: it says so in each session, and each time its log is asked for.
const SAID_MS: u64 = 600_000;
/// The field a node names when its log is not the one its peer saw.
const LOG_FIELD: &str = "log";

/// What is known of each node.
#[derive(Default)]
pub(crate) struct Presence {
    away: Mutex<HashMap<NodeId, Away>>,
    rolled_back: Mutex<HashMap<NodeId, UnixMillis>>,
}

#[derive(Clone, Copy)]
struct Away {
    since: UnixMillis,
    told: bool,
}

/// What is written about a node.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    Unavailable { node: NodeId, since: UnixMillis },
    Back { node: NodeId },
}

impl Presence {
    /// What changed by `now` about the nodes that should be there.
    fn look(&self, nodes: &[(NodeId, bool)], now: UnixMillis) -> Vec<Change> {
        let mut away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        away.retain(|node, _| nodes.iter().any(|(known, _)| known == node));
        let mut changes = Vec::new();
        for (node, attached) in nodes {
            if *attached {
                if away.remove(node).is_some_and(|away| away.told) {
                    changes.push(Change::Back { node: node.clone() });
                }
                continue;
            }
            let entry = away.entry(node.clone()).or_insert(Away { since: now, told: false });
            if !entry.told && now.saturating_sub(entry.since) >= GRACE_MS {
                entry.told = true;
                changes.push(Change::Unavailable { node: node.clone(), since: entry.since });
            }
        }
        changes
    }

    /// Whether it is to be written that a node was put back: once in a while.
    fn says_rolled_back(&self, node: &NodeId, now: UnixMillis) -> bool {
        let mut said = self.rolled_back.lock().unwrap_or_else(PoisonError::into_inner);
        let before = said.get(node).copied();
        let fresh = before.is_none_or(|before| now.saturating_sub(before) >= SAID_MS);
        if fresh {
            said.insert(node.clone(), now);
        }
        fresh
    }
}

/// Looks until `stop`.
pub(crate) async fn run(core: Arc<Coordinator>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        for change in core.presence.look(&signers(&core), core.clock.now()) {
            let event = match change {
                Change::Unavailable { node, since } => {
                    tracing::warn!(%node, "away for {} s", GRACE_MS / 1000);
                    Event::new("node.unavailable").field("node", json!(node)).field("since_ms", json!(since))
                }
                Change::Back { node } => Event::new("node.back").field("node", json!(node)),
            };
            write(&core, event).await;
        }
    }
}

/// The nodes of the manifest that take part in signatures, and whether each is attached.
fn signers(core: &Coordinator) -> Vec<(NodeId, bool)> {
    let pinned = core.pinned.load();
    let nodes = pinned.manifest().nodes().iter().filter(|node| node.role != Role::Cold);
    nodes.map(|node| (node.id.clone(), core.nodes.link(&node.id).is_some())).collect()
}

/// Writes down that a node says it was put back to an older state, where this is what it says.
pub(crate) fn heard(core: &Arc<Coordinator>, link: &Link, outcome: &v1::SessionOutcome) {
    let Some(Outcome::Failed(failure)) = &outcome.outcome else { return };
    if failure.field == LOG_FIELD {
        rolled_back(core, link.node(), &failure.reason);
    }
}

/// Writes down that a node was put back to an older state, once in a while.
pub(crate) fn rolled_back(core: &Arc<Coordinator>, node: &NodeId, reason: &str) {
    if !core.presence.says_rolled_back(node, core.clock.now()) {
        return;
    }
    let event =
        Event::new("node.rolled_back").field("node", json!(node)).field("reason", json!(quoted(reason)));
    let core = core.clone();
    tokio::spawn(async move { write(&core, event).await });
}

async fn write(core: &Coordinator, event: Event) {
    let now = core.clock.now();
    let write = core.db.update(move |txn| Ok(quorate_audit::append(txn, now, &event)?));
    match write.await {
        Ok((receipt, synced)) => drop(receipt.confirm(&synced)),
        Err(error) => tracing::error!(%error, "what became of a node was not written down"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_away_once_it_is_for_longer_than_a_restart() {
        let (presence, node) = (Presence::default(), "agent-1".parse::<NodeId>().unwrap());
        let look = |attached, now| presence.look(&[(node.clone(), attached)], now);
        let away = |since| vec![Change::Unavailable { node: node.clone(), since }];
        assert_eq!(look(false, 1_000), []);
        assert_eq!(look(false, 30_999), []);
        assert_eq!(look(true, 31_000), [], "a restart is nobody's business");
        assert_eq!(look(false, 40_000), []);
        assert_eq!(look(false, 70_000), away(40_000));
        assert_eq!(look(false, 500_000), [], "said once");
        assert_eq!(look(true, 500_001), [Change::Back { node: node.clone() }]);
        assert_eq!(look(true, 500_002), []);
        assert_eq!(look(false, 600_000), []);
        assert_eq!(presence.look(&[], 700_000), [], "no longer a node of this cluster");
        assert_eq!(look(false, 710_000), []);
    }

    #[test]
    fn a_node_that_was_put_back_is_written_about_once_in_a_while() {
        let (presence, node) = (Presence::default(), "agent-1".parse::<NodeId>().unwrap());
        assert!(presence.says_rolled_back(&node, 1));
        assert!(!presence.says_rolled_back(&node, SAID_MS));
        assert!(presence.says_rolled_back(&"service-1".parse().unwrap(), 2));
        assert!(presence.says_rolled_back(&node, SAID_MS + 1));
    }
}
