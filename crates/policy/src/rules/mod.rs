//! The rules, one per file. Each answers with its failures; none is no failure, and allows nothing by itself.

mod active_hours;
mod agent_signature;
mod allowances;
mod approval;
mod authorization;
pub(crate) mod authorization_nonce;
mod blocked;
mod calls;
mod chains;
mod conditions;
pub(crate) mod cumulative;
pub(crate) mod delay;
mod kind;
mod max_fee;
mod merchants;
mod messages;
mod per_transaction;
mod raw_digest;
mod recipients;
mod signer;
mod tally;
mod typed_data;
mod validity;
pub(crate) mod velocity;
mod wallet;

use quorate_intent::{Action, AssetId, Charge, Intent};
use quorate_types::{Address, UnixMillis};

use crate::{Counter, Facts, Policy, RuleFailure};

/// Codes of rules, as they stand in [`RuleFailure::rule`]. A rule with a field in the policy has the field's name.
pub mod codes {
    /// The wallet has no policy.
    pub const NO_POLICY: &str = "no_policy";
    /// An order stops it. No policy's rule: orders are asked beside it.
    pub const FROZEN: &str = "frozen";
    /// The policy is another wallet's.
    pub const WALLET: &str = "wallet";
    /// The wallet takes its agent's signature only, and that is not there.
    pub const AGENT_SIGNATURE: &str = "agent_signature";
    /// No rule can allow this kind of payload.
    pub const KIND: &str = "kind";
    /// The chain is not allowed.
    pub const CHAINS: &str = "chains";
    /// The payload says another address must sign.
    pub const SIGNER_MISMATCH: &str = "signer_mismatch";
    /// The recipient is not allowed.
    pub const RECIPIENTS: &str = "recipients";
    /// An allowance to a spender or of an amount that has no line.
    pub const ALLOWANCES: &str = "allowances";
    /// A function of a contract, or an argument, that has no line.
    pub const CALLS: &str = "calls";
    /// Typed data whose domain, type or fields have no line.
    pub const TYPED_DATA: &str = "typed_data";
    /// A sign-in or a text that has no line.
    pub const MESSAGES: &str = "messages";
    /// A raw digest, a policy for them or a wallet for them, and the others not of that sort.
    pub const RAW_DIGEST: &str = "raw_digest";
    /// An address is forbidden, whatever else allows it.
    pub const BLOCKED: &str = "blocked";
    /// Too much of an asset, or an asset without a cap.
    pub const PER_TRANSACTION: &str = "per_transaction";
    /// The fee may be too high, or the chain has no limit for it.
    pub const MAX_FEE: &str = "max_fee";
    /// An authorization that lives too long, or is over.
    pub const MAX_AUTHORIZATION_LIFETIME_S: &str = "max_authorization_lifetime_s";
    /// The nonce of an authorization was signed for before.
    pub const AUTHORIZATION_NONCE: &str = "authorization_nonce";
    /// Outside the hours or on a holiday.
    pub const ACTIVE_HOURS: &str = "active_hours";
    /// Before the policy's first moment.
    pub const NOT_BEFORE: &str = "not_before";
    /// After the policy's last moment.
    pub const NOT_AFTER: &str = "not_after";
    /// Conditions over metadata, by the gateway's word.
    pub const CONDITIONS: &str = "conditions";
    /// A merchant or category, by the gateway's word.
    pub const MERCHANTS: &str = "merchants";
    /// Too much of an asset over time.
    pub const CUMULATIVE: &str = "cumulative";
    /// Not enough people approved it.
    pub const APPROVAL: &str = "approval";
    /// It has not been on hold for long enough.
    pub const DELAY: &str = "delay";
    /// Too many signatures over time.
    pub const VELOCITY: &str = "velocity";
}

/// What every rule is asked.
pub(crate) struct Question<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) facts: &'a Facts<'a>,
}

/// A rule that does not count: its failures, empty where it is content.
pub(crate) type Rule = fn(&Question<'_>) -> Vec<RuleFailure>;

/// Every rule that needs no history, in the order in which failures are listed. Those that count come after them, in
/// [`evaluate`](crate::evaluate()).
pub(crate) const COUNTLESS: [Rule; 20] = [
    wallet::check,
    agent_signature::check,
    kind::check,
    chains::check,
    signer::check,
    recipients::check,
    allowances::check,
    calls::check,
    typed_data::check,
    messages::check,
    raw_digest::check,
    blocked::check,
    per_transaction::check,
    max_fee::check,
    authorization::check,
    active_hours::check,
    validity::check,
    approval::check,
    merchants::check,
    conditions::check,
];

/// Who is paid, allowed to take, or called: in whose name it counts.
pub(crate) fn payee(intent: &Intent) -> Option<Address> {
    let contract = match &intent.action {
        Action::ContractCall { to, .. } => Some(*to),
        Action::TypedData(data) => data.domain.verifying_contract,
        _ => None,
    };
    intent.recipient().or_else(|| intent.spender()).or(contract)
}

/// The most it can burn as fee.
pub(crate) fn fee(intent: &Intent) -> Option<Charge> {
    let amount = intent.max_native_fee;
    let pays = intent.transaction.is_some() || !amount.is_zero();
    intent.chain.filter(|_| pays).map(|chain| Charge { asset: AssetId::native(chain), amount })
}

/// What rules that count found: what fails, and of each limit that does not how far it is used up.
#[derive(Default)]
pub(crate) struct Weighed {
    pub(crate) failures: Vec<RuleFailure>,
    pub(crate) counters: Vec<Counter>,
}

impl Weighed {
    pub(crate) fn add(&mut self, more: Self) {
        self.failures.extend(more.failures);
        self.counters.extend(more.counters);
    }
}

impl From<Vec<RuleFailure>> for Weighed {
    fn from(failures: Vec<RuleFailure>) -> Self {
        Self { failures, counters: Vec::new() }
    }
}

impl From<Counter> for Weighed {
    fn from(counter: Counter) -> Self {
        Self { failures: Vec::new(), counters: vec![counter] }
    }
}

/// A failure of one rule.
#[derive(Default)]
struct Failure {
    reason: String,
    limit: String,
    used: Option<String>,
    requested: String,
    resets_at_ms: Option<UnixMillis>,
}

impl Failure {
    fn of(self, rule: &str) -> Vec<RuleFailure> {
        let Self { reason, limit, used, requested, resets_at_ms } = self;
        vec![RuleFailure { rule: rule.to_owned(), reason, limit, used, requested, resets_at_ms }]
    }
}
