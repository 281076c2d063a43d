//! The nodes of the manifest, and which are attached.

use quorate_manifest::NodeEntry;
use quorate_proto::v1;

use crate::coordinator::Coordinator;

/// Every node of the manifest. What a node says of itself is known while it is attached.
pub(crate) fn list_nodes(core: &Coordinator) -> v1::ListNodesResponse {
    let pinned = core.pinned.load_full();
    let node = |entry: &NodeEntry| {
        let mut node =
            v1::Node { node: entry.id.to_string(), role: entry.role.to_string(), ..Default::default() };
        if let Some(about) = core.nodes.about(&entry.id) {
            node.attached = true;
            node.boot_id = about.boot.as_bytes().to_vec();
            node.software_version = about.software_version;
            node.primes_ready = about.primes_ready;
            node.attached_at_ms = about.attached_at;
            node.manifest_version = about.manifest_version;
        }
        node
    };
    v1::ListNodesResponse {
        nodes: pinned.manifest().nodes().iter().map(node).collect(),
        manifest_version: pinned.manifest().version(),
        manifest_hash: pinned.hash().to_vec(),
    }
}
