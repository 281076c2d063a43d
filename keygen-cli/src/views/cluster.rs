//! Nodes and groups.

use quorate_proto::v1;
use quorate_types::UnixMillis;
use serde::Serialize;

use super::{hex, short};
use crate::output::table;

/// A node as the coordinator sees it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct NodeView {
    pub(crate) node: String,
    pub(crate) role: String,
    pub(crate) attached: bool,
    pub(crate) primes_ready: u32,
    pub(crate) manifest_version: u64,
    pub(crate) software_version: String,
    pub(crate) attached_at_ms: UnixMillis,
}

impl From<v1::Node> for NodeView {
    fn from(node: v1::Node) -> Self {
        Self {
            node: node.node,
            role: node.role,
            attached: node.attached,
            primes_ready: node.primes_ready,
            manifest_version: node.manifest_version,
            software_version: node.software_version,
            attached_at_ms: node.attached_at_ms,
        }
    }
}

impl NodeView {
    pub(crate) fn table(nodes: &[Self]) -> String {
        let rows: Vec<_> = nodes
            .iter()
            .map(|node| {
                vec![
                    node.node.clone(),
                    node.role.clone(),
                    if node.attached { "yes" } else { "no" }.to_owned(),
                    node.primes_ready.to_string(),
                    node.manifest_version.to_string(),
                    node.software_version.clone(),
                ]
            })
            .collect();
        table(&["NODE", "ROLE", "ATTACHED", "PRIMES", "MANIFEST", "SOFTWARE"], &rows)
    }
}

/// A group.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct GroupView {
    pub(crate) group: String,
    pub(crate) agent: String,
    pub(crate) service: String,
    pub(crate) cold: String,
    pub(crate) enrolled: bool,
    pub(crate) aux_hash: String,
}

impl From<v1::Group> for GroupView {
    fn from(group: v1::Group) -> Self {
        Self {
            enrolled: !group.aux_hash.is_empty(),
            aux_hash: hex(&group.aux_hash),
            group: group.group,
            agent: group.agent_node,
            service: group.service_node,
            cold: group.cold_node,
        }
    }
}

impl GroupView {
    pub(crate) fn table(groups: &[Self]) -> String {
        let rows: Vec<_> = groups
            .iter()
            .map(|group| {
                let enrolled = if group.enrolled { short(&group.aux_hash) } else { "no".to_owned() };
                vec![
                    group.group.clone(),
                    enrolled,
                    group.agent.clone(),
                    group.service.clone(),
                    group.cold.clone(),
                ]
            })
            .collect();
        table(&["GROUP", "ENROLLED", "AGENT", "SERVICE", "COLD"], &rows)
    }
}
