//! What would be decided.

use quorate_proto::v1;
use quorate_proto::v1::evaluation::Verdict;
use serde::Serialize;

use super::denial::{FailureView, instant};
use super::hex;
use crate::output::{DENIED, WAITING};
use crate::refusal::Refusal;

/// A dry run's verdict.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct EvaluationView {
    pub(crate) wallet: String,
    /// `allowed`, `denied`, `waiting` or `answered`.
    pub(crate) verdict: &'static str,
    /// What the payload does, as it was decoded here.
    pub(crate) summary: String,
    pub(crate) policy_hash: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) policy_version: Option<u64>,
    /// Of what is allowed or waits.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) tier: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) until_ms: Option<u64>,
    pub(crate) failures: Vec<FailureView>,
}

impl EvaluationView {
    /// The coordinator's verdict, with our own words for the payload.
    ///
    /// # Errors
    /// A [`Refusal`] where there is no verdict.
    pub(crate) fn of(wallet: String, summary: String, evaluation: v1::Evaluation) -> Result<Self, Refusal> {
        let view = |verdict, policy_hash: &[u8], failures: Vec<v1::RuleFailure>| Self {
            wallet,
            verdict,
            summary,
            policy_hash: hex(policy_hash),
            policy_version: None,
            tier: String::new(),
            until_ms: None,
            failures: failures.into_iter().map(FailureView::from).collect(),
        };
        Ok(match evaluation.verdict {
            Some(Verdict::Allowed(allowed)) => Self {
                policy_version: Some(allowed.policy_version),
                tier: allowed.tier,
                ..view("allowed", &allowed.policy_hash, Vec::new())
            },
            Some(Verdict::Denied(denial)) => view("denied", &denial.policy_hash, denial.failures),
            Some(Verdict::Waiting(waiting)) => Self {
                tier: waiting.tier,
                until_ms: Some(waiting.until_ms),
                ..view("waiting", &waiting.policy_hash, waiting.failures)
            },
            Some(Verdict::Answered(_)) => view("answered", &[], Vec::new()),
            None => return Err(Refusal::internal("the coordinator's answer is no verdict")),
        })
    }

    /// The exit code the request itself would end with, were this the answer.
    pub(crate) fn code(&self) -> u8 {
        match self.verdict {
            "denied" => DENIED,
            "waiting" => WAITING,
            _ => 0,
        }
    }

    pub(crate) fn words(&self) -> String {
        let Self { wallet, summary, .. } = self;
        let mut words = match (self.verdict, self.until_ms) {
            ("allowed", _) => {
                let version = self.policy_version.unwrap_or_default();
                format!(
                    "WOULD BE SIGNED by {wallet}: {summary}\n  tier    {}\n  policy  version {version}, {}",
                    self.tier, self.policy_hash
                )
            }
            ("waiting", Some(until)) => {
                format!("WOULD WAIT ({}) until {}: {summary}", self.tier, instant(until))
            }
            ("answered", _) => format!("ANSWERED BEFORE: asked again, {wallet} gives the same answer"),
            _ if self.policy_hash.is_empty() => format!("WOULD BE DENIED, {wallet} has no policy: {summary}"),
            _ => format!("WOULD BE DENIED: {summary}"),
        };
        self.failures.iter().for_each(|failure| words.push_str(&failure.words()));
        words.push_str("\n  Nothing was reserved or signed; the nodes decide for themselves.");
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(verdict: Verdict) -> EvaluationView {
        let evaluation = v1::Evaluation { summary: "a lie".to_owned(), verdict: Some(verdict) };
        EvaluationView::of("w".to_owned(), "pays 1 USDC".to_owned(), evaluation).unwrap()
    }

    #[test]
    fn each_verdict_has_its_words_and_the_exit_code_of_the_request() {
        let allowed = v1::Allowed { policy_hash: vec![1], policy_version: 3, tier: "notify".to_owned() };
        let allowed = view(Verdict::Allowed(allowed));
        assert_eq!(allowed.code(), 0);
        assert!(
            allowed.words().starts_with(
                "WOULD BE SIGNED by w: pays 1 USDC\n  tier    notify\n  policy  version 3, 0x01\n"
            )
        );
        let failure = v1::RuleFailure { rule: "chains".to_owned(), ..Default::default() };
        let failures = vec![failure];
        let denied =
            v1::Denial { policy_hash: vec![1], failures: failures.clone(), decided_by: String::new() };
        let denied = view(Verdict::Denied(denied));
        assert_eq!(denied.code(), 3);
        assert!(denied.words().starts_with("WOULD BE DENIED: pays 1 USDC\n  chains: "), "{}", denied.words());
        let waiting = v1::Waiting { tier: "delay".to_owned(), until_ms: 1, failures, ..Default::default() };
        let waiting = view(Verdict::Waiting(waiting));
        assert_eq!(waiting.code(), 6);
        assert!(waiting.words().starts_with("WOULD WAIT (delay) until 1970-01-01T00:00:01Z: pays 1 USDC\n"));
        assert_eq!(view(Verdict::Answered(v1::SignResponse::default())).code(), 0);
        let none = v1::Evaluation { summary: String::new(), verdict: None };
        assert!(EvaluationView::of("w".to_owned(), String::new(), none).is_err());
    }
}
