//! How long ago each group's recovery was rehearsed, for the metrics.

use std::collections::BTreeMap;

use crate::db::Db;
use crate::error::OpError;
use crate::records::{DrillRecord, GroupRecord, page};

/// Tells the metrics when a wallet of each group was last drilled; of a group without a drill, when it was enrolled.
pub(crate) async fn measure(db: &Db) -> Result<(), OpError> {
    let read = db.read(|read| {
        let groups = page::<GroupRecord>(read, &[], usize::MAX)?;
        let mut last: BTreeMap<_, _> =
            groups.into_iter().map(|group| (group.group, group.enrolled_at)).collect();
        for drill in page::<DrillRecord>(read, &[], usize::MAX)? {
            let at = last.entry(drill.group).or_default();
            *at = drill.drilled_at.max(*at);
        }
        Ok(last)
    });
    for (group, at) in read.await? {
        metrics::gauge!("quorate_drilled_at_seconds", "group" => group.to_string()).set(at as f64 / 1_000.0);
    }
    Ok(())
}
