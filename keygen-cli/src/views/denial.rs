//! What policy refused, and why.

use quorate_proto::v1;
use serde::Serialize;

use super::hex;

/// One rule that said no.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct FailureView {
    pub(crate) rule: String,
    pub(crate) reason: String,
    pub(crate) limit: String,
    pub(crate) requested: String,
}

/// Policy said no.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct DenialView {
    pub(crate) decided_by: String,
    pub(crate) policy_hash: String,
    pub(crate) failures: Vec<FailureView>,
}

impl From<v1::Denial> for DenialView {
    fn from(denial: v1::Denial) -> Self {
        let failure = |failure: v1::RuleFailure| FailureView {
            rule: failure.rule,
            reason: failure.reason,
            limit: failure.limit,
            requested: failure.requested,
        };
        Self {
            decided_by: denial.decided_by,
            policy_hash: hex(&denial.policy_hash),
            failures: denial.failures.into_iter().map(failure).collect(),
        }
    }
}

impl DenialView {
    pub(crate) fn words(&self) -> String {
        let mut words = format!("DENIED by {}", self.decided_by);
        if self.policy_hash.is_empty() {
            words.push_str(": the wallet has no policy");
        }
        for failure in &self.failures {
            words.push_str(&format!("\n  {}: {}", failure.rule, failure.reason));
            if !failure.limit.is_empty() {
                words.push_str(&format!("\n    limit      {}", failure.limit));
            }
            if !failure.requested.is_empty() {
                words.push_str(&format!("\n    requested  {}", failure.requested));
            }
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_lists_each_rule_with_its_limit_and_what_was_asked() {
        let failure = |rule: &str, limit: &str| v1::RuleFailure {
            rule: rule.to_owned(),
            reason: "too much".to_owned(),
            limit: limit.to_owned(),
            requested: "30 USDC".to_owned(),
        };
        let denial = v1::Denial {
            policy_hash: vec![1],
            failures: vec![failure("per_transaction", "25 USDC"), failure("recipients", "")],
            decided_by: "coordinator".to_owned(),
        };
        let words = DenialView::from(denial).words();
        assert_eq!(
            words,
            "DENIED by coordinator\n  per_transaction: too much\n    limit      25 USDC\n    requested  30 USDC\n  recipients: too much\n    requested  30 USDC"
        );
    }
}
