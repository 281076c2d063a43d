//! Conditions over a request's metadata, in Cedar (<https://www.cedarpolicy.com>), such as
//! `context.confidence.greaterThan(decimal("0.8"))`.
//!
//! Metadata are text by the gateway's word. A policy declares the type of each that its conditions read; all of them must
//! be said, and be of their type. Every condition is checked strictly against those types when it is read, so that what
//! could not be asked is refused beforehand; should one fail all the same, the answer is no. Pure: no clock, no files, and
//! the same answer wherever it is asked.

mod conditions;
mod error;
mod kind;

pub use conditions::{Condition, Conditions, MAX_BRACKETS, MAX_BYTES, MAX_CONDITIONS, MAX_NAMES};
pub use error::{Part, Refused, Unmet};
pub use kind::{Kind, MAX_TEXT};
