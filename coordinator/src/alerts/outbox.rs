//! What is to be sent, to whom, and what could not be. Bounded: beyond that the oldest is dropped, and counted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use quorate_alert::Alert;
use quorate_store::Txn;
use quorate_types::UnixMillis;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::alerts::Addressee;
use crate::alerts::config::Wants;
use crate::coordinator::Coordinator;
use crate::error::OpError;
use crate::records::{Record, get, page, put};

/// Alerts that wait for one receiver, and dead letters of one.
const MAX_KEPT: usize = 1000;

/// An alert for one receiver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Letter {
    pub(crate) receiver: String,
    pub(crate) alert: Alert,
    pub(crate) queued_at: UnixMillis,
}

impl Record for Letter {
    const TABLE: &'static str = "coordinator.alerts";
    fn key(&self) -> Vec<u8> {
        place(&self.receiver, self.alert.sequence)
    }
}

/// A letter that is no longer tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Dead {
    pub(crate) letter: Letter,
    pub(crate) given_up_at: UnixMillis,
    pub(crate) reason: String,
}

impl Record for Dead {
    const TABLE: &'static str = "coordinator.alerts.dead";
    fn key(&self) -> Vec<u8> {
        self.letter.key()
    }
}

/// The first entry of the log that was not looked at yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cursor {
    pub(super) next: u64,
}

impl Cursor {
    pub(super) const KEY: &'static [u8] = b"next";
}

impl Record for Cursor {
    const TABLE: &'static str = "coordinator.alerts.cursor";
    fn key(&self) -> Vec<u8> {
        Self::KEY.to_vec()
    }
}

/// Receivers' names hold no zero byte.
fn place(receiver: &str, sequence: u64) -> Vec<u8> {
    [receiver.as_bytes(), &[0], &sequence.to_be_bytes()].concat()
}

/// Which letters there are, by receiver: what the store holds, without reading it again.
#[derive(Default)]
pub(crate) struct Outbox {
    index: Mutex<Index>,
    changed: Notify,
}

#[derive(Default)]
struct Index {
    waiting: BTreeMap<String, BTreeSet<u64>>,
    dead: BTreeMap<String, BTreeSet<u64>>,
}

/// The ones beyond the bound, oldest first.
fn beyond(kept: &BTreeSet<u64>, more: &BTreeSet<u64>) -> Vec<u64> {
    let all: BTreeSet<u64> = kept.union(more).copied().collect();
    let over = all.len().saturating_sub(MAX_KEPT);
    all.into_iter().take(over).collect()
}

impl Outbox {
    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what is there for `receivers`. What waits for others stays where it is.
    pub(super) async fn load(&self, core: &Coordinator, receivers: &[Addressee]) -> Result<(), OpError> {
        let read = |read: &dyn quorate_store::Read| {
            Ok((page::<Letter>(read, &[], usize::MAX)?, page::<Dead>(read, &[], usize::MAX)?))
        };
        let (waiting, dead) = core.db.read(read).await?;
        let mut index = self.index();
        for Addressee { name, .. } in receivers {
            index.waiting.entry(name.clone()).or_default();
            index.dead.entry(name.clone()).or_default();
        }
        for letter in waiting {
            if let Some(kept) = index.waiting.get_mut(&letter.receiver) {
                kept.insert(letter.alert.sequence);
            }
        }
        for Dead { letter, .. } in dead {
            index.dead.entry(letter.receiver).or_default().insert(letter.alert.sequence);
        }
        index.waiting.iter().for_each(|(receiver, kept)| measure(receiver, kept.len()));
        Ok(())
    }

    /// Queues alerts for those who want them, and moves the cursor, in one synced transaction.
    pub(super) async fn queue(
        &self,
        core: &Coordinator,
        wants: &[Wants],
        (alerts, cursor): (Vec<Alert>, Cursor),
    ) -> Result<(), OpError> {
        let (mut letters, mut dropped) = (Vec::new(), Vec::new());
        for wants in wants {
            let wanted: Vec<&Alert> = alerts.iter().filter(|alert| wants.hears(alert.kind)).collect();
            let more = wanted.iter().map(|alert| alert.sequence).collect();
            let kept = self.index().waiting.get(&wants.name).cloned().unwrap_or_default();
            dropped.extend(beyond(&kept, &more).into_iter().map(|sequence| (wants.name.clone(), sequence)));
            let letter = |alert: &Alert| Letter {
                receiver: wants.name.clone(),
                alert: alert.clone(),
                queued_at: core.clock.now(),
            };
            letters.extend(wanted.into_iter().map(letter));
        }
        let names: Vec<(String, u64)> =
            letters.iter().map(|letter| (letter.receiver.clone(), letter.alert.sequence)).collect();
        let gone = dropped.clone();
        let write = core.db.update(move |txn| {
            letters.iter().try_for_each(|letter| put(txn, letter))?;
            for (receiver, sequence) in &gone {
                txn.delete(Letter::TABLE, &place(receiver, *sequence))?;
            }
            put(txn, &cursor)
        });
        let ((), _synced) = write.await?;
        let mut index = self.index();
        for (receiver, sequence) in names {
            index.waiting.entry(receiver).or_default().insert(sequence);
        }
        for (receiver, sequence) in dropped {
            metrics::counter!("quorate_alerts_dropped_total", "receiver" => receiver.clone()).increment(1);
            index.waiting.entry(receiver).or_default().remove(&sequence);
        }
        index.waiting.iter().for_each(|(receiver, kept)| measure(receiver, kept.len()));
        drop(index);
        self.changed.notify_waiters();
        Ok(())
    }

