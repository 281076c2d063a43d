//! A thousand random lives of one node: processes that crash at a sync or at a failpoint beside it, start again, are put back to an older disk or
//! cloned, and a coordinator that asks any of them anything. Whatever happens, one presignature gives one answer.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use quorate_failpoint::{Died, Failpoints, Point};
use quorate_store::{Aftermath, FailingStore, MemStore, Read, Store, StoreError, update};
use quorate_types::B256;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::shelves::{Labelled, Shelves};
use super::slots::{Once, SlotError, Use, answer_once};

const LIVES: u64 = 1_000;
const STEPS: usize = 80;
const PROCESSES: usize = 3;
const DIGESTS: u8 = 3;
const TTL_MS: u64 = 1_000;

/// Stands for the secret half: what is made with it tells which it was.
struct Secret(u64);

impl Labelled for Secret {
    type Label = ();

    fn label(&self) {}
}

#[derive(Debug)]
enum Refused {
    /// The process does not hold it.
    Unknown,
    Died,
    Slot(SlotError),
}

impl From<Died> for Refused {
    fn from(_: Died) -> Self {
        Self::Died
    }
}

impl From<SlotError> for Refused {
    fn from(error: SlotError) -> Self {
        Self::Slot(error)
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Slot(error.into())
    }
}

struct Process {
    disk: MemStore,
    store: Arc<FailingStore>,
    shelves: Shelves<(), Secret>,
    failpoints: Failpoints,
}

impl Process {
    fn start(disk: MemStore) -> Self {
        let store = Arc::new(FailingStore::new(Arc::new(disk.clone())));
        Self { disk, store, shelves: Shelves::new(4, 8, TTL_MS), failpoints: Failpoints::new() }
    }
}

fn copy(disk: &MemStore) -> MemStore {
    let copy = MemStore::new();
    let _synced = update(&copy, |txn| {
        for table in ["pool.slot", "pool.slot-time"] {
            let mut records = Vec::new();
            disk.scan(table, &[], &[], &mut |key, value| {
                records.push((key.to_vec(), value.to_vec()));
                ControlFlow::Continue(())
            })?;
            for (key, value) in records {
                txn.put(table, &key, &value)?;
            }
        }
        Ok::<_, StoreError>(())
    })
    .unwrap();
    copy
}

/// What was seen, so that a simulation in which nothing happens does not pass.
#[derive(Default)]
struct Tally {
    made: usize,
    again: usize,
    other_digest: usize,
    crashed: usize,
    unsynced: usize,
    synced: usize,
}

struct Life {
    rng: StdRng,
    processes: Vec<Process>,
    snapshots: Vec<MemStore>,
    ids: Vec<B256>,
    now: Duration,
    /// What left the node, by presignature.
    left: BTreeMap<B256, BTreeSet<Vec<u8>>>,
}

impl Life {
    fn new(seed: u64) -> Self {
        Self {
            rng: StdRng::seed_from_u64(seed),
            processes: vec![Process::start(MemStore::new())],
            snapshots: Vec::new(),
            ids: Vec::new(),
            now: Duration::from_secs(1),
            left: BTreeMap::new(),
        }
    }

    fn step(&mut self, tally: &mut Tally) {
        let at = self.rng.gen_range(0..self.processes.len());
        let process = &mut self.processes[at];
        match self.rng.gen_range(0..22) {
            0..=4 => {
                let secret = self.rng.r#gen();
                let id = B256::left_padding_from(&u64::to_be_bytes(secret));
                self.ids.push(id);
                process.shelves.put((id, ()), Secret(secret), self.now);
            }
            5 => process.store.fail_commit_after(0, Aftermath::Kept),
            6 => process.store.fail_commit_after(0, Aftermath::Lost),
            7 => *process = Process::start(process.disk.clone()),
            8 => self.snapshots.push(copy(&process.disk)),
            9 if !self.snapshots.is_empty() => {
                let snapshot = &self.snapshots[self.rng.gen_range(0..self.snapshots.len())];
                *process = Process::start(copy(snapshot));
            }
            10 if self.processes.len() < PROCESSES => {
                let clone = Process::start(copy(&self.processes[at].disk));
                self.processes.push(clone);
            }
            11 => self.now += Duration::from_millis(TTL_MS / 4),
            12 => self.processes[at].failpoints.arm(Point::AgentOnlineUnsynced),
            13 => self.processes[at].failpoints.arm(Point::AgentOnlineSynced),
            _ => self.ask(at, tally),
        }
    }

    fn ask(&mut self, at: usize, tally: &mut Tally) {
        if self.ids.is_empty() {
            return;
        }
        // Mostly one of the latest: those are held.
        let back = self.rng.gen_range(0..self.ids.len().min(4));
        let id = self.ids[self.ids.len() - 1 - back];
        let digest = self.rng.gen_range(0..DIGESTS);
        let used = Use { id, digest: B256::repeat_byte(digest), eid: [digest; 32] };
        let (now, Process { store, shelves, failpoints, .. }) = (self.now, &mut self.processes[at]);
        let wall = 1_000_000 + u64::try_from(now.as_millis()).unwrap();
        let store: &dyn Store = store.as_ref();
        // As `ops/sign_online.rs` does it.
        let done = update(store, |txn| {
            answer_once(txn, &used, wall, |_| {
                let Secret(secret) = shelves.take(&id, &(), now).ok_or(Refused::Unknown)?;
                failpoints.pass(Point::AgentOnlineUnsynced)?;
                Ok([&[digest], secret.to_be_bytes().as_slice()].concat())
            })
        });
        let done = done.and_then(|done| {
            failpoints.pass(Point::AgentOnlineSynced)?;
            Ok(done)
        });
        match done {
            Ok((Once::Answer(bound), synced)) => {
                let left = self.left.entry(id).or_default();
                let new = left.insert(bound.confirm(&synced));
                assert_eq!(left.len(), 1, "a second answer left the node");
                if new { tally.made += 1 } else { tally.again += 1 }
            }
            Ok((Once::OtherDigest(_), _)) => tally.other_digest += 1,
            Ok((Once::OtherRequest, _)) => panic!("a digest is one request here"),
            Err(Refused::Unknown) => {}
            Err(Refused::Died) => {
                match failpoints.died_at() {
                    Some(Point::AgentOnlineSynced) => tally.synced += 1,
                    _ => tally.unsynced += 1,
                }
                self.processes[at] = Process::start(self.processes[at].disk.clone());
            }
            Err(Refused::Slot(SlotError::Store(error))) => {
                assert!(error.is_fatal(), "{error}");
                tally.crashed += 1;
                // As `fatal` has it: the process ends.
                self.processes[at] = Process::start(self.processes[at].disk.clone());
            }
            Err(Refused::Slot(error)) => panic!("{error}"),
        }
    }
}

#[test]
fn one_presignature_gives_one_answer_in_a_thousand_lives() {
    let mut tally = Tally::default();
    for seed in 0..LIVES {
        let mut life = Life::new(seed);
        for _ in 0..STEPS {
            life.step(&mut tally);
        }
    }
    let Tally { made, again, other_digest, crashed, unsynced, synced } = tally;
    for (what, times) in [
        ("made", made),
        ("again", again),
        ("other digest", other_digest),
        ("crashed", crashed),
        ("unsynced", unsynced),
        ("synced", synced),
    ] {
        assert!(times >= usize::try_from(LIVES).unwrap() / 2, "{what}: {times}");
    }
}
