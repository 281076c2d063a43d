//! May this wallet sign this? Pure: a signed policy and the facts in, a decision out. No clock, no file, no ledger.
//!
//! Everything is denied that no rule allows: without a policy, under an empty one, for an asset, chain, recipient or
//! kind of payload it does not name. [`evaluate`] runs every rule and lists all that fail, each with its limit and what
//! was asked, so that a denial can be understood and acted on. An [`Approval`] is made nowhere else.
//!
//! Every rule allows more when a line is added to it and less when one is taken away: no line forbids.

mod amount;
mod approval;
mod decision;
mod draft;
mod error;
mod evaluate;
mod facts;
mod finding;
mod lint;
mod names;
mod policy;
mod read;
mod rules;
mod schema;
mod signed;
mod words;

pub use approval::Approval;
pub use decision::{Decision, Denial, RuleFailure};
pub use error::PolicyError;
pub use evaluate::evaluate;
pub use facts::Facts;
pub use finding::{Finding, Severity};
pub use lint::lint;
pub use policy::{FORMAT, Policy, Recipient};
pub use rules::codes;
pub use schema::json_schema;
pub use signed::SignedPolicy;
