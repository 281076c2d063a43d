//! The most signatures over time. A request that was denied is none, and counts where the line says so.

use quorate_types::U256;

use super::tally::{Fit, Tally, Whose};
use super::{Failure, Question, Weighed, codes, payee};
use crate::{Counted, Counter, History, Velocity};

pub(crate) fn check<H: History + ?Sized>(question: &Question<'_>, history: &H) -> Result<Weighed, H::Error> {
    let mut weighed = Weighed::default();
    for limit in question.policy.velocity() {
        weighed.add(check_limit(question, history, limit)?);
    }
    Ok(weighed)
}

fn check_limit<H: History + ?Sized>(
    question: &Question<'_>,
    history: &H,
    limit: &Velocity,
) -> Result<Weighed, H::Error> {
    let max = U256::from(limit.max);
    let fail = |reason: &str, used, resets_at_ms| -> Weighed {
        let limit = format!("{} {}{}", counted(limit, max), limit.window, limit.per.in_words());
        let requested = "one more".to_owned();
        let failure = Failure { reason: reason.to_owned(), limit, used, requested, resets_at_ms };
        failure.of(codes::VELOCITY).into()
    };
    let Some(whose) = Whose::of(limit.per, payee(question.facts.intent)) else {
        return Ok(fail("it names nobody in whose name it would count", None, None));
    };
    let Some(frame) = limit.window.frame(question.facts.now) else {
        return Ok(fail("the window cannot be told at this time", None, None));
    };
    let mut counts = vec![Counted::Signatures];
    counts.extend(limit.denied.then_some(Counted::Denied));
    let tally = Tally { counted: counts, whose, requested: U256::ONE, max };
    Ok(match tally.weigh(question, history, frame)? {
        Fit::Fits { used } => {
            let counts = if limit.denied { "signatures and denied attempts" } else { "signatures" };
            let (counts, window) = (counts.to_owned(), limit.window.to_string());
            let after = used.saturating_add(U256::ONE);
            let agent = (whose == Whose::Agent).then(|| question.facts.agent.clone());
            let rule = codes::VELOCITY;
            Counter { rule, counts, recipient: whose.payee(), agent, window, limit: max, before: used, after }
                .into()
        }
        Fit::Exceeds { used, resets_at } => {
            let reason = if limit.denied { "too many attempts" } else { "too many signatures" };
            fail(reason, Some(counted(limit, used)), resets_at)
        }
        Fit::Overflows => fail("what was signed before cannot be added up", None, None),
    })
}

fn counted(limit: &Velocity, count: U256) -> String {
    let plural = if count == U256::ONE { "" } else { "s" };
    let denied = if limit.denied { format!(" or denied attempt{plural}") } else { String::new() };
    format!("{count} signature{plural}{denied}")
}
