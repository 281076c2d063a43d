//! The coordinator with scripted nodes: what it does when they sign, refuse, fail, lie and vanish.

mod alerts;
mod batch;
mod ceremony;
mod checkpoints;
mod fake;
mod gate;
mod lapse;
mod lifecycle;
mod loosening;
mod node_logs;
mod nodes;
mod pinning;
mod pools;
mod record_transaction;
mod relay;
mod rig;
mod sign;
mod tls;
mod waiting;
mod watch;
