//! Tells a coordinator which presignatures are there that were made through it. Only what changed is said, and what comes
//! and goes between two words is never said at all: a slow stream delays it and queues nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use quorate_proto::v1::{self, node_frame::Frame};
use quorate_types::{B256, WalletId};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::node::Node;
use crate::pool::News;

/// How often what is too old is looked for.
const SWEEP: Duration = Duration::from_secs(10);

/// After the first news, how long more is waited for: those who sign come first.
const GATHER: Duration = Duration::from_millis(20);

/// Ids in one frame, both ways together.
const FRAME: usize = 512;

/// Keeps the coordinator told until the handle is dropped.
pub(super) fn keep_told(
    node: Arc<Node>,
    coordinator: &str,
    out: mpsc::Sender<v1::NodeFrame>,
) -> AbortOnDropHandle<()> {
    let ear = node.pool.listen(coordinator);
    AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            if tokio::time::timeout(SWEEP, ear.rung()).await.is_ok() {
                tokio::time::sleep(GATHER).await;
            }
            node.pool.sweep();
            for change in frames(&ear.take()) {
                if out.send(v1::NodeFrame { frame: Some(Frame::Pool(change)) }).await.is_err() {
                    return;
                }
            }
        }
    }))
}

fn frames(news: &News) -> Vec<v1::PoolChange> {
    let mut changes: BTreeMap<&WalletId, Vec<(&B256, bool)>> = BTreeMap::new();
    for ((wallet, id), came) in news {
        changes.entry(wallet).or_default().push((id, *came));
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

    #[test]
    fn what_came_and_what_went_is_said_by_wallet() {
        let entry =
            |(wallet, id, came): (&str, u8, bool)| ((wallet.parse().unwrap(), B256::repeat_byte(id)), came);
        let news = [("a", 1, false), ("a", 4, true), ("c", 5, true)].map(entry).into();
        let change = |wallet: &str, added: &[u8], dropped: &[u8]| {
            let ids = |ids: &[u8]| ids.iter().map(|id| vec![*id; 32]).collect();
            v1::PoolChange { wallet: wallet.to_owned(), added: ids(added), dropped: ids(dropped) }
        };
        assert_eq!(frames(&news), [change("a", &[4], &[1]), change("c", &[5], &[])]);
        assert!(frames(&News::new()).is_empty());
    }

    #[test]
    fn frames_are_bounded() {
        let id = |n: u64| ("a".parse().unwrap(), B256::left_padding_from(&n.to_be_bytes()));
        let news = (0..FRAME as u64 + 1).map(|n| (id(n), true)).collect();
        assert_eq!(frames(&news).iter().map(|change| change.added.len()).collect::<Vec<_>>(), [FRAME, 1]);
    }
}
