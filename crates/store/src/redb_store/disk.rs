//! A disk for tests: it forgets what was not synced, stops at any write, fails its syncs and flips bits.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use redb::StorageBackend;

#[derive(Clone, Default, Debug)]
pub(super) struct Disk(Arc<Mutex<State>>);

#[derive(Default, Debug)]
struct State {
    /// what reads see
    cached: Vec<u8>,
    /// what a power failure leaves for certain
    synced: Vec<u8>,
    /// written since the last sync
    pending: Vec<Change>,
    /// changes and syncs so far
    steps: u64,
    /// the step at which the power fails
    cut_at: Option<u64>,
    fail_syncs: bool,
}

#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Len(usize),
}

impl Change {
    fn apply(&self, image: &mut Vec<u8>) {
        match self {
            Self::Len(len) => image.resize(*len, 0),
            Self::Write(at, data) => {
                image.resize(image.len().max(at + data.len()), 0);
                image[*at..at + data.len()].copy_from_slice(data);
            }
        }
    }
}

impl Disk {
    /// A disk with this on it.
    pub(super) fn of(image: Vec<u8>) -> Self {
        let disk = Self::default();
        *disk.state() = State { cached: image.clone(), synced: image, ..State::default() };
        disk
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(super) fn steps(&self) -> u64 {
        self.state().steps
    }

    pub(super) fn cut_at(&self, step: u64) {
        self.state().cut_at = Some(step);
    }

    pub(super) fn fail_syncs(&self) {
        self.state().fail_syncs = true;
    }

    /// What is found after a power failure: what was synced, and of the rest the writes `survives` picks.
    pub(super) fn after_power_failure(&self, mut survives: impl FnMut() -> bool) -> Vec<u8> {
        let state = self.state();
        let mut image = state.synced.clone();
        for change in &state.pending {
            if survives() {
                change.apply(&mut image);
            }
        }
        image
    }

    /// What is found after an orderly stop.
    pub(super) fn image(&self) -> Vec<u8> {
        self.state().cached.clone()
    }
}

impl State {
    fn step(&mut self) -> io::Result<()> {
        self.steps += 1;
        if self.cut_at.is_some_and(|cut| self.steps > cut) {
            return Err(io::Error::other("no power"));
        }
        Ok(())
    }

    fn change(&mut self, change: Change) -> io::Result<()> {
        self.step()?;
        change.apply(&mut self.cached);
        self.pending.push(change);
        Ok(())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().cached.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let at = offset as usize;
        let state = self.state();
        let data = state.cached.get(at..at + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(data);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.state().change(Change::Len(len as usize))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        if state.fail_syncs {
            return Err(io::Error::other("the disk did not answer"));
        }
        state.synced = state.cached.clone();
        state.pending.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.state().change(Change::Write(offset as usize, data.to_vec()))
    }
}
