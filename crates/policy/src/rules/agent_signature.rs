//! The agent itself asks, where its wallet takes no one else's word. No field of the policy: a wallet is created so.

use super::{Failure, Question, codes};
use crate::{Asked, RuleFailure};

pub(crate) fn check(question: &Question<'_>) -> Vec<RuleFailure> {
    let Asked::Nobody(error) = question.facts.asked else { return Vec::new() };
    let (limit, requested) = ("requests signed with the agent's key".to_owned(), "this request".to_owned());
    Failure { reason: error.to_string(), limit, requested, ..Failure::default() }.of(codes::AGENT_SIGNATURE)
}
