//! What the ledger promises, against a store in memory, a store that fails, and the store on disk.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod agents;
mod charges;
mod concurrency;
mod crash;
mod denied;
mod given;
mod lapse;
mod malformed;
mod model;
mod places;
mod requests;
mod reservations;
mod restart;
mod schedules;
mod totals;
mod windows;
