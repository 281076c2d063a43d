//! What each presignature was used for: written and synced before anything made with it leaves this node.

use quorate_store::{Durable, Read, StoreError, Txn};
use quorate_types::{B256, UnixMillis};
use serde::{Deserialize, Serialize};

use crate::kept::Kept;

/// Presignature to slot.
const SLOTS: &str = "pool.slot";

/// How long a slot is kept: longer than any presignature lives, so that no presignature outlives its slot.
const KEPT_MS: u64 = 2 * 24 * 60 * 60 * 1000;
const KEPT: Kept = Kept { records: SLOTS, by_time: "pool.slot-time", for_ms: KEPT_MS };

/// One use of a presignature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Use {
    /// Which presignature.
    pub(crate) id: B256,
    /// What is signed.
    pub(crate) digest: B256,
    /// The signing's execution id, which holds all the nodes have to agree on.
    pub(crate) eid: [u8; 32],
}

/// What a use comes to.
pub(crate) enum Once {
    /// An answer, made now or the one made for just this before.
    Answer(Bound),
    /// The presignature was used for the same digest in another request.
    OtherRequest,
    /// It was used for this other digest.
    OtherDigest(B256),
}

/// What a presignature's slot says of a use.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// It was not used yet.
    Free,
    /// It was used for just this, and this was the answer.
    Same(Vec<u8>),
    /// It was used for the same digest in another request.
    OtherRequest,
    /// It was used for this other digest.
    OtherDigest(B256),
}

/// Why a slot could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SlotError {
    /// It was taken while the answer was made.
    #[error("slot of presignature {0}: taken already")]
    Taken(B256),
    /// Not what this node writes there.
    #[error("slot of presignature {0}: malformed")]
    Malformed(B256),
    /// The store.
    #[error("store: {0}")]
    Store(#[from] StoreError),
}

#[derive(Serialize, Deserialize)]
struct Slot {
    digest: B256,
    eid: [u8; 32],
    answer: Vec<u8>,
}

/// An answer that may leave once its slot is synced, and not before.
#[must_use = "nothing may leave before the commit is confirmed"]
pub(crate) struct Bound(Vec<u8>);

impl Bound {
    /// The answer, now that its slot is on disk. Pair it with the `Durable` of the transaction it was bound in.
    pub(crate) fn confirm(self, _synced: &Durable) -> Vec<u8> {
        self.0
    }
}

/// Has the answer to a use made and binds the presignature to it, where it was not used yet; otherwise gives the answer it
/// was bound to, to the same use alone. All in the caller's transaction, so whatever comes at the same time comes before
/// it or after it.
///
/// # Errors
/// What `make` returns, and [`SlotError`]: nothing of the transaction may then be kept.
pub(crate) fn answer_once<E: From<SlotError>>(
    txn: &mut dyn Txn,
    used: &Use,
    now: UnixMillis,
    make: impl FnOnce(&mut dyn Txn) -> Result<Vec<u8>, E>,
) -> Result<Once, E> {
    Ok(match look(txn, used)? {
        Found::Free => {
            let answer = make(txn)?;
            Once::Answer(bind(txn, used, answer, now)?)
        }
        Found::Same(answer) => Once::Answer(Bound(answer)),
        Found::OtherRequest => Once::OtherRequest,
        Found::OtherDigest(digest) => Once::OtherDigest(digest),
    })
}

fn look(read: &dyn Read, used: &Use) -> Result<Found, SlotError> {
    let Some(bytes) = read.get(SLOTS, used.id.as_slice())? else { return Ok(Found::Free) };
    let Ok((slot, [])) = postcard::take_from_bytes::<Slot>(&bytes) else {
        return Err(SlotError::Malformed(used.id));
    };
    Ok(match slot {
        Slot { digest, .. } if digest != used.digest => Found::OtherDigest(digest),
        Slot { eid, .. } if eid != used.eid => Found::OtherRequest,
        Slot { answer, .. } => Found::Same(answer),
    })
}

/// Nothing is ever overwritten.
fn bind(txn: &mut dyn Txn, used: &Use, answer: Vec<u8>, now: UnixMillis) -> Result<Bound, SlotError> {
    if txn.get(SLOTS, used.id.as_slice())?.is_some() {
        return Err(SlotError::Taken(used.id));
    }
    let slot = Slot { digest: used.digest, eid: used.eid, answer };
    let bytes = postcard::to_allocvec(&slot).map_err(|_| SlotError::Malformed(used.id))?;
    KEPT.put(txn, &used.id, &bytes, now)?;
    Ok(Bound(slot.answer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_store::{MemStore, update};

    fn used(id: u8, digest: u8, eid: u8) -> Use {
        Use { id: B256::repeat_byte(id), digest: B256::repeat_byte(digest), eid: [eid; 32] }
    }

    fn bound(store: &MemStore, used: &Use, now: UnixMillis) -> Result<Vec<u8>, SlotError> {
        let (bound, synced) = update(store, |txn| bind(txn, used, b"answer".to_vec(), now))?;
        Ok(bound.confirm(&synced))
    }

    #[test]
    fn a_slot_has_one_use_for_ever() {
        let store = MemStore::new();
        let first = used(1, 1, 1);
        assert_eq!(look(&store, &first).unwrap(), Found::Free);
        assert_eq!(bound(&store, &first, 1).unwrap(), b"answer");
        assert_eq!(look(&store, &first).unwrap(), Found::Same(b"answer".to_vec()));
        assert_eq!(look(&store, &used(1, 2, 2)).unwrap(), Found::OtherDigest(first.digest));
        assert_eq!(look(&store, &used(1, 2, 1)).unwrap(), Found::OtherDigest(first.digest));
        assert_eq!(look(&store, &used(1, 1, 2)).unwrap(), Found::OtherRequest);
        assert_eq!(look(&store, &used(2, 1, 1)).unwrap(), Found::Free);
        for again in [first, used(1, 2, 2)] {
            assert!(matches!(bound(&store, &again, 1), Err(SlotError::Taken(_))));
        }
        assert_eq!(look(&store, &first).unwrap(), Found::Same(b"answer".to_vec()));
    }

    #[test]
    fn slots_outlive_presignatures_and_are_forgotten() {
        let store = MemStore::new();
        bound(&store, &used(1, 1, 1), 1_000).unwrap();
        bound(&store, &used(2, 1, 1), 1_000 + KEPT_MS).unwrap();
        assert!(matches!(look(&store, &used(1, 1, 1)).unwrap(), Found::Same(_)));
        bound(&store, &used(3, 1, 1), 1_001 + KEPT_MS).unwrap();
        assert_eq!(look(&store, &used(1, 1, 1)).unwrap(), Found::Free);
        assert!(matches!(look(&store, &used(2, 1, 1)).unwrap(), Found::Same(_)));
    }

    #[test]
    fn a_damaged_slot_is_not_a_free_one() {
        let store = MemStore::new();
        let _synced = update(&store, |txn| txn.put(SLOTS, &[1; 32], b"x")).unwrap();
        assert!(matches!(look(&store, &used(1, 1, 1)), Err(SlotError::Malformed(_))));
    }
}
