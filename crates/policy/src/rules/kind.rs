//! Kinds of payload that rules can judge at all.

use quorate_intent::Action;

use super::{Failure, Question, codes};
use crate::RuleFailure;

pub(super) fn check(question: &Question<'_>) -> Vec<RuleFailure> {
    let Some(kind) = refused(&question.facts.intent.action) else {
        return Vec::new();
    };
    Failure {
        reason: format!("no rule of this policy version can allow {kind}"),
        limit: "what a line allows".to_owned(),
        requested: kind.to_owned(),
        ..Failure::default()
    }
    .of(codes::KIND)
}

/// What the action is called, where nothing can allow it. Exhaustive: a new action must be decided about here.
const fn refused(action: &Action) -> Option<&'static str> {
    match action {
        Action::NativeTransfer { .. }
        | Action::TokenTransfer { .. }
        | Action::TokenApprove { .. }
        | Action::TokenPermit { .. }
        // Each has a rule of its own, which allows none without a line.
        | Action::ContractCall { .. }
        | Action::TypedData(_)
        | Action::SignIn(_)
        | Action::PersonalMessage { .. }
        | Action::RawDigest { .. } => None,
        Action::TokenTransferFrom { .. } => Some("a token transferFrom"),
    }
}
