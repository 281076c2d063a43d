//! The first and the last moment of a policy.

use super::{Failure, Question, codes};
use crate::{RuleFailure, words};

pub(super) fn check(question: &Question<'_>) -> Vec<RuleFailure> {
    let (now, policy) = (question.facts.now, question.policy);
    let fail = |reason: &str, limit, resets_at_ms, code| {
        let (reason, limit, requested) = (reason.to_owned(), words::instant(limit), words::instant(now));
        Failure { reason, limit, requested, resets_at_ms, used: None }.of(code)
    };
    let early = policy.not_before().filter(|first| now < *first);
    let late = policy.not_after().filter(|last| now > *last);
    let early = early.map(|at| fail("the policy allows nothing yet", at, Some(at), codes::NOT_BEFORE));
    let late = late.map(|at| fail("the policy allows nothing any more", at, None, codes::NOT_AFTER));
    early.into_iter().chain(late).flatten().collect()
}
