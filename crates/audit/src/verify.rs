//! Checking the whole log.

use std::ops::ControlFlow;

use quorate_store::Read;

use crate::chain::GENESIS;
use crate::entry::each;
use crate::error::{AuditError, Damage};
use crate::{Entry, Head, head};

/// Walks the log from its first entry: each is canonical, in its place, and names the hash of the one before, and
/// the last one is the head. Returns the head; see the crate's documentation for what that does not show.
///
/// The log may be appended to meanwhile: the walk goes on until it stands at the head.
///
/// # Errors
/// [`AuditError::Damaged`] at the first entry where something is wrong, or the store's error.
pub fn verify(r: &dyn Read) -> Result<Head, AuditError> {
    let mut walked = Head { sequence: 0, hash: GENESIS };
    loop {
        let before = head(r)?;
        each(r, walked.sequence.saturating_add(1), &mut |entry| {
            walked = follow(&walked, &entry)?;
            Ok(ControlFlow::Continue(()))
        })?;
        if walked.sequence < before.sequence {
            return damaged(walked.sequence + 1, Damage::Truncated { entries: before.sequence });
        }
        let after = head(r)?;
        if walked.sequence > after.sequence {
            return damaged(after.sequence + 1, Damage::Uncounted { entries: after.sequence });
        }
        if walked.sequence == after.sequence {
            return if walked.hash == after.hash {
                Ok(walked)
            } else {
                damaged(after.sequence, Damage::NotHead)
            };
        }
        // Entries were added after the walk had begun.
    }
}

/// The end of the log after `entry`, where it may stand there.
fn follow(before: &Head, entry: &Entry) -> Result<Head, AuditError> {
    let sequence = before.sequence.saturating_add(1);
    if entry.sequence != sequence {
        return damaged(sequence, Damage::Missing { found: entry.sequence });
    }
    if entry.prev != before.hash {
        return damaged(sequence, Damage::Unchained);
    }
    Ok(Head { sequence, hash: entry.hash })
}

fn damaged(sequence: u64, damage: Damage) -> Result<Head, AuditError> {
    Err(AuditError::Damaged { sequence, damage })
}
