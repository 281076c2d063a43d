//! Conditions over what the gateway says. As with merchants, only a process that was told asks, and they can only deny.

use std::collections::BTreeMap;

use quorate_conditions::{Conditions, Unmet};

use super::{Failure, Question, codes};
use crate::RuleFailure;

/// Most characters of what was said, and of a reason, that are repeated.
const SHOWN: usize = 200;

pub(super) fn check(question: &Question<'_>) -> Vec<RuleFailure> {
    let (Some(said), Some(conditions)) = (question.facts.metadata, question.policy.conditions()) else {
        return Vec::new();
    };
    let unmet = conditions.unmet(question.facts.wallet.as_str(), said);
    unmet.iter().flat_map(|unmet| fail(unmet, told(conditions, said))).collect()
}

fn fail(unmet: &Unmet<'_>, requested: String) -> Vec<RuleFailure> {
    let limit = match unmet {
        Unmet::Unsaid { name, kind } => format!("{name}, {kind}"),
        Unmet::Fails(condition) | Unmet::Untold { condition, .. } => condition.text.clone(),
        Unmet::Failed(_) => "every condition".to_owned(),
    };
    let reason = format!("by the gateway's word, {}", cut(&unmet.to_string()));
    Failure { reason, limit, requested, ..Failure::default() }.of(codes::CONDITIONS)
}

/// What was said of all that the conditions read.
fn told(conditions: &Conditions, said: &BTreeMap<String, String>) -> String {
    let named = conditions.kinds().keys().filter_map(|name| Some((name, said.get(name)?)));
    let told: Vec<String> = named.map(|(name, value)| format!("{name} {value:?}")).collect();
    if told.is_empty() { "nothing".to_owned() } else { cut(&told.join(", ")) }
}

fn cut(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}
