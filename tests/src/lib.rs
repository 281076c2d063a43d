//! Whole-cluster scenarios: what they stand on. A [`World`] is a cluster's files on disk; a [`Relay`] is a coordinator
//! that does what a test tells it; a [`Cluster`] is the real thing, in process, over real TLS; a [`Receiver`] is told.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod cluster;
mod drive;
mod golden;
mod payloads;
mod programs;
mod receiver;
mod recover;
mod relay;
mod stage;
mod world;

pub use cluster::Cluster;
pub use drive::{Ending, Post, Script, play_together};
pub use golden::{Golden, WALLET, golden, policy_yaml, with_limits};
pub use payloads::{
    FRIEND, STRANGER, authorization, authorization_until, call, erc20_transfer, transfer, usdc,
};
pub use programs::programs;
pub use receiver::{Receiver, WEBHOOK_SECRET};
pub use recover::recover;
pub use relay::Relay;
pub use stage::{Stage, assert_signed, both, show, shown};
pub use world::{APPROVERS, CLUSTER, COORDINATOR, CUSTODIAN, World};
