//! Policies as authors write them and as machines apply them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod agent_asks;
mod allowances;
mod blocked;
mod calls;
mod conditional;
mod decided;
mod decoded;
mod denied;
mod denied_attempts;
mod diffed;
mod fees;
mod hours;
mod limits;
mod linting;
mod merchants;
mod messages;
mod nonces;
mod order;
mod per_agent;
mod properties;
mod raw_digests;
mod reading;
mod rig;
mod schema;
mod signed;
mod ssh_keygen;
mod succession;
mod tiers;
mod tightened;
mod tried;
mod typed_data;
