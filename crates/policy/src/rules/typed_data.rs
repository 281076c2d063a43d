//! Typed data that is no payment: its whole domain and its whole type must stand in a line.

use quorate_intent::Action;

use super::{Failure, Question, codes};
use crate::RuleFailure;

pub(super) fn check(question: &Question<'_>) -> Vec<RuleFailure> {
    let Action::TypedData(data) = &question.facts.intent.action else { return Vec::new() };
    let lines: Vec<_> = question.policy.typed_data().iter().filter(|line| line.is_about(data)).collect();
    let failed: Vec<String> = lines.iter().filter_map(|line| line.fails(&data.message)).collect();
    if failed.len() < lines.len() {
        return Vec::new();
    }
    // The names are those of a line: an operator wrote them.
    let reason = match failed.first() {
        Some(field) => format!("field {field} is not one that is allowed"),
        None => "there is no line for this domain and type".to_owned(),
    };
    let limit = match question.policy.typed_data().len() {
        1 => "1 kind of typed data".to_owned(),
        count => format!("{count} kinds of typed data"),
    };
    // The type's name is the caller's text: quoted, so that it cannot pass for ours.
    let requested =
        format!("{:?} of domain {:?}", data.primary_type, data.domain.name.as_deref().unwrap_or(""));
    Failure { reason, limit, requested, ..Failure::default() }.of(codes::TYPED_DATA)
}
