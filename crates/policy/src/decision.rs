//! Yes or no, and why not.

use std::fmt;

use quorate_types::{B256, UnixMillis};
use serde::Serialize;

use crate::rules::codes;
use crate::{Approval, words};

/// What a policy says to a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision<Scope> {
    /// Every rule that was asked allows it.
    Allow(Approval<Scope>),
    /// At least one rule does not.
    Deny(Denial),
}

/// A no. A verdict, not an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Denial {
    /// The policy that decided; `None` where the wallet has none.
    pub policy_hash: Option<B256>,
    /// Every rule that fails, in the order in which rules are always listed. Never empty.
    pub failures: Vec<RuleFailure>,
}

impl Denial {
    /// Whether it is only a matter of time or of people: nothing else stands against the request.
    pub fn waits(&self) -> bool {
        waits(&self.failures)
    }
}

impl Denial {
    /// Whether it counts as an attempt where a `velocity` line counts denied ones ([`Policy::counts_denied`]).
    ///
    /// It does where policy said no to what the one asked for whose word the wallet takes. What somebody else asked is no
    /// attempt of the agent's, and neither is what an order stops. What is denied for coming too often counts no second
    /// time: waiting helps, and what is kept has a bound.
    ///
    /// [`Policy::counts_denied`]: crate::Policy::counts_denied
    pub fn is_attempt(&self) -> bool {
        is_attempt(&self.failures)
    }
}

pub(crate) fn waits(failures: &[RuleFailure]) -> bool {
    let waits = |failure: &RuleFailure| [codes::APPROVAL, codes::DELAY].contains(&failure.rule.as_str());
    !failures.is_empty() && failures.iter().all(waits)
}

const NO_ATTEMPT: [&str; 5] =
    [codes::NO_POLICY, codes::WALLET, codes::AGENT_SIGNATURE, codes::FROZEN, codes::VELOCITY];

pub(crate) fn is_attempt(failures: &[RuleFailure]) -> bool {
    !failures.is_empty() && !failures.iter().any(|failure| NO_ATTEMPT.contains(&failure.rule.as_str()))
}

/// One rule that fails. The texts are for people; `rule` and `resets_at_ms` are for programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleFailure {
    /// The rule's code, one of [`codes`](crate::codes).
    pub rule: String,
    /// Why it fails.
    pub reason: String,
    /// What it would allow.
    pub limit: String,
    /// What counts against the limit already; `None` for rules that do not count.
    pub used: Option<String>,
    /// What was asked.
    pub requested: String,
    /// When the same request would pass this rule, in Unix milliseconds, if nothing else is signed until then; `None`
    /// where waiting does not help, or nobody can say.
    pub resets_at_ms: Option<UnixMillis>,
}

impl fmt::Display for RuleFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} (limit {}", self.rule, self.reason, self.limit)?;
        if let Some(used) = &self.used {
            write!(f, ", used {used}")?;
        }
        write!(f, ", requested {}", self.requested)?;
        if let Some(at) = self.resets_at_ms {
            write!(f, ", resets at {}", words::instant(at))?;
        }
        f.write_str(")")
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("denied by policy")?;
        for (at, failure) in self.failures.iter().enumerate() {
            write!(f, "{} {failure}", if at == 0 { ":" } else { ";" })?;
        }
        Ok(())
    }
}
