//! The money is saved: a cluster's real files, a lost node, the real program, and a second library that says who signed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod bench;
mod document;
mod evm;
mod fleet;
mod memory;
mod moving_on;
mod offline;
mod refusals;
mod restore;
mod story;
