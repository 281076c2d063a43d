//! The coordinator: gates every signature behind a policy check, relays sealed messages between signer nodes, and keeps
//! the record. It holds no share, cannot read what it relays, and is not trusted with money: the nodes decide again.
//!
//! Whoever has read `gate` and `ops::sign` has seen it: the first makes the one value that can start a signing, the
//! second takes it through a session to an answer. Around them: `server` (the gRPC edge), `relay` and `session_run`
//! (who sits in which session and how it ends), `ops` (one file per operation), `records` (what is kept), `pools` (which
//! presignatures the nodes hold) with `demand` and `refill`, which keep them so.

mod access;
mod alerts;
mod app;
mod attach;
mod checkpoints;
mod config;
mod coordinator;
mod db;
mod demand;
mod drills;
mod error;
mod feed;
mod freezes;
mod gate;
mod holds;
mod keyed_locks;
mod link;
mod loosening;
mod node_logs;
mod nodes;
mod ops;
mod parsed;
mod pin;
mod places;
mod policies;
mod pools;
mod presence;
mod push;
mod question;
mod questions;
mod records;
mod refill;
mod relay;
mod server;
mod session_run;
mod signings;
mod spend;
mod status;
mod waiting;
mod waits;
mod why;
mod wire;

#[cfg(test)]
mod tests;

pub use alerts::AlertsConfig;
pub use app::{App, Running, StartError, Stopped};
pub use config::{Config, ConfigError, Deadlines, ManifestFiles, PoolsConfig};
