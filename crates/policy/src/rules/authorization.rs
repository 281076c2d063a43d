//! For how long an EIP-3009 authorization or an EIP-2612 permit may stay usable: once signed it cannot be taken back from
//! here.

use quorate_intent::Action;

use super::{Failure, Question, codes};
use crate::{RuleFailure, words};

pub(super) fn check(question: &Question<'_>) -> Vec<RuleFailure> {
    let intent = question.facts.intent;
    let authorization = matches!(
        intent.action,
        Action::TokenTransfer { authorization: Some(_), .. } | Action::TokenPermit { .. }
    );
    if !authorization {
        return Vec::new();
    }
    let limit_s = question.policy.max_authorization_lifetime_s();
    let fail = |reason: &str, requested: String| {
        let limit = limit_s.map_or_else(|| "none".to_owned(), |limit| format!("{limit} s"));
        Failure { reason: reason.to_owned(), limit, requested, ..Failure::default() }
            .of(codes::MAX_AUTHORIZATION_LIFETIME_S)
    };
    let Some(last_s) = intent.validity.not_after_s else {
        return fail("the authorization never ends", "no end".to_owned());
    };
    if intent.validity.not_before_s.is_some_and(|first_s| first_s > last_s) {
        return fail("the authorization can never be used", "an end before its beginning".to_owned());
    }
    // `validBefore` is the first second at which it is no longer usable, a permit's `deadline` the last at which it is. In u128 nothing can overflow.
    let end_ms = (u128::from(last_s) + 1) * 1000;
    let Some(left_ms) = end_ms.checked_sub(u128::from(question.facts.now)).filter(|left| *left > 0) else {
        return fail("the authorization is over", format!("an end at {} Unix seconds", end_ms / 1000));
    };
    match limit_s {
        Some(limit) if left_ms <= u128::from(limit) * 1000 => Vec::new(),
        Some(_) => fail("the authorization would stay usable for too long", words::seconds(left_ms)),
        None => fail("there is no limit for authorizations, so none is signed", words::seconds(left_ms)),
    }
}
