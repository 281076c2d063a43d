//! The rules, one per file. Each answers with its failures; none is no failure, and allows nothing by itself.

mod authorization;
mod chains;
mod kind;
mod max_fee;
mod per_transaction;
mod recipients;
mod signer;
mod wallet;

use crate::{Facts, Policy, RuleFailure};

/// Codes of rules, as they stand in [`RuleFailure::rule`]. A rule with a field in the policy has the field's name.
pub mod codes {
    /// The wallet has no policy.
    pub const NO_POLICY: &str = "no_policy";
    /// The policy is another wallet's.
    pub const WALLET: &str = "wallet";
    /// No rule can allow this kind of payload.
    pub const KIND: &str = "kind";
    /// The chain is not allowed.
    pub const CHAINS: &str = "chains";
    /// The payload says another address must sign.
    pub const SIGNER_MISMATCH: &str = "signer_mismatch";
    /// The recipient is not allowed.
    pub const RECIPIENTS: &str = "recipients";
    /// Too much of an asset, or an asset without a cap.
    pub const PER_TRANSACTION: &str = "per_transaction";
    /// The fee may be too high, or the chain has no limit for it.
    pub const MAX_FEE: &str = "max_fee";
    /// An authorization that lives too long, or is over.
    pub const MAX_AUTHORIZATION_LIFETIME_S: &str = "max_authorization_lifetime_s";
}

/// What every rule is asked.
pub(crate) struct Question<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) facts: &'a Facts<'a>,
}

/// A rule: its failures, empty where it is content.
pub(crate) type Rule = fn(&Question<'_>) -> Vec<RuleFailure>;

/// Every rule, in the order in which failures are listed.
pub(crate) const ALL: [Rule; 8] = [
    wallet::check,
    kind::check,
    chains::check,
    signer::check,
    recipients::check,
    per_transaction::check,
    max_fee::check,
    authorization::check,
];

/// A failure of one rule.
struct Failure {
    reason: String,
    limit: String,
    requested: String,
}

impl Failure {
    fn of(self, rule: &str) -> Vec<RuleFailure> {
        let Self { reason, limit, requested } = self;
        vec![RuleFailure { rule: rule.to_owned(), reason, limit, requested }]
    }
}
