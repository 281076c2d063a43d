//! A freeze is a denial like any other: it names its rule, its order and what would lift it.

use quorate_policy::{Decision, Denial, Facts, RuleFailure, codes};
use quorate_types::AgentId;

use crate::{FrozenSet, SignedFreeze};

/// The code of the rule, as it stands in [`RuleFailure::rule`].
pub const RULE: &str = codes::FROZEN;

/// What policy decided, unless an order stops it: then it is a denial that names each such order first.
pub fn judge<Scope>(
    frozen: &FrozenSet,
    agent: &AgentId,
    facts: &Facts<'_>,
    decision: Decision<Scope>,
) -> Decision<Scope> {
    let orders = frozen.covering(facts.wallet, agent, facts.intent);
    let mut failures: Vec<RuleFailure> = orders.map(|order| failure(order, facts)).collect();
    if failures.is_empty() {
        return decision;
    }
    match decision {
        Decision::Allow(approval) => {
            Decision::Deny(Denial { policy_hash: Some(approval.policy_hash()), failures })
        }
        Decision::Deny(denial) => {
            failures.extend(denial.failures);
            Decision::Deny(Denial { policy_hash: denial.policy_hash, failures })
        }
    }
}

fn failure(order: &SignedFreeze, facts: &Facts<'_>) -> RuleFailure {
    let said = order.order();
    let (state, limit) = if order.is_retirement() {
        ("retired", "no signature, ever")
    } else {
        ("frozen", "no signature until the operators unfreeze it")
    };
    RuleFailure {
        rule: RULE.to_owned(),
        reason: format!(
            "{} is {state} by order {} ({}): {}",
            said.scope,
            said.sequence,
            order.hash(),
            said.reason
        ),
        limit: limit.to_owned(),
        used: None,
        requested: facts.intent.summary(),
        resets_at_ms: None,
    }
}
