//! The groups of the manifest, and whether they are enrolled.

use quorate_proto::v1;

use crate::coordinator::Coordinator;
use crate::error::OpError;
use crate::records::{GroupRecord, get};

/// Every group of the manifest.
pub(crate) async fn list_groups(core: &Coordinator) -> Result<Vec<v1::Group>, OpError> {
    let pinned = core.pinned.load_full();
    let read = core.db.read(move |read| {
        let group = |group: &quorate_manifest::Group| {
            let record = get::<GroupRecord>(read, group.id.as_str().as_bytes())?;
            Ok(to_pb(group, record.as_ref()))
        };
        pinned.manifest().groups().iter().map(group).collect()
    });
    read.await
}

/// A group as callers see it.
pub(crate) fn to_pb(group: &quorate_manifest::Group, record: Option<&GroupRecord>) -> v1::Group {
    v1::Group {
        group: group.id.to_string(),
        agent_node: group.agent.to_string(),
        service_node: group.service.to_string(),
        cold_node: group.cold.to_string(),
        aux_hash: record.map(|record| record.aux_hash.to_vec()).unwrap_or_default(),
    }
}
