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
    pub(crate) used: String,
    pub(crate) requested: String,
    pub(crate) resets_at_ms: Option<u64>,
}

/// Policy said no.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct DenialView {
    pub(crate) decided_by: String,
    pub(crate) policy_hash: String,
    pub(crate) failures: Vec<FailureView>,
}

impl From<v1::RuleFailure> for FailureView {
    fn from(failure: v1::RuleFailure) -> Self {
        Self {
            rule: failure.rule,
            reason: failure.reason,
            limit: failure.limit,
            used: failure.used,
            requested: failure.requested,
            resets_at_ms: failure.resets_at_ms,
        }
    }
}

impl FailureView {
    /// A line for the rule and its reason, and one for each number there is.
    pub(super) fn words(&self) -> String {
        let mut words = format!("\n  {}: {}", self.rule, self.reason);
        for (name, text) in [("limit", &self.limit), ("used", &self.used), ("requested", &self.requested)] {
            if !text.is_empty() {
                words.push_str(&format!("\n    {name:<9}  {text}"));
            }
        }
        if let Some(at) = self.resets_at_ms {
            words.push_str(&format!("\n    resets at  {}", instant(at)));
        }
        words
    }
}

impl From<v1::Denial> for DenialView {
    fn from(denial: v1::Denial) -> Self {
        Self {
            decided_by: denial.decided_by,
            policy_hash: hex(&denial.policy_hash),
            failures: denial.failures.into_iter().map(FailureView::from).collect(),
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
            words.push_str(&failure.words());
        }
        words
    }
}

/// To the second, rounded up: at that moment it has passed.
pub(crate) fn instant(at_ms: u64) -> String {
    let at = i64::try_from(at_ms.div_ceil(1000)).ok().and_then(|s| jiff::Timestamp::from_second(s).ok());
    at.map_or_else(|| format!("{at_ms} Unix milliseconds"), |at| at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_over_time_says_what_is_used_and_when_it_resets() {
        let failure = |used: &str, resets_at_ms| v1::RuleFailure {
            rule: "cumulative".to_owned(),
            reason: "more than may move over time".to_owned(),
            limit: "100 USDC in any 86400 s".to_owned(),
            requested: "10 USDC on base".to_owned(),
            used: used.to_owned(),
            resets_at_ms,
        };
        let failures = vec![failure("95 USDC", Some(1_800_000_000_001)), failure("", Some(u64::MAX))];
        let denial = v1::Denial { policy_hash: vec![1], failures, decided_by: "service-1".to_owned() };
        let view = DenialView::from(denial);
        let words = view.words();
        assert!(
            words.contains(
                "\n    limit      100 USDC in any 86400 s\n    used       95 USDC\n    requested  10 USDC on \
                 base\n    resets at  2027-01-15T08:00:01Z"
            ),
            "{words}"
        );
        assert!(words.ends_with("resets at  18446744073709551615 Unix milliseconds"), "{words}");
        let json = serde_json::to_value(&view).unwrap();
        assert_eq!(json["failures"][0]["used"], "95 USDC");
        assert_eq!(json["failures"][0]["resets_at_ms"], 1_800_000_000_001_u64);
    }

    #[test]
    fn a_denial_lists_each_rule_with_its_limit_and_what_was_asked() {
        let failure = |rule: &str, limit: &str| v1::RuleFailure {
            rule: rule.to_owned(),
            reason: "too much".to_owned(),
            limit: limit.to_owned(),
            requested: "30 USDC".to_owned(),
            ..Default::default()
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
