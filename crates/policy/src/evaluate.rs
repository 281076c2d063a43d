//! The one place where a yes is made.

use std::marker::PhantomData;

use crate::rules::{
    COUNTLESS, Question, authorization_nonce, codes, cumulative, delay, fee, payee, velocity,
};
use crate::tiers::tier;
use crate::{Approval, Decision, Denial, Facts, Full, History, Policy, RuleFailure, SignedPolicy, Stateless};

/// Asks every rule of `policy` about `facts`, against what `history` says was approved before. Deterministic and without
/// side effects. Without a policy, and wherever a rule is missing or cannot be applied, the answer is no.
///
/// # Errors
/// Where the history cannot be read: no verdict.
pub fn evaluate<H: History + ?Sized>(
    policy: Option<&SignedPolicy>,
    facts: &Facts<'_>,
    history: &H,
) -> Result<Decision<Full>, H::Error> {
    let Some(signed) = policy else { return Ok(Decision::Deny(no_policy(facts))) };
    let failures = failures(signed.policy(), facts, history)?;
    Ok(decide(signed, facts, failures))
}

/// Every rule that fails, in order.
pub(crate) fn failures<H: History + ?Sized>(
    policy: &Policy,
    facts: &Facts<'_>,
    history: &H,
) -> Result<Vec<RuleFailure>, H::Error> {
    let question = Question { policy, facts };
    let mut failures = countless(&question);
    failures.extend(authorization_nonce::check(&question, history)?);
    failures.extend(cumulative::check(&question, history)?);
    failures.extend(velocity::check(&question, history)?);
    failures.extend(delay::check(&question));
    Ok(failures)
}

/// Asks every rule but those that count. Enough for a node without a ledger, and not for a ledger.
pub fn evaluate_stateless(policy: Option<&SignedPolicy>, facts: &Facts<'_>) -> Decision<Stateless> {
    let Some(signed) = policy else { return Decision::Deny(no_policy(facts)) };
    decide(signed, facts, countless(&Question { policy: signed.policy(), facts }))
}

fn countless(question: &Question<'_>) -> Vec<RuleFailure> {
    COUNTLESS.iter().flat_map(|rule| rule(question)).collect()
}

fn decide<Scope>(signed: &SignedPolicy, facts: &Facts<'_>, failures: Vec<RuleFailure>) -> Decision<Scope> {
    // Charges that cannot be told fail the rule that caps them; the ledger is never handed an approval without.
    match facts.intent.charges() {
        Ok(charges) if failures.is_empty() => Decision::Allow(Approval {
            policy_hash: signed.hash(),
            policy_version: signed.version(),
            wallet: signed.wallet().clone(),
            charges,
            fee: fee(facts.intent),
            once: facts.intent.once(),
            payee: payee(facts.intent),
            at: facts.now,
            tier: tier(signed.policy(), facts),
            scope: PhantomData,
        }),
        _ => Decision::Deny(Denial { policy_hash: Some(signed.hash()), failures }),
    }
}

fn no_policy(facts: &Facts<'_>) -> Denial {
    let failure = RuleFailure {
        rule: codes::NO_POLICY.to_owned(),
        reason: format!("wallet {} has no policy, and without one nothing is signed", facts.wallet),
        limit: "none".to_owned(),
        used: None,
        requested: "any signature".to_owned(),
        resets_at_ms: None,
    };
    Denial { policy_hash: None, failures: vec![failure] }
}
