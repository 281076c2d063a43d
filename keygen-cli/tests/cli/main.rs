//! The program as people and scripts see it, without a cluster: help, refusals, documents, a dev cluster's directory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod audit;
mod bench;
mod dev;
mod documents;
mod help;
mod policies;
mod refusals;
