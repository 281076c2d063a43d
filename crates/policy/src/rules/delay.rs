//! A hold that people may end with a freeze. By the clock and the ledger of whoever asks.

use super::{Failure, Question, codes};
use crate::tiers::hold;
use crate::{RuleFailure, words};

pub(crate) fn check(question: &Question<'_>) -> Vec<RuleFailure> {
    let now = question.facts.now;
    let Some(hold) = hold(question.policy, question.facts).filter(|hold| now < hold.until) else {
        return Vec::new();
    };
    let failure = Failure {
        reason: "it is signed only after it was on hold".to_owned(),
        limit: format!("a hold of {}", words::seconds(u128::from(hold.until - hold.since))),
        used: Some(words::seconds(u128::from(now.saturating_sub(hold.since)))),
        requested: question.facts.intent.summary(),
        resets_at_ms: Some(hold.until),
    };
    failure.of(codes::DELAY)
}
