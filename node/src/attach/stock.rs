//! Tells a coordinator which presignatures are there that were made through it. Only what changed is said, and what comes
//! and goes between two words is never said at all: a slow stream delays it and queues nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use quorate_proto::v1::{self, node_frame::Frame};
use quorate_types::{B256, WalletId};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::node::Node;

/// How often what is too old is looked for.
const SWEEP: Duration = Duration::from_secs(10);

/// Ids in one frame, both ways together.
const FRAME: usize = 512;

type Stock = BTreeSet<(WalletId, B256)>;

/// Keeps the coordinator told until the handle is dropped.
pub(super) fn keep_told(
    node: Arc<Node>,
    coordinator: String,
    out: mpsc::Sender<v1::NodeFrame>,
) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        let mut changes = node.pool.changes();
        let mut told = Stock::new();
        loop {
            changes.mark_unchanged();
            node.pool.sweep();
            let held = node.pool.made_through(&coordinator);
            for change in difference(&told, &held) {
                if out.send(v1::NodeFrame { frame: Some(Frame::Pool(change)) }).await.is_err() {
                    return;
                }
            }
            told = held;
            // The pool lives as long as the node, so its changes do not end.
            let _either = tokio::time::timeout(SWEEP, changes.changed()).await;
        }
    }))
}

fn difference(told: &Stock, held: &Stock) -> Vec<v1::PoolChange> {
    let added = held.difference(told).map(|entry| (entry, true));
    let dropped = told.difference(held).map(|entry| (entry, false));
    let mut changes: BTreeMap<&WalletId, Vec<(&B256, bool)>> = BTreeMap::new();
    for ((wallet, id), is_added) in added.chain(dropped) {
        changes.entry(wallet).or_default().push((id, is_added));
    }
    let frames = changes
        .into_iter()
        .flat_map(|(wallet, ids)| ids.chunks(FRAME).map(|ids| frame(wallet, ids)).collect::<Vec<_>>());
    frames.collect()
}

fn frame(wallet: &WalletId, ids: &[(&B256, bool)]) -> v1::PoolChange {
    let those = |wanted: bool| {
        let those = ids.iter().filter(|(_, is_added)| *is_added == wanted);
        those.map(|(id, _)| id.to_vec()).collect()
    };
    v1::PoolChange { wallet: wallet.to_string(), added: those(true), dropped: those(false) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stock(entries: &[(&str, u8)]) -> Stock {
        entries.iter().map(|(wallet, id)| (wallet.parse().unwrap(), B256::repeat_byte(*id))).collect()
    }

    #[test]
    fn only_what_changed_is_said() {
        let before = stock(&[("a", 1), ("a", 2), ("b", 3)]);
        assert!(difference(&before, &before).is_empty());
        let after = stock(&[("a", 2), ("a", 4), ("b", 3), ("c", 5)]);
        let changes = difference(&before, &after);
        let change = |wallet: &str, added: &[u8], dropped: &[u8]| {
            let ids = |ids: &[u8]| ids.iter().map(|id| vec![*id; 32]).collect();
            v1::PoolChange { wallet: wallet.to_owned(), added: ids(added), dropped: ids(dropped) }
        };
        assert_eq!(changes, [change("a", &[4], &[1]), change("c", &[5], &[])]);
    }

    #[test]
    fn frames_are_bounded() {
        let held: Stock = (0..FRAME as u64 + 1)
            .map(|n| ("a".parse().unwrap(), B256::left_padding_from(&n.to_be_bytes())))
            .collect();
        let changes = difference(&Stock::new(), &held);
        assert_eq!(changes.iter().map(|change| change.added.len()).collect::<Vec<_>>(), [FRAME, 1]);
    }
}
