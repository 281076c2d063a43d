//! Freeze orders.

use quorate_proto::v1;
use serde::Serialize;

use super::hex;
use crate::output::table;

/// The order that counts for a scope.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct FreezeView {
    pub(crate) scope: String,
    pub(crate) sequence: u64,
    pub(crate) frozen: bool,
    pub(crate) reason: String,
    pub(crate) hash: String,
    pub(crate) nodes: Vec<String>,
}

impl From<v1::FreezeOrder> for FreezeView {
    fn from(order: v1::FreezeOrder) -> Self {
        Self {
            scope: order.scope,
            sequence: order.sequence,
            frozen: order.freezes,
            reason: order.reason,
            hash: hex(&order.hash),
            nodes: order.nodes,
        }
    }
}

impl FreezeView {
    /// What is so now, in words.
    pub(crate) fn state(&self) -> String {
        if self.frozen { format!("{} is FROZEN", self.scope) } else { format!("{} is free", self.scope) }
    }

    pub(crate) fn table(orders: &[Self]) -> String {
        let rows: Vec<_> = orders
            .iter()
            .map(|order| {
                vec![
                    order.scope.clone(),
                    if order.frozen { "FROZEN" } else { "lifted" }.to_owned(),
                    order.sequence.to_string(),
                    order.nodes.join(","),
                    order.reason.clone(),
                ]
            })
            .collect();
        table(&["SCOPE", "STATE", "ORDER", "OBEYED BY", "REASON"], &rows)
    }
}
