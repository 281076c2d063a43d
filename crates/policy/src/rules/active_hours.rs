//! Hours of the week in which signatures are allowed.

use super::{Failure, Question, codes};
use crate::{RuleFailure, words};

pub(super) fn check(question: &Question<'_>) -> Vec<RuleFailure> {
    let now = question.facts.now;
    let Some(hours) = question.policy.active_hours() else { return Vec::new() };
    let reason = match hours.contain(now) {
        Some(true) => return Vec::new(),
        Some(false) => "the wallet signs nothing at this hour",
        None => "the hour cannot be told at this time",
    };
    Failure {
        reason: reason.to_owned(),
        limit: hours.to_string(),
        used: None,
        requested: words::instant(now),
        resets_at_ms: hours.next_opening(now),
    }
    .of(codes::ACTIVE_HOURS)
}
