//! What the log promises.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod canonical;
mod crash;
mod given;
mod log;
mod merkle;
mod offline;
mod refused;
mod tampering;
mod tree;
