//! An EIP-3009 nonce is signed for once: the token would take only one of two authorizations, and nobody could say which.

use quorate_intent::Action;

use super::{Failure, Question, codes};
use crate::{History, RuleFailure};

pub(crate) fn check<H: History + ?Sized>(
    question: &Question<'_>,
    history: &H,
) -> Result<Vec<RuleFailure>, H::Error> {
    let intent = question.facts.intent;
    let Action::TokenTransfer { authorization: Some(authorization), .. } = &intent.action else {
        return Ok(Vec::new());
    };
    // Without a chain it is denied there.
    let Some(once) = intent.once() else { return Ok(Vec::new()) };
    if !history.place_is_taken(question.facts.wallet, &once)? {
        return Ok(Vec::new());
    }
    let failure = Failure {
        reason: "this nonce was signed for with another authorization".to_owned(),
        limit: "one authorization a nonce".to_owned(),
        requested: format!("another with nonce {}", authorization.nonce),
        ..Failure::default()
    };
    Ok(failure.of(codes::AUTHORIZATION_NONCE))
}
