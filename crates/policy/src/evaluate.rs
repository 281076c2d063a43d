//! The one place where a yes is made.

use crate::rules::{ALL, Question, codes};
use crate::{Approval, Decision, Denial, Facts, RuleFailure, SignedPolicy};

/// Asks every rule of `policy` about `facts`. Deterministic and without side effects. Without a policy, and wherever a
/// rule is missing or cannot be applied, the answer is no.
pub fn evaluate(policy: Option<&SignedPolicy>, facts: &Facts<'_>) -> Decision {
    let Some(signed) = policy else {
        return Decision::Deny(Denial { policy_hash: None, failures: vec![no_policy(facts)] });
    };
    let question = Question { policy: signed.policy(), facts };
    let failures: Vec<RuleFailure> = ALL.iter().flat_map(|rule| rule(&question)).collect();
    // Charges that cannot be told fail the rule that caps them; the ledger is never handed an approval without.
    match facts.intent.charges() {
        Ok(charges) if failures.is_empty() => Decision::Allow(Approval {
            policy_hash: signed.hash(),
            policy_version: signed.version(),
            wallet: signed.wallet().clone(),
            charges,
        }),
        _ => Decision::Deny(Denial { policy_hash: Some(signed.hash()), failures }),
    }
}

fn no_policy(facts: &Facts<'_>) -> RuleFailure {
    RuleFailure {
        rule: codes::NO_POLICY.to_owned(),
        reason: format!("wallet {} has no policy, and without one nothing is signed", facts.wallet),
        limit: "none".to_owned(),
        requested: "any signature".to_owned(),
    }
}
