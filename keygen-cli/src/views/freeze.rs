//! Freeze orders.

use quorate_freeze::{Action, Order};
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
    /// For ever.
    pub(crate) retired: bool,
    pub(crate) reason: String,
    pub(crate) hash: String,
    pub(crate) nodes: Vec<String>,
}

impl From<v1::FreezeOrder> for FreezeView {
    fn from(order: v1::FreezeOrder) -> Self {
        let body = order.document.map(|document| document.body).unwrap_or_default();
        let said = Order::parse(&body);
        Self {
            retired: said.is_ok_and(|said| said.action == Action::Retire),
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
        let state = match (self.retired, self.frozen) {
            (true, _) => "RETIRED",
            (_, true) => "FROZEN",
            _ => "free",
        };
        format!("{} is {state}", self.scope)
    }

    pub(crate) fn table(orders: &[Self]) -> String {
        let rows: Vec<_> = orders
            .iter()
            .map(|order| {
                vec![
                    order.scope.clone(),
                    match (order.retired, order.frozen) {
                        (true, _) => "RETIRED",
                        (_, true) => "FROZEN",
                        _ => "lifted",
                    }
                    .to_owned(),
                    order.sequence.to_string(),
                    order.nodes.join(","),
                    order.reason.clone(),
                ]
            })
            .collect();
        table(&["SCOPE", "STATE", "ORDER", "OBEYED BY", "REASON"], &rows)
    }
}
