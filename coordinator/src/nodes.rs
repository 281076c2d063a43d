//! Which nodes are attached.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::Stream;
use quorate_proto::v1::RelayFrame;
use quorate_types::{BootId, NodeId, UnixMillis};
use tonic::Status;

use crate::link::Link;

/// What an attached node says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct About {
    pub(crate) boot: BootId,
    pub(crate) software_version: String,
    pub(crate) primes_ready: u32,
    pub(crate) attached_at: UnixMillis,
    pub(crate) manifest_version: u64,
}

/// The nodes attached to this coordinator, each by its latest stream.
#[derive(Default)]
pub(crate) struct Nodes {
    table: Mutex<HashMap<NodeId, (Link, About)>>,
    streams: AtomicU64,
}

impl Nodes {
    fn table(&self) -> MutexGuard<'_, HashMap<NodeId, (Link, About)>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A link for a node's new stream, and the frames to write to it.
    pub(crate) fn new_link(
        &self,
        node: NodeId,
    ) -> (Link, impl Stream<Item = Result<RelayFrame, Status>> + Send + use<>) {
        Link::new(node, self.streams.fetch_add(1, Ordering::Relaxed))
    }

    /// Takes a node in. The stream it had before, if any, is returned: it is to end.
    pub(crate) fn attach(&self, link: Link, about: About) -> Option<Link> {
        let before = self.table().insert(link.node().clone(), (link, about));
        before.map(|(link, _)| link)
    }

    /// Forgets a stream, unless the node has another by now.
    pub(crate) fn detach(&self, link: &Link) {
        let mut table = self.table();
        if table.get(link.node()).is_some_and(|(present, _)| present.is(link)) {
            table.remove(link.node());
        }
    }

    /// Updates what a node says of itself.
    pub(crate) fn update(&self, link: &Link, change: impl FnOnce(&mut About)) {
        if let Some((present, about)) = self.table().get_mut(link.node())
            && present.is(link)
        {
            change(about);
        }
    }

    /// The way to a node.
    pub(crate) fn link(&self, node: &NodeId) -> Option<Link> {
        self.table().get(node).map(|(link, _)| link.clone())
    }

    /// The ways to all of `nodes`, or those that are missing.
    pub(crate) fn links(&self, nodes: &[NodeId]) -> Result<Vec<Link>, Vec<NodeId>> {
        let table = self.table();
        let missing: Vec<_> = nodes.iter().filter(|node| !table.contains_key(*node)).cloned().collect();
        if !missing.is_empty() {
            return Err(missing);
        }
        Ok(nodes.iter().filter_map(|node| table.get(node)).map(|(link, _)| link.clone()).collect())
    }

    /// What an attached node said of itself.
    pub(crate) fn about(&self, node: &NodeId) -> Option<About> {
        self.table().get(node).map(|(_, about)| about.clone())
    }

    /// Every way there is.
    pub(crate) fn all(&self) -> Vec<Link> {
        self.table().values().map(|(link, _)| link.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about() -> About {
        About {
            boot: BootId::from_bytes([1; 16]),
            software_version: String::new(),
            primes_ready: 0,
            attached_at: 0,
            manifest_version: 1,
        }
    }

    #[test]
    fn a_node_has_one_stream_the_latest() {
        let nodes = Nodes::default();
        let name: NodeId = "agent-1".parse().unwrap();
        let (first, _out) = nodes.new_link(name.clone());
        let (second, _out) = nodes.new_link(name.clone());
        assert!(nodes.attach(first.clone(), about()).is_none());
        assert!(nodes.attach(second.clone(), about()).unwrap().is(&first));
        nodes.detach(&first);
        nodes.update(&first, |about| about.primes_ready = 9);
        assert!(nodes.link(&name).unwrap().is(&second), "the end of an old stream changes nothing");
        assert_eq!(nodes.about(&name), Some(about()));
        nodes.detach(&second);
        let other: NodeId = "service-1".parse().unwrap();
        assert_eq!(nodes.links(&[name.clone(), other.clone()]).err(), Some(vec![name, other]));
    }
}
