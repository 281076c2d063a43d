//! `quorate-node export-log`: this node's own log in a file, as `quorate audit verify` reads it, and beside it the latest
//! checkpoint of it that others cosigned. The node must be stopped: the store is locked while it runs.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use quorate_audit::{AuditError, Checkpoint, Exported, entries, head};
use serde::Serialize;

use crate::app::{StartError, open_store};
use crate::config::Config;
use crate::fatal::Fatal;
use crate::own_log::{self, BroughtError};

/// Entries read at once.
const PAGE: usize = 1000;

/// Why there is no export.
#[derive(Debug, thiserror::Error)]
pub enum ExportLogError {
    /// The node's files, as at a start. A store that is locked belongs to a node that runs: stop it first.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] AuditError),
    /// The log is not what was written, or not what others cosigned.
    #[error("the log is not what was written: {0}")]
    Broken(#[from] quorate_audit::ExportError),
    /// The checkpoint that others cosigned cannot be read.
    #[error("{0}")]
    Checkpoint(String),
    /// A file is there, or cannot be written.
    #[error("--out {}: {source}", .path.display())]
    Disk {
        /// which file
        path: PathBuf,
        /// why
        source: io::Error,
    },
}

impl From<BroughtError> for ExportLogError {
    fn from(error: BroughtError) -> Self {
        Self::Checkpoint(error.to_string())
    }
}

/// What was written.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct LogReport {
    /// Entries of the log.
    pub entries: u64,
    /// Its size and root, `SIZE:ROOT`: keep it elsewhere.
    pub checkpoint: String,
    /// How many of the entries others cosigned, where they did.
    pub cosigned: Option<u64>,
}

/// Writes this node's own log to the new file `out`, one entry a line, and the latest checkpoint of it that others cosigned,
/// where there is one, to `out` with `.checkpoint` after its name.
///
/// # Errors
/// [`ExportLogError`], naming the field or file. Nothing was written, unless the disk failed.
pub fn export_log(config: &Config, out: &Path) -> Result<LogReport, ExportLogError> {
    config.check().map_err(StartError::from)?;
    let store = open_store(config, &Fatal::default())?;
    let (mut log, mut text) = (Exported::default(), String::new());
    loop {
        let page = entries(&*store, log.head().sequence.saturating_add(1), PAGE)?;
        if page.is_empty() {
            break;
        }
        for entry in page {
            log.push(&entry.json)?;
            text.push_str(&entry.json);
            text.push('\n');
        }
    }
    let end = head(&*store)?;
    if end.sequence > 0 {
        log.holds(&Checkpoint { sequence: end.sequence, hash: end.hash })?;
    }
    let note = own_log::latest(&*store)?;
    let cosigned = note.as_ref().map(|note| &note.checkpoint);
    if let Some(cosigned) = cosigned {
        log.extends(&Checkpoint { sequence: cosigned.size, hash: cosigned.root })?;
    }
    create(out, &text)?;
    if let Some(note) = &note {
        let mut beside = out.as_os_str().to_owned();
        beside.push(".checkpoint");
        create(Path::new(&beside), &note.to_string())?;
    }
    let (entries, checkpoint) = (end.sequence, log.checkpoint().to_string());
    Ok(LogReport { entries, checkpoint, cosigned: cosigned.map(|cosigned| cosigned.size) })
}

fn create(path: &Path, text: &str) -> Result<(), ExportLogError> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|source| ExportLogError::Disk { path: path.to_owned(), source })
}
