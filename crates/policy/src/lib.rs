//! May this wallet sign this? Pure: a signed policy, the facts and the wallet's history in, a decision out. No clock, no
//! file, no ledger.
//!
//! Everything is denied that no rule allows: without a policy, under an empty one, for an asset, chain, recipient or
//! kind of payload it does not name. [`evaluate()`] runs every rule and lists all that fail, each with its limit, what
//! counts against it and what was asked, so that a denial can be understood and acted on. An [`Approval`] is made nowhere
//! else, and only a [`Full`] one may be counted in a ledger.
//!
//! What a wallet may sign may still have to wait: for a hold to pass, or for people ([`Tier`]). A denial that only says so
//! [waits](Denial::waits).
//!
//! Two sorts of fields: what is allowed (`chains`, `per_transaction`, `max_fee`, `recipients`, `allowances`, `calls`,
//! `typed_data`, `messages`, `raw_digest`, lifetimes), where each line
//! allows more, and limits to it (`blocked`, `cumulative`, `velocity`, `active_hours`, `not_before`, `not_after`), where
//! each line allows less.

mod amount;
mod approval;
mod call;
mod counter;
mod decision;
mod diff;
mod draft;
mod error;
mod evaluate;
mod facts;
mod finding;
mod history;
mod hours;
mod lint;
mod merchant;
mod message;
mod names;
mod policy;
mod read;
mod rules;
mod scalar;
mod schema;
mod signed;
mod succession;
mod tiers;
mod tighten;
mod trial;
mod typed;
mod window;
mod words;
mod zone;

pub use approval::{Approval, Full, Stateless};
pub use call::{Call, Function};
pub use counter::Counter;
pub use decision::{Decision, Denial, RuleFailure};
pub use diff::{Change, Direction, diff};
pub use error::PolicyError;
pub use evaluate::{evaluate, evaluate_stateless};
pub use facts::{Asked, Facts};
pub use finding::{Finding, Severity};
pub use history::{Counted, History, Past, add_up};
pub use hours::ActiveHours;
pub use lint::lint;
pub use merchant::{MERCHANT_CATEGORY, MERCHANT_DOMAIN, Merchants};
pub use message::{Pattern, SignInLine, TextLine};
pub use policy::{Allowance, Cumulative, FORMAT, Fee, MAX_DENIED, Per, Policy, Recipient, Velocity};
pub use rules::codes;
pub use schema::json_schema;
pub use signed::SignedPolicy;
pub use succession::{LOOSENING_SIGNATURES, Loosening, Succession, succession};
pub use tiers::{Approvers, HOLD_LAPSES_MS, Hold, Tier, Tiers, hold, tier};
pub use tighten::loosened;
pub use trial::Trial;
pub use typed::TypedLine;
pub use window::{Period, Window};
pub use zone::Zone;
