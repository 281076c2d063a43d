//! How many commits were acknowledged, in a small file beside the database.
//!
//! redb's own header byte says which of its two roots is the current one, and no checksum covers it: one flipped bit
//! there, or an old copy of the database file alone, would bring an earlier state back in silence, with its budget
//! unspent. So each commit counts itself inside the database, and the count is noted here once it is durable. A
//! database that has counted fewer commits than were acknowledged is refused.
//!
//! The note is not synced per commit: after a power failure it may lag, never lead.

use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::StoreError;
use crate::dir::DataDir;

const NAME: &str = "commits";

pub(crate) struct Acknowledged(File);

impl Acknowledged {
    /// The note, and the count it holds: 0 where there is none yet.
    pub(crate) fn open(dir: &DataDir) -> Result<(Self, u64), StoreError> {
        let file = dir.file(NAME)?;
        let path = dir.path().join(NAME);
        let mut count = [0; 8];
        match file.metadata().map_err(|err| StoreError::io("reading", &path, err))?.len() {
            0 => {}
            8 => file.read_exact_at(&mut count, 0).map_err(|err| StoreError::io("reading", &path, err))?,
            len => return Err(StoreError::Corrupt(format!("{NAME}: {len} bytes where there should be 8"))),
        }
        Ok((Self(file), u64::from_be_bytes(count)))
    }

    /// Notes a durable commit. A note that fails costs nothing but this check.
    pub(crate) fn note(&self, count: u64) {
        if let Err(error) = self.0.write_all_at(&count.to_be_bytes(), 0) {
            tracing::warn!(%error, "the count of acknowledged commits could not be noted");
        }
    }
}

impl Drop for Acknowledged {
    fn drop(&mut self) {
        // Best effort, as ever: on a clean stop the note need not wait for the kernel.
        let _lagging_is_fine = self.0.sync_data();
    }
}
