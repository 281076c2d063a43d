//! Yes or no, and why not.

use std::fmt;

use quorate_types::B256;
use serde::Serialize;

use crate::Approval;

/// What a policy says to a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision {
    /// Every rule allows it.
    Allow(Approval),
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

/// One rule that fails. The texts are for people; `rule` is for programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleFailure {
    /// The rule's code, one of [`codes`](crate::codes).
    pub rule: String,
    /// Why it fails.
    pub reason: String,
    /// What it would allow.
    pub limit: String,
    /// What was asked.
    pub requested: String,
}

impl fmt::Display for RuleFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} (limit {}, requested {})", self.rule, self.reason, self.limit, self.requested)
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
