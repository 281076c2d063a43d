//! The offline ceremony: two parties' sealed packages, two processes that open one each, and a record of every step.

mod party;
mod plan;
mod record;
mod source;
mod sweep;

pub(crate) use party::{Parties, Party, serve};
pub(crate) use plan::Plan;
pub(crate) use record::Record;
pub(crate) use source::Source;
pub(crate) use sweep::sweep;
