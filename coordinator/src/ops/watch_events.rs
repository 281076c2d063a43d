//! The audit log, entry by entry as it is appended.

use std::sync::Arc;
use std::time::Duration;

use quorate_proto::v1;
use tokio::time::{Instant, sleep, timeout};

use crate::access::Caller;
use crate::coordinator::Coordinator;
use crate::error::OpError;
use crate::feed::{Feed, HEARTBEAT, LONGEST, Lost, Reading};
use crate::ops::read_audit::{head, page};

/// After something was written, how long more is waited for.
const GATHER: Duration = Duration::from_millis(50);
/// Entries in one message.
const PAGE: u32 = 50;

/// Everything from entry `from` on, without a gap; with 0 everything from now on.
pub(crate) async fn watch_events(
    core: &Arc<Coordinator>,
    caller: &Caller,
    from: u64,
) -> Result<Reading<v1::WatchEventsResponse>, OpError> {
    let end = head(core).await?.sequence.saturating_add(1);
    if from > end {
        return Err(OpError::invalid("from", format!("the log ends before {end}")));
    }
    let from = if from == 0 { end } else { from };
    let (feed, reading) = core.log_feeds.open(caller)?;
    let core = core.clone();
    tokio::spawn(async move {
        let mut next = from;
        let why = match timeout(LONGEST, follow(&core, &feed, &mut next)).await {
            Ok(why) => why,
            Err(_) => interrupted("the stream is as long as one may be", next),
        };
        feed.end(why);
    });
    Ok(reading)
}

/// Tells entries until it cannot.
async fn follow(core: &Coordinator, feed: &Feed<v1::WatchEventsResponse>, next: &mut u64) -> OpError {
    let mut written = core.db.written();
    let mut told = Instant::now();
    loop {
        written.mark_unchanged();
        let entries = match page(core, *next, PAGE).await {
            Ok((entries, _)) => entries,
            Err(error) => return error,
        };
        let after = next.saturating_add(u64::try_from(entries.len()).unwrap_or_default());
        let news = !entries.is_empty();
        if news || told.elapsed() >= HEARTBEAT {
            match feed.tell(v1::WatchEventsResponse { entries, next: after }).await {
                Ok(()) => (told, *next) = (Instant::now(), after),
                Err(Lost::Slow) => return interrupted("the reader does not keep up", *next),
                Err(Lost::Gone) => return interrupted("the reader is gone", *next),
            }
        }
        if news {
            continue;
        }
        tokio::select! {
            () = feed.closed() => return interrupted("the reader is gone", *next),
            () = core.stopping.cancelled() => return interrupted("the coordinator stops", *next),
            changed = timeout(HEARTBEAT, written.changed()) => {
                if changed.is_ok() {
                    sleep(GATHER).await;
                }
            }
        }
    }
}

fn interrupted(why: &str, next: u64) -> OpError {
    OpError::Unavailable { reason: format!("{why}: go on from {next}"), nodes: Vec::new() }
}
