//! The most signatures over time. A request that was denied is none, and counts where the line says so.

use quorate_types::U256;

use super::tally::{Fit, Tally};
use super::{Failure, Question, codes, payee};
use crate::{Counted, History, Per, RuleFailure, Velocity};

pub(crate) fn check<H: History + ?Sized>(
    question: &Question<'_>,
    history: &H,
) -> Result<Vec<RuleFailure>, H::Error> {
    let mut failures = Vec::new();
    for limit in question.policy.velocity() {
        failures.extend(check_limit(question, history, limit)?);
    }
    Ok(failures)
}

fn check_limit<H: History + ?Sized>(
    question: &Question<'_>,
    history: &H,
    limit: &Velocity,
) -> Result<Vec<RuleFailure>, H::Error> {
    let payee = payee(question.facts.intent);
    let whose = match limit.per {
        Per::Wallet => None,
        Per::Recipient => payee,
    };
    let max = U256::from(limit.max);
    let fail = |reason: &str, used, resets_at_ms| {
        let limit = format!("{} {}{}", counted(limit, max), limit.window, limit.per.in_words());
        let requested = "one more".to_owned();
        Failure { reason: reason.to_owned(), limit, used, requested, resets_at_ms }.of(codes::VELOCITY)
    };
    if limit.per == Per::Recipient && payee.is_none() {
        return Ok(fail("it names nobody in whose name it would count", None, None));
    }
    let Some(frame) = limit.window.frame(question.facts.now) else {
        return Ok(fail("the window cannot be told at this time", None, None));
    };
    let mut counts = vec![Counted::Signatures];
    counts.extend(limit.denied.then_some(Counted::Denied));
    let tally = Tally { counted: counts, payee: whose, requested: U256::ONE, max };
    Ok(match tally.weigh(question, history, frame)? {
        Fit::Fits => Vec::new(),
        Fit::Exceeds { used, resets_at } => {
            let reason = if limit.denied { "too many attempts" } else { "too many signatures" };
            fail(reason, Some(counted(limit, used)), resets_at)
        }
        Fit::Overflows => fail("what was signed before cannot be counted", None, None),
    })
}

fn counted(limit: &Velocity, count: U256) -> String {
    let plural = if count == U256::ONE { "" } else { "s" };
    let denied = if limit.denied { format!(" or denied attempt{plural}") } else { String::new() };
    format!("{count} signature{plural}{denied}")
}
