//! One request, followed until it is answered.

use std::sync::Arc;
use std::time::Duration;

use quorate_ledger::State;
use quorate_manifest::Manifest;
use quorate_proto::v1;
use quorate_proto::v1::sign_response::Outcome;
use quorate_proto::v1::signing_event::State as Told;
use quorate_store::Read;
use quorate_types::UnixMillis;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::access::Caller;
use crate::coordinator::Coordinator;
use crate::error::OpError;
use crate::feed::{Feed, HEARTBEAT, LONGEST, Lost, Reading};
use crate::ops::approvals::Waits;
use crate::ops::sign::repeat;
use crate::signings::{Answer, Name};
use crate::status::failure;

/// After something was written, how long more is waited for.
const GATHER: Duration = Duration::from_millis(200);

/// Where the request stands now, and each time that changes, up to its answer.
pub(crate) async fn watch_signing(
    core: &Arc<Coordinator>,
    caller: &Caller,
    name: Name,
) -> Result<Reading<v1::SigningEvent>, OpError> {
    let (feed, reading) = core.signing_feeds.open(caller)?;
    let core = core.clone();
    tokio::spawn(async move {
        match timeout(LONGEST, follow(&core, &feed, &name)).await {
            Ok(Ok(())) => {}
            Ok(Err(why)) => feed.end(why),
            Err(_) => feed.end(interrupted("the stream is as long as one may be")),
        }
    });
    Ok(reading)
}

async fn follow(core: &Coordinator, feed: &Feed<v1::SigningEvent>, name: &Name) -> Result<(), OpError> {
    // Both before the first look, so that nothing in between is missed.
    let (mut written, mut answers) = (core.db.written(), core.signings.answers());
    let mut last = v1::SigningEvent::default();
    let mut told = Instant::now();
    loop {
        written.mark_unchanged();
        let event = standing(core, name).await?;
        if event != last || told.elapsed() >= HEARTBEAT {
            tell(feed, event.clone()).await?;
            (last, told) = (event, Instant::now());
        }
        if last.state() == Told::Done {
            return Ok(());
        }
        tokio::select! {
            () = feed.closed() => return Ok(()),
            () = core.stopping.cancelled() => return Err(interrupted("the coordinator stops")),
            answer = answers.recv() => match answer {
                Ok(answered) if answered.0 == *name => {
                    if let Some(event) = answer_told(&answered.1) {
                        return tell(feed, event).await;
                    }
                }
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return Err(interrupted("the coordinator stops")),
            },
            changed = written.changed() => {
                changed.map_err(|_| interrupted("the coordinator stops"))?;
                sleep(GATHER).await;
            }
            () = sleep_until(wake(core, &last)) => {}
        }
    }
}

async fn tell(feed: &Feed<v1::SigningEvent>, event: v1::SigningEvent) -> Result<(), OpError> {
    feed.tell(event).await.map_err(|lost| match lost {
        Lost::Slow => interrupted("the reader does not keep up"),
        Lost::Gone => interrupted("the reader is gone"),
    })
}

/// When to look again where nothing happens: with the next heartbeat, or when a wait is over.
fn wake(core: &Coordinator, last: &v1::SigningEvent) -> Instant {
    let until =
        last.waiting.as_ref().filter(|_| last.state() == Told::Waiting).map(|waiting| waiting.until_ms);
    let left = until.map_or(HEARTBEAT, |until| {
        Duration::from_millis(until.saturating_sub(core.clock.now()).saturating_add(1))
    });
    Instant::now() + left.min(HEARTBEAT)
}

/// The event of an answer that was just given; none for a wait, which is looked up.
fn answer_told(answer: &Answer) -> Option<v1::SigningEvent> {
    match answer {
        Ok(response) if matches!(response.outcome, Some(Outcome::Waiting(_))) => None,
        Ok(response) => Some(done(response.clone())),
        Err(error) => {
            let state = Told::Failed.into();
            Some(v1::SigningEvent { state, failure: Some(failure(error)), ..Default::default() })
        }
    }
}

fn done(answer: v1::SignResponse) -> v1::SigningEvent {
    v1::SigningEvent { state: Told::Done.into(), answer: Some(answer), ..Default::default() }
}

/// Where it stands on record.
async fn standing(core: &Coordinator, name: &Name) -> Result<v1::SigningEvent, OpError> {
    let now = core.clock.now();
    let (name, pinned) = (name.clone(), core.pinned.load_full());
    let read = move |read: &dyn Read| on_record(read, &name, (now, pinned.manifest()));
    let unknown = || v1::SigningEvent { state: Told::Unknown.into(), ..Default::default() };
    Ok(core.db.read(read).await?.unwrap_or_else(unknown))
}

fn on_record(
    read: &dyn Read,
    name: &Name,
    (now, manifest): (UnixMillis, &Manifest),
) -> Result<Option<v1::SigningEvent>, OpError> {
    let entry = quorate_ledger::lookup(read, &name.wallet, &name.key)?;
    let state = |state: Told| Some(v1::SigningEvent { state: state.into(), ..Default::default() });
    match entry.as_ref().map(|entry| entry.state) {
        Some(State::Done) => {
            let answer = entry.and_then(|entry| entry.answer);
            let answer = answer.ok_or_else(|| OpError::defect("an answered request without an answer"))?;
            return Ok(Some(done(repeat(&answer)?)));
        }
        Some(State::Reserved | State::Releasing) => return Ok(state(Told::Running)),
        Some(State::Void) | None => {}
    }
    let case = match name.find(read, now)? {
        None => return Ok(None),
        Some(Waits::ForPeople(case)) => case,
        Some(Waits::ForTime(held)) => {
            let waiting =
                v1::Waiting { tier: "delay".to_owned(), until_ms: held.until, ..Default::default() };
            return Ok(Some(waits(waiting, now, held.refused.is_some())));
        }
    };
    // Asked again, a case that is over is told, and a case that was approved is signed.
    let approved = || case.approved(manifest).map_or(0, |approved| approved.approvers().len());
    let settled = case.is_over(now) || approved() >= case.threshold;
    let waiting = v1::Waiting {
        tier: "approval".to_owned(),
        until_ms: case.expires_at,
        approval: case.body.into_bytes(),
        ..Default::default()
    };
    Ok(Some(waits(waiting, now, settled)))
}

fn waits(waiting: v1::Waiting, now: UnixMillis, settled: bool) -> v1::SigningEvent {
    let ready = settled || now >= waiting.until_ms;
    let state = if ready { Told::AskAgain } else { Told::Waiting };
    v1::SigningEvent { state: state.into(), waiting: Some(waiting), ..Default::default() }
}

fn interrupted(why: &str) -> OpError {
    OpError::Unavailable { reason: format!("{why}: watch it again"), nodes: Vec::new() }
}
