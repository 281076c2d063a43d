//! The ceremony's transcript on disk: appended to and synced before a step's outcome is shown.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;

use quorate_ceremony::{Step, next_step, read_steps};
use quorate_types::{Clock, SystemClock};
use rustix::fs::{FlockOperation, flock};
use serde_json::Value;

use crate::refusal::{OrRefuse, Refusal};

/// An open transcript. One ceremony writes to it at a time.
pub(crate) struct Record {
    file: File,
    path: String,
    steps: Vec<Step>,
}

impl Record {
    /// Opens or begins a transcript, and checks its chain.
    pub(crate) fn open(path: &Path) -> Result<Self, Refusal> {
        let opened = OpenOptions::new().read(true).append(true).create(true).open(path);
        let mut file = opened.or_invalid(path.display())?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
            Refusal::conflict(format!("{}: another ceremony is writing to it", path.display()))
                .field("--transcript")
        })?;
        let mut text = String::new();
        file.read_to_string(&mut text).or_invalid(path.display())?;
        let steps = read_steps(&text).map_err(|error| {
            Refusal::invalid(format!("{}: {error}", path.display()))
                .field("--transcript")
                .next("keep that file as it is, and name a new one")
        })?;
        Ok(Self { file, path: path.display().to_string(), steps })
    }

    /// Appends and syncs a step.
    pub(crate) fn step(&mut self, step: &str, detail: Value) -> Result<(), Refusal> {
        let next = next_step(&self.steps, SystemClock.now(), step, detail);
        let line = serde_json::to_string(&next).or_internal("writing the transcript")?;
        self.file
            .write_all(format!("{line}\n").as_bytes())
            .and_then(|()| self.file.sync_all())
            .or_internal(&self.path)?;
        self.steps.push(next);
        Ok(())
    }
}
