//! Enrolling a group: auxiliary info among its three nodes, once, before its first wallet.

use quorate_audit::Event;
use quorate_manifest::Group;
use quorate_proto::v1;
use quorate_proto::v1::session_outcome::Outcome;
use quorate_proto::v1::session_start::Protocol;
use quorate_types::{B256, GroupId, Role};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::access::Caller;
use crate::coordinator::{Change, Coordinator};
use crate::drills;
use crate::error::OpError;
use crate::records::{GroupRecord, get, put};
use crate::relay::Stage;
use crate::session_run::{Ended, Plan, run};
use crate::why::why;

/// Enrols a group, telling `stages` how far the nodes are. One that is enrolled already is left as it is.
pub(crate) async fn enrol_group(
    core: &Coordinator,
    caller: Caller,
    id: GroupId,
    stages: mpsc::Sender<Stage>,
) -> Result<GroupRecord, OpError> {
    let _alone = core.changes.lock(&Change::Group(id.clone())).await;
    let group = core.group(&id)?;
    if let Some(record) = enrolled(core, &id).await? {
        return Ok(record);
    }
    let convened = core.relay.convene(core.seats(&group, &Role::ALL)?, Some(stages))?;
    let protocol = Protocol::Aux(v1::StartAux { group: id.to_string() });
    let deadline = Instant::now() + core.deadlines.enrol();
    let ended = run(convened, Plan { protocol, decisive: None, deadline }).await;
    let aux_hash = agreed(&ended, &group)?;

    let now = core.clock.now();
    let nodes = group.nodes().map(Clone::clone).to_vec();
    let event = Event::new("group.enrolled")
        .field("caller", json!(caller.0.to_string()))
        .field("group", json!(id))
        .field("nodes", json!(nodes))
        .field("aux_hash", json!(aux_hash));
    let record = GroupRecord { group: id, nodes, aux_hash, enrolled_at: now };
    let write = core.db.update(move |txn| {
        put(txn, &record)?;
        Ok((quorate_audit::append(txn, now, &event)?, record))
    });
    let ((receipt, record), synced) = write.await?;
    receipt.confirm(&synced);
    drills::measure(&core.db).await?;
    Ok(record)
}

/// A group's record, where it is enrolled.
pub(crate) async fn enrolled(core: &Coordinator, id: &GroupId) -> Result<Option<GroupRecord>, OpError> {
    let id = id.clone();
    core.db.read(move |read| get(read, id.as_str().as_bytes())).await
}

/// The hash all three report.
fn agreed(ended: &Ended, group: &Group) -> Result<B256, OpError> {
    let mut agreed: Option<B256> = None;
    for node in group.nodes() {
        let Some(Outcome::AuxHash(hash)) = ended.outcome_of(node) else {
            return Err(why(ended).into_error());
        };
        let nodes = vec![node.clone()];
        let Ok(hash) = B256::try_from(hash.as_slice()) else {
            let reason = format!("node {node} reports a hash of {} bytes", hash.len());
            return Err(OpError::PeerFault { reason, nodes });
        };
        match agreed {
            Some(first) if first != hash => {
                let reason = format!("node {node} reports other auxiliary info than node {}", group.agent);
                return Err(OpError::PeerFault { reason, nodes });
            }
            _ => agreed = Some(hash),
        }
    }
    agreed.ok_or_else(|| OpError::defect("a group without nodes"))
}
