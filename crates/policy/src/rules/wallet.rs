//! A policy speaks for one wallet.

use super::{Failure, Question, codes};
use crate::RuleFailure;

pub(super) fn check(question: &Question<'_>) -> Vec<RuleFailure> {
    let (policy, facts) = (question.policy, question.facts);
    if policy.wallet() == facts.wallet {
        return Vec::new();
    }
    Failure {
        reason: "the policy is for another wallet".to_owned(),
        limit: policy.wallet().to_string(),
        requested: facts.wallet.to_string(),
        ..Failure::default()
    }
    .of(codes::WALLET)
}
