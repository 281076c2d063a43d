//! Orders to stop signing, signed by people. Pure.
//!
//! One operator or approver can freeze; only the operators' quorum can lift it. The quorum can also retire a wallet, and
//! nothing lifts that. An order names one [`Scope`] and carries
//! a sequence number. Of the orders for a scope the one with the highest number counts, and at the same number lifting
//! counts more than freezing: so every machine that has seen the same orders believes the same, in whatever order they
//! came, and an order shown again or late changes nothing ([`FrozenSet`]).

mod error;
mod judge;
mod order;
mod scope;
mod set;
mod signed;

pub use error::FreezeError;
pub use judge::{RULE, judge};
pub use order::{Action, FORMAT, Order};
pub use scope::{Scope, ScopeError};
pub use set::{FrozenSet, MAX_SCOPES};
pub use signed::SignedFreeze;
