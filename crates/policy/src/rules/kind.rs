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
        limit: "native transfer, token transfer, EIP-3009 authorization, approve, EIP-2612 permit".to_owned(),
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
        | Action::TokenPermit { .. } => None,
        Action::TokenTransferFrom { .. } => Some("a token transferFrom"),
        Action::ContractCall { .. } => Some("a contract call"),
        Action::TypedData(_) => Some("typed data of an unknown kind"),
        Action::PersonalMessage { .. } => Some("a personal message"),
    }
}