    /// The oldest letter for a receiver, once there is one.
    pub(super) async fn oldest(&self, core: &Coordinator, receiver: &str) -> Result<Letter, OpError> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Before looking, so that nothing that comes in between is missed.
            changed.as_mut().enable();
            let first = self.index().waiting.get(receiver).and_then(|kept| kept.first().copied());
            let Some(sequence) = first else {
                changed.await;
                continue;
            };
            let key = place(receiver, sequence);
            match core.db.read(move |read| get::<Letter>(read, &key)).await? {
                Some(letter) => return Ok(letter),
                // Dropped meanwhile.
                None => self.forget(receiver, sequence),
            }
        }
    }

    fn forget(&self, receiver: &str, sequence: u64) {
        let mut index = self.index();
        if let Some(kept) = index.waiting.get_mut(receiver) {
            kept.remove(&sequence);
            measure(receiver, kept.len());
        }
    }

    /// Takes a letter out: it arrived.
    pub(super) async fn sent(&self, core: &Coordinator, letter: &Letter) -> Result<(), OpError> {
        let key = letter.key();
        let write = core.db.update(move |txn| Ok(txn.delete(Letter::TABLE, &key)?));
        let ((), _synced) = write.await?;
        self.forget(&letter.receiver, letter.alert.sequence);
        Ok(())
    }

    /// Puts a letter aside: it is no longer tried.
    pub(super) async fn bury(&self, core: &Coordinator, dead: Dead) -> Result<(), OpError> {
        let (receiver, sequence) = (dead.letter.receiver.clone(), dead.letter.alert.sequence);
        let kept = self.index().dead.get(&receiver).cloned().unwrap_or_default();
        let dropped = beyond(&kept, &BTreeSet::from([sequence]));
        let (name, gone) = (receiver.clone(), dropped.clone());
        let write = core.db.update(move |txn| {
            txn.delete(Letter::TABLE, &dead.letter.key())?;
            put(txn, &dead)?;
            for sequence in gone {
                txn.delete(Dead::TABLE, &place(&name, sequence))?;
            }
            Ok(())
        });
        let ((), _synced) = write.await?;
        self.forget(&receiver, sequence);
        let mut index = self.index();
        let kept = index.dead.entry(receiver).or_default();
        kept.insert(sequence);
        kept.retain(|sequence| !dropped.contains(sequence));
        Ok(())
    }

    /// Dead letters, by receiver and oldest first.
    pub(crate) async fn dead(&self, core: &Coordinator) -> Result<Vec<Dead>, OpError> {
        core.db.read(|read| page::<Dead>(read, &[], usize::MAX)).await
    }

    /// Queues the dead letters of a receiver again, as if they were new, and says how many. What no longer is a receiver's
    /// keeps them.
    pub(crate) async fn retry(&self, core: &Coordinator, receiver: &str) -> Result<usize, OpError> {
        if !self.index().waiting.contains_key(receiver) {
            return Err(OpError::not_found("receiver", receiver));
        }
        let (prefix, now) = (place(receiver, 0), core.clock.now());
        let name = receiver.to_owned();
        let write = core.db.update(move |txn| {
            let mut all = page::<Dead>(&*txn, &prefix, MAX_KEPT)?;
            all.retain(|dead| dead.letter.receiver == name);
            for dead in &all {
                again(txn, dead, now)?;
            }
            Ok(all)
        });
        let (all, _synced) = write.await?;
        let mut index = self.index();
        index.dead.entry(receiver.to_owned()).or_default().clear();
        let kept = index.waiting.entry(receiver.to_owned()).or_default();
        kept.extend(all.iter().map(|dead| dead.letter.alert.sequence));
        measure(receiver, kept.len());
        drop(index);
        self.changed.notify_waiters();
        Ok(all.len())
    }
}

fn again(txn: &mut dyn Txn, dead: &Dead, now: UnixMillis) -> Result<(), OpError> {
    txn.delete(Dead::TABLE, &dead.key())?;
    put(txn, &Letter { queued_at: now, ..dead.letter.clone() })
}

fn measure(receiver: &str, waiting: usize) {
    metrics::gauge!("quorate_alerts_waiting", "receiver" => receiver.to_owned()).set(waiting as f64);
}
