//! The one place where a yes is made.

use std::marker::PhantomData;

use crate::rules::{
    COUNTLESS, Question, Weighed, authorization_nonce, codes, cumulative, delay, fee, payee, velocity,
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
    let weighed = weigh(signed.policy(), facts, history)?;
    Ok(decide(signed, facts, weighed))
}

/// Every rule that fails, in order, and what the limits count that do not.
pub(crate) fn weigh<H: History + ?Sized>(
    policy: &Policy,
    facts: &Facts<'_>,
    history: &H,
) -> Result<Weighed, H::Error> {
    let question = Question { policy, facts };
    let mut weighed = Weighed::from(countless(&question));
    weighed.add(authorization_nonce::check(&question, history)?.into());
    weighed.add(cumulative::check(&question, history)?);
    weighed.add(velocity::check(&question, history)?);
    weighed.add(delay::check(&question).into());
    Ok(weighed)
}

/// Asks every rule but those that count. Enough for a node without a ledger, and not for a ledger.
pub fn evaluate_stateless(policy: Option<&SignedPolicy>, facts: &Facts<'_>) -> Decision<Stateless> {
    let Some(signed) = policy else { return Decision::Deny(no_policy(facts)) };
    decide(signed, facts, countless(&Question { policy: signed.policy(), facts }).into())
}

fn countless(question: &Question<'_>) -> Vec<RuleFailure> {
    COUNTLESS.iter().flat_map(|rule| rule(question)).collect()
}

fn decide<Scope>(signed: &SignedPolicy, facts: &Facts<'_>, weighed: Weighed) -> Decision<Scope> {
    let Weighed { failures, counters } = weighed;
    // Charges that cannot be told fail the rule that caps them; the ledger is never handed an approval without.
    match facts.intent.charges() {
        Ok(charges) if failures.is_empty() => Decision::Allow(Approval {
            policy_hash: signed.hash(),
            policy_version: signed.version(),
            wallet: signed.wallet().clone(),
            agent: facts.agent.clone(),
            charges,
            fee: fee(facts.intent).map(Box::new),
            once: facts.intent.once(),
            payee: payee(facts.intent),
            at: facts.now,
            tier: tier(signed.policy(), facts),
            counters,
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
