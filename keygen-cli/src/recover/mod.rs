//! The offline ceremony: two parties' sealed packages, two processes that open one each, and a record of every step.

pub(crate) mod custodian;
pub(crate) mod destination;
mod journal;
mod party;
mod plan;
mod qr;
mod record;
mod source;
mod sweep;

pub(crate) use destination::{Destination, To};
pub(crate) use journal::{Broadcast, Job, Journal, Swept};
#[cfg(feature = "spof")]
pub(crate) use party::harden;
pub(crate) use party::{Parties, Party, serve};
pub(crate) use plan::{FleetPlan, Move, Plan, WalletPlan};
pub(crate) use qr::QrCode;
pub(crate) use record::Record;
pub(crate) use source::{Chosen, Files, Packages, Source, Trust};
pub(crate) use sweep::sweep;
