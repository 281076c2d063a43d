//! One sealed file: written, synced, and read back before anybody relies on it. Never overwritten.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use quorate_recovery::count_recipients;
use quorate_types::B256;
use sha2::{Digest, Sha256};

use super::ColdError;

/// Largest sealed file: far above an aux record of about 10 kB.
const MAX_BYTES: u64 = 1 << 20;

/// Whether it names a file in the directory, and nothing outside.
pub(super) fn is_plain_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    (1..=240).contains(&name.len())
        && name.bytes().all(allowed)
        && !name.starts_with('.')
        && !name.ends_with('.')
}

/// Whether a file can be made in `dir`.
///
/// # Errors
/// Why not.
pub(crate) fn probe(dir: &Path) -> io::Result<()> {
    let probe = dir.join(draft_name("probe"));
    create(&probe)?;
    fs::remove_file(&probe)
}

fn draft_name(what: &str) -> String {
    format!(".{what}.{:016x}.draft", rand::random::<u64>())
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Under a draft's name first, then renamed; file and directory are synced. Mode 0600.
pub(super) fn write(dir: &Path, path: &Path, bytes: &[u8]) -> Result<(), ColdError> {
    let disk = |source| ColdError::Disk { path: path.to_owned(), source };
    if path.try_exists().map_err(disk)? {
        return Err(ColdError::Exists(path.to_owned()));
    }
    let draft = dir.join(draft_name("sealed"));
    let written = create(&draft)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        // Sealed bytes only; a leftover is untidy, not a leak.
        let _leftover = fs::remove_file(&draft);
    }
    written.and_then(|()| File::open(dir)?.sync_all()).map_err(disk)
}

/// Reads the file back and compares it with what was written: an age file for as many recipients, of that length and
/// hash.
pub(super) fn prove(path: &Path, written: &[u8], recipients: usize) -> Result<(), ColdError> {
    let disk = |source| ColdError::Disk { path: path.to_owned(), source };
    let file = File::open(path).map_err(disk)?;
    // Best effort: read from the medium rather than from the page cache.
    let _best_effort = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
    let mut bytes = Vec::with_capacity(written.len());
    file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(disk)?;
    let unproven = |reason| ColdError::NotProven { path: path.to_owned(), reason };
    if bytes.len() != written.len() {
        return Err(unproven("read back with another length"));
    }
    if sha256(&bytes) != sha256(written) {
        return Err(unproven("read back with another SHA-256"));
    }
    let sealed_to = count_recipients(&bytes).map_err(|_| unproven("read back, but not an age file"))?;
    if sealed_to < recipients {
        return Err(unproven("read back, but not sealed to every recipient"));
    }
    Ok(())
}

/// As `sha256sum` has it.
pub(super) fn sha256(bytes: &[u8]) -> B256 {
    B256::from(<[u8; 32]>::from(Sha256::digest(bytes)))
}
