//! A payload that says who must sign must mean this wallet.

use quorate_intent::Action;

use super::{Failure, Question, codes};
use crate::RuleFailure;

pub(super) fn check(question: &Question<'_>) -> Vec<RuleFailure> {
    let (intent, address) = (question.facts.intent, question.facts.address);
    let authorization = matches!(
        intent.action,
        Action::TokenTransfer { authorization: Some(_), .. } | Action::TokenPermit { .. }
    );
    let requested = match intent.signer {
        Some(signer) if signer == address => return Vec::new(),
        Some(signer) => signer.to_string(),
        None if authorization => "nobody".to_owned(),
        None => return Vec::new(),
    };
    Failure {
        reason: "the payload is for another address to sign".to_owned(),
        limit: address.to_string(),
        requested,
        ..Failure::default()
    }
    .of(codes::SIGNER_MISMATCH)
}
