//! Reads what was appended to the log, and queues the alerts in it.

use std::sync::Arc;
use std::time::Duration;

use quorate_alert::Alert;
use quorate_audit::{Entry, entries, head};
use quorate_store::Read;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::config::Wants;
use super::outbox::Cursor;
use super::tell::{Teller, admitted_by};
use super::throttle::Throttle;
use crate::coordinator::Coordinator;
use crate::error::OpError;
use crate::records::{get, put};

/// Entries read at once.
const PAGE: usize = 200;
/// Entries without an alert after which the cursor is written all the same.
const STRIDE: u64 = 1000;
/// After something was written, how long more is waited for.
const GATHER: Duration = Duration::from_millis(100);
/// How often it is looked whether what was held back is due.
const TICK: Duration = Duration::from_secs(1);
/// After the store failed.
const PAUSE: Duration = Duration::from_secs(10);
/// What is older is no news: a coordinator that was down for long does not tell of what led there.
const NEWS_MS: u64 = 86_400_000;

/// Where it stands, and whom it queues for.
pub(super) struct Follower {
    coordinator: String,
    written: Cursor,
    next: u64,
    throttle: Throttle,
    wants: Vec<Wants>,
}

impl Follower {
    pub(super) fn new(coordinator: &str, cursor: Cursor, throttle: Throttle, wants: Vec<Wants>) -> Self {
        Self { coordinator: coordinator.to_owned(), written: cursor, next: cursor.next, throttle, wants }
    }
}

/// Where to begin: where it ended, or at the first start with what comes from now on.
pub(super) async fn cursor(core: &Coordinator) -> Result<Cursor, OpError> {
    if let Some(cursor) = core.db.read(|read| get::<Cursor>(read, Cursor::KEY)).await? {
        return Ok(cursor);
    }
    let write = core.db.update(|txn| {
        let cursor = Cursor { next: head(&*txn)?.sequence.saturating_add(1) };
        put(txn, &cursor)?;
        Ok(cursor)
    });
    let (cursor, _synced) = write.await?;
    Ok(cursor)
}

/// Follows until `stop`.
pub(super) async fn run(core: Arc<Coordinator>, mut follower: Follower, stop: CancellationToken) {
    let mut written = core.db.written();
    let work = async {
        loop {
            written.mark_unchanged();
            match follower.look(&core).await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => {
                    tracing::error!(%error, "the log cannot be followed for alerts");
                    sleep(PAUSE).await;
                }
            }
            if timeout(TICK, written.changed()).await.is_ok() {
                sleep(GATHER).await;
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}

impl Follower {
    /// Reads one page; whether there may be more.
    async fn look(&mut self, core: &Coordinator) -> Result<bool, OpError> {
        let teller = Teller {
            cluster: core.pinned.load().manifest().cluster().clone(),
            coordinator: self.coordinator.clone(),
        };
        let (from, now) = (self.next, core.clock.now());
        let (found, next) = core.db.read(move |read| page(read, &teller, from)).await?;
        let more = next.saturating_sub(from) >= PAGE as u64;
        let fresh = found.into_iter().filter(|alert| alert.at_ms.saturating_add(NEWS_MS) > now);
        let mut alerts: Vec<Alert> = fresh.filter_map(|alert| self.throttle.pass(alert, now)).collect();
        alerts.extend(self.throttle.due(now));
        if !alerts.is_empty() || next.saturating_sub(self.written.next) >= STRIDE {
            for alert in &alerts {
                metrics::counter!("quorate_alerts_total", "kind" => alert.kind.as_str()).increment(1);
            }
            let cursor = Cursor { next };
            core.outbox.queue(core, &self.wants, (alerts, cursor)).await?;
            self.written = cursor;
        }
        self.next = next;
        Ok(more)
    }
}

/// The alerts of one page of entries, and where the next one begins.
fn page(read: &dyn Read, teller: &Teller, from: u64) -> Result<(Vec<Alert>, u64), OpError> {
    let (mut alerts, mut next) = (Vec::new(), from);
    for entry in entries(read, from, PAGE)? {
        next = entry.sequence.saturating_add(1);
        let admitted: Option<Entry> = match admitted_by(&entry) {
            Some(at) => entries(read, at, 1)?.pop(),
            None => None,
        };
        alerts.extend(teller.alert(&entry, admitted.as_ref()));
    }
    Ok((alerts, next))
}
