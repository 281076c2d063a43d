//! What each wallet has spent, and what each request was answered: small and exact.
//!
//! A coordinator keeps *reservations*: a request is claimed by its idempotency key, its spend is reserved before any
//! message leaves, and it ends in an answer that is given again for ever, or is voided. A service node keeps
//! *charges*: one per payload, before its contribution leaves. Both count in [`spent`].
//!
//! Everything here reads and writes inside the caller's transaction, so that checking a limit and reserving against
//! it is one step: let policy read [`Before`], and call [`reserve()`] or [`charge()`] with its approval, in the *same*
//! transaction. They take no approval but a full one, so nothing is counted that no limit was asked about. What must not
//! be acted on before it is synced comes back as a [`Pending`] value, opened only by the commit's `Durable` proof.
//!
//! Amounts are U256 and every sum is checked: an overflow is an error, so a limit that cannot be computed denies.

mod agents;
mod charge;
mod claim;
mod count;
mod denied;
mod entry;
mod error;
mod history;
mod hold;
mod key;
mod lapse;
mod once;
mod origin;
mod pending;
mod progress;
mod record;
mod reserve;
mod spend;
mod totals;
mod void;

pub use charge::{Charged, charge, charged};
pub use claim::{Claim, claim};
pub use denied::count_denied;
pub use entry::{Entry, State, in_flight, lookup};
pub use error::LedgerError;
pub use history::Before;
pub use hold::{end_hold, held_since, hold, is_held};
pub use key::{IdempotencyKey, IdempotencyKeyError};
pub use lapse::{Returned, lapse, returnable};
pub use pending::Pending;
pub use progress::{Releasing, finish, releasing, reserve_releasing};
pub use reserve::{Reservation, reserve};
pub use spend::spent;
pub use void::{NothingReleased, NothingReleasedError, void, void_releasing};
