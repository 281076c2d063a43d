//! Telling people. Alerts are made of the audit log, which is synced with what it tells of, so nothing of this is in the way
//! of a signature: a task reads what was appended, queues it durably, and another task for each receiver sends it.
//!
//! The log is the outbox. The cursor moves in the transaction that queues what was found up to it, so after a crash the log is
//! read again from there: at least once, and the same alert has the same id.

mod config;
mod follow;
mod outbox;
mod post;
mod tell;
mod throttle;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::coordinator::Coordinator;
use crate::error::OpError;

pub use config::AlertsConfig;
pub(crate) use config::{Addressee, open};
#[cfg(test)]
pub(crate) use outbox::Letter;
pub(crate) use outbox::{Dead, Outbox};

/// Starts telling the receivers, from where the log was read to.
pub(crate) async fn start(
    core: &Arc<Coordinator>,
    (config, name): (&AlertsConfig, &str),
    receivers: Vec<Addressee>,
    stop: &CancellationToken,
) -> Result<(), OpError> {
    if receivers.is_empty() {
        return Ok(());
    }
    core.outbox.load(core, &receivers).await?;
    let cursor = follow::cursor(core).await?;
    let wants = receivers.iter().map(Addressee::wants).collect();
    let give_up_ms = config.give_up_s.saturating_mul(1000);
    for receiver in receivers {
        tokio::spawn(post::run(core.clone(), receiver, give_up_ms, stop.clone()));
    }
    let throttle = throttle::Throttle::new(config.throttle_s.saturating_mul(1000));
    tokio::spawn(follow::run(
        core.clone(),
        follow::Follower::new(name, cursor, throttle, wants),
        stop.clone(),
    ));
    Ok(())
}
