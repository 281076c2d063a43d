//! People, for what is above the other tiers. Their signatures were verified before anything is asked here.

use super::{Failure, Question, codes};
use crate::tiers::{Tier, tier};
use crate::{Approvers, RuleFailure};

pub(crate) fn check(question: &Question<'_>) -> Vec<RuleFailure> {
    if tier(question.policy, question.facts) != Tier::Approval {
        return Vec::new();
    }
    let Some(approvers) = question.policy.approval() else {
        // Reading refuses such a policy; should one be here, nobody can approve.
        let (reason, limit) = ("nobody may approve it".to_owned(), "no approvers".to_owned());
        let requested = question.facts.intent.summary();
        return Failure { reason, limit, requested, ..Failure::default() }.of(codes::APPROVAL);
    };
    let yes = question.facts.approved_by.iter().filter(|name| may(approvers, name)).count();
    if yes >= approvers.threshold {
        return Vec::new();
    }
    let of = if approvers.names.is_empty() {
        "the manifest's approvers".to_owned()
    } else {
        approvers.names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
    };
    let failure = Failure {
        reason: "people must approve it".to_owned(),
        limit: format!("{} of {of}", approvers.threshold),
        used: Some(format!("{yes} so far")),
        requested: question.facts.intent.summary(),
        ..Failure::default()
    };
    failure.of(codes::APPROVAL)
}

fn may(approvers: &Approvers, name: &str) -> bool {
    approvers.names.is_empty() || approvers.names.contains(name)
}
