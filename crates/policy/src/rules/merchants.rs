//! Whom the gateway says a payment is for. Only a process that was told asks: a node is not, and its other rules stand
//! alone. So these can deny what those allow, and never the other way round.

use std::collections::BTreeMap;

use super::{Failure, Question, codes};
use crate::merchant::{MERCHANT_CATEGORY, MERCHANT_DOMAIN, category_matches, host_matches};
use crate::{Merchants, RuleFailure};

/// Most characters of what was said that are repeated.
const SHOWN: usize = 64;

pub(super) fn check(question: &Question<'_>) -> Vec<RuleFailure> {
    let (Some(said), merchants) = (question.facts.metadata, question.policy.merchants()) else {
        return Vec::new();
    };
    let (domain, category) = (domain_fails(merchants, said), category_fails(merchants, said));
    domain.into_iter().chain(category).flatten().collect()
}

fn domain_fails(merchants: &Merchants, said: &BTreeMap<String, String>) -> Option<Vec<RuleFailure>> {
    let allowed = merchants.domains();
    let named = said.get(MERCHANT_DOMAIN);
    if allowed.is_empty() || named.is_some_and(|host| allowed.iter().any(|line| host_matches(line, host))) {
        return None;
    }
    let reason = match named {
        Some(_) => "the merchant, by the gateway's word, is not on the list",
        None => "the gateway names no merchant",
    };
    Some(fail(reason, allowed.join(", "), named))
}

fn category_fails(merchants: &Merchants, said: &BTreeMap<String, String>) -> Option<Vec<RuleFailure>> {
    let blocked = merchants.blocked_categories();
    if blocked.is_empty() {
        return None;
    }
    let named = said.get(MERCHANT_CATEGORY);
    let reason = match named {
        Some(category) if blocked.iter().any(|line| category_matches(line, category)) => {
            "the merchant's category, by the gateway's word, is blocked"
        }
        Some(_) => return None,
        None => "the gateway names no category",
    };
    Some(fail(reason, format!("none of {}", blocked.join(", ")), named))
}

fn fail(reason: &str, limit: String, named: Option<&String>) -> Vec<RuleFailure> {
    let shown = |said: &String| format!("{:?}", said.chars().take(SHOWN).collect::<String>());
    let requested = named.map_or_else(|| "nothing".to_owned(), shown);
    Failure { reason: reason.to_owned(), limit, requested, ..Failure::default() }.of(codes::MERCHANTS)
}
