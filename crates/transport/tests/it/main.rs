//! Everything over real sockets on port 0, with gRPC health as the service.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod access;
mod crowd;
mod files;
mod good;
mod harness;
mod local;
mod pki;
mod refused_client;
mod refused_server;
mod reload;
mod wire;
