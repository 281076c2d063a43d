//! What a dev cluster is made of right now.

use std::collections::BTreeMap;
use std::time::Duration;

use quorate_proto::v1;
use serde::Serialize;

use super::layout::{COORDINATOR, Layout, processes};
use super::{configs, process};
use crate::client::{Client, refused, within};
use crate::http;
use crate::output::table;
use crate::profile::Profile;
use crate::refusal::Refusal;

/// Longest wait for the coordinator to say who is attached.
const ASK: Duration = Duration::from_secs(3);

/// One process.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ProcessView {
    pub(crate) name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pid: Option<i32>,
    pub(crate) ready: bool,
    /// Attached to the coordinator; of the coordinator itself, whether it answers.
    pub(crate) attached: bool,
    /// What is missing; empty where nothing is.
    pub(crate) missing: String,
    pub(crate) log: String,
}

impl ProcessView {
    pub(crate) const fn is_well(&self) -> bool {
        self.pid.is_some() && self.ready && self.attached
    }

    pub(crate) fn table(views: &[Self]) -> String {
        let rows: Vec<_> = views
            .iter()
            .map(|view| {
                let pid = view.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
                let state = if view.is_well() { "ready" } else { view.missing.as_str() };
                vec![view.name.to_owned(), pid, state.to_owned(), view.log.clone()]
            })
            .collect();
        table(&["PROCESS", "PID", "STATE", "LOG"], &rows)
    }
}

/// Looks at every process, its health endpoint, and who is attached.
pub(crate) async fn look(layout: &Layout) -> Result<Vec<ProcessView>, Refusal> {
    let attached = match process::running(layout, COORDINATOR) {
        Some(_) => attached(layout).await,
        None => Err(Refusal::unavailable("the coordinator is not running")),
    };
    let mut views = Vec::new();
    for name in processes() {
        views.push(one(layout, name, &attached).await?);
    }
    Ok(views)
}

async fn one(
    layout: &Layout,
    name: &'static str,
    attached: &Result<BTreeMap<String, bool>, Refusal>,
) -> Result<ProcessView, Refusal> {
    let pid = process::running(layout, name);
    let ready = match pid {
        Some(_) => http::ready(configs::health(layout, name)?).await,
        None => Err("not running".to_owned()),
    };
    let seen = match attached {
        Ok(_) if name == COORDINATOR => Ok(()),
        Ok(nodes) if nodes.get(name).copied().unwrap_or(false) => Ok(()),
        Ok(_) => Err("not attached to the coordinator".to_owned()),
        Err(refusal) => Err(refusal.reason.clone()),
    };
    let missing = ready.as_ref().err().or(seen.as_ref().err()).cloned().unwrap_or_default();
    let log = layout.log(name).display().to_string();
    Ok(ProcessView { name, pid, ready: ready.is_ok(), attached: seen.is_ok(), missing, log })
}

async fn attached(layout: &Layout) -> Result<BTreeMap<String, bool>, Refusal> {
    let client = Client::connect(&Profile::load(&layout.profile("operator"))?).await?;
    let request = within(v1::ListNodesRequest {}, ASK);
    let nodes = client.cluster().list_nodes(request).await.map_err(refused)?.into_inner().nodes;
    Ok(nodes.into_iter().map(|node| (node.node, node.attached)).collect())
}
