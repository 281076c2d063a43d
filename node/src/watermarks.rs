//! Where the peers' logs were last seen to end, in opens and in checkpoints, and what they last saw of this node's.
//!
//! A node whose data directory was put back to an older state has forgotten what it charged since, and cannot know that by
//! itself. Its peers saw a later end of its log. Each signed open says what its signer saw, so a session with any of them
//! tells; the coordinator in between can end sessions, and can alter nothing in them.

use std::sync::Arc;

use quorate_session::{LogMark, PeerLogs, Standing, Terms};
use quorate_store::{Read, Txn};
use quorate_types::NodeId;

use crate::node::Node;
use crate::sessions::SessionError;

/// Peer to the latest mark it signed, in postcard.
const PEERS: &str = "peer.log";

/// What this node says of itself and its peers in `terms`. Reads the disk.
///
/// # Errors
/// [`SessionError`] where the store cannot be read.
pub(crate) fn standing(node: &Node, terms: &Terms) -> Result<Standing, SessionError> {
    let head = quorate_audit::head(&*node.store)?;
    let log = LogMark { life: node.restored.life(), entries: head.sequence, head: head.hash };
    let mut standing = Standing { log, ..node.boot.into() };
    for party in &terms.participants {
        if let Some(seen) = read(&*node.store, &party.node)? {
            standing.seen.insert(party.index, seen);
        }
    }
    Ok(standing)
}

/// Checks what a peer saw of this node's log against the log. What the peer says of its own is kept once it has done the same:
/// see [`saw`].
///
/// # Errors
/// [`SessionError::Caller`] naming `log` where this node's log is not the one the peer, or another node before, saw.
pub(crate) fn compare(
    node: &Node,
    read: &dyn Read,
    (peer, logs): (&NodeId, &PeerLogs),
) -> Result<(), SessionError> {
    node.own_log.check()?;
    if !is_mine(node, read, &logs.of_mine)? {
        // The peer's word alone, which proves nothing: no session with it goes on, and all else does.
        metrics::counter!("quorate_node_rollback_claims_total", "peer" => peer.to_string()).increment(1);
        let entries = logs.of_mine.entries;
        tracing::error!(%peer, entries, "a peer says that it saw a later log of this node than the one it has");
        return Err(SessionError::caller(
            "log",
            format!(
                "{peer} saw entry {entries} of this node's log, and it is not there: the data directory is an older one, or \
                 {peer} lies. Put the newest back, or `quorate-node restore` and `readmit`"
            ),
        ));
    }
    Ok(())
}

/// Keeps where a peer's log was seen to end, by what the peer signed. Only once the peer went on with a session, and so found what
/// was seen before in that log, or proved it: a node that was put back writes on, and must not outgrow what is remembered of it.
///
/// # Errors
/// [`SessionError`] where the store cannot be read or written.
pub(crate) fn saw(txn: &mut dyn Txn, peer: &NodeId, log: &LogMark) -> Result<(), SessionError> {
    let known = read(&*txn, peer)?.unwrap_or_default();
    // Sessions overlap: one that opened earlier may come here later.
    if log.is_later_than(&known) {
        txn.put(PEERS, peer.as_str().as_bytes(), &encode(log)?)?;
    }
    Ok(())
}

/// Whether the log this node has now is a continuation of what was seen.
fn is_mine(node: &Node, read: &dyn Read, seen: &LogMark) -> Result<bool, SessionError> {
    let life = node.restored.life();
    if seen.life != life {
        // A restore began a new log, and the operators said what it must not forget. The other way round, this log is of
        // before a restore.
        return Ok(seen.life < life);
    }
    Ok(seen.entries == 0 || quorate_audit::hash_at(read, seen.entries)? == Some(seen.head))
}

/// Where a peer's log was last seen to end.
#[cfg(test)]
pub(crate) fn seen(node: &Node, peer: &NodeId) -> Option<LogMark> {
    read(&*node.store, peer).unwrap()
}

fn read(read: &dyn Read, peer: &NodeId) -> Result<Option<LogMark>, SessionError> {
    let Some(bytes) = read.get(PEERS, peer.as_str().as_bytes())? else { return Ok(None) };
    match postcard::take_from_bytes(&bytes) {
        Ok((mark, [])) => Ok(Some(mark)),
        _ => Err(SessionError::Bug(format!("what was seen of {peer} is malformed"))),
    }
}

fn encode(mark: &LogMark) -> Result<Vec<u8>, SessionError> {
    postcard::to_allocvec(mark).map_err(|error| SessionError::Bug(error.to_string()))
}

/// [`standing`], off the threads that answer the network.
///
/// # Errors
/// As [`standing`].
pub(crate) async fn stand(node: &Arc<Node>, terms: &Terms) -> Result<Standing, SessionError> {
    let (node, terms) = (Arc::clone(node), terms.clone());
    let stand = tokio::task::spawn_blocking(move || standing(&node, &terms)).await;
    stand.map_err(|error| SessionError::Bug(format!("a store task stopped: {error}")))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Cluster, log_more, memory};
    use metrics_exporter_prometheus::PrometheusBuilder;
    use quorate_store::update;
    use quorate_types::{B256, Role};

    /// What a peer says ends a session with it, and is told as what it is: nobody rings for a node that is well.
    #[test]
    fn a_peers_bare_word_of_a_rollback_is_counted_as_its_word() {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            let node = Cluster::new().node(Role::Service, &memory());
            log_more(&node, 3, "x");
            let peer: NodeId = "agent-1".parse().unwrap();
            let of_mine = LogMark { life: 0, entries: 9, head: B256::repeat_byte(1) };
            let lie = PeerLogs { party: 0, of_mine, own: LogMark::default() };
            let compared = update(&*node.store, |txn| compare(&node, txn, (&peer, &lie)));
            assert!(matches!(compared, Err(SessionError::Caller { field: "log", .. })));
            assert!(node.own_log.check().is_ok(), "sessions with others go on");
        });
        let told = recorder.handle().render();
        assert!(told.contains("quorate_node_rollback_claims_total{peer=\"agent-1\"} 1"), "{told}");
        assert!(!told.contains("quorate_node_rolled_back"), "{told}");
    }
}
