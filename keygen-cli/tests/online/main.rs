//! The program against a cluster that runs: what people and gateways do with it all day, with what it prints and how it ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod alerts;
mod approvals;
mod desk;
mod freezes;
mod lapses;
mod log;
