//! The most of an asset over time. What is counted is what was allowed to be signed, whatever became of it.

use std::collections::BTreeMap;

use quorate_intent::AssetId;
use quorate_types::U256;

use super::tally::{Fit, Tally, Whose};
use super::{Failure, Question, Weighed, codes, fee, payee};
use crate::{Counted, Counter, Cumulative, History, words};

pub(crate) fn check<H: History + ?Sized>(question: &Question<'_>, history: &H) -> Result<Weighed, H::Error> {
    let limits = question.policy.cumulative();
    let untold = || {
        let failure = Failure {
            reason: "what it moves cannot be told, so no limit can hold".to_owned(),
            limit: format!("{} limits", limits.len()),
            requested: "an amount that cannot be told".to_owned(),
            ..Failure::default()
        };
        failure.of(codes::CUMULATIVE)
    };
    let Some(charges) = charges(question) else {
        return Ok(Weighed::from(if limits.is_empty() { Vec::new() } else { untold() }));
    };
    let mut weighed = Weighed::default();
    for limit in limits {
        let fee = fee(question.facts.intent).filter(|fee| limit.fees && fee.asset == limit.asset);
        let moved = charges.get(&limit.asset).copied();
        if moved.is_none() && fee.is_none() {
            continue;
        }
        let fee = fee.map_or(U256::ZERO, |fee| fee.amount);
        match moved.unwrap_or_default().checked_add(fee) {
            Some(requested) => weighed.add(check_limit(question, history, (limit, requested))?),
            None => weighed.add(untold().into()),
        }
    }
    Ok(weighed)
}

/// The sum per asset; `None` where it cannot be told.
fn charges(question: &Question<'_>) -> Option<BTreeMap<AssetId, U256>> {
    let mut sums: BTreeMap<AssetId, U256> = BTreeMap::new();
    for charge in question.facts.intent.charges().ok()? {
        let sum = sums.entry(charge.asset).or_default();
        *sum = sum.checked_add(charge.amount)?;
    }
    Some(sums)
}

fn check_limit<H: History + ?Sized>(
    question: &Question<'_>,
    history: &H,
    (limit, requested): (&Cumulative, U256),
) -> Result<Weighed, H::Error> {
    let (asset, max) = (limit.asset, limit.max);
    let fail = |reason: &str, used, resets_at_ms| -> Weighed {
        let requested = format!("{} on {}", words::quantity(asset, requested), words::chain(asset.chain));
        let (amount, fees) = (words::quantity(asset, max), if limit.fees { " fees included" } else { "" });
        let limit = format!("{amount}{fees} {}{}", limit.window, limit.per.in_words());
        let failure = Failure { reason: reason.to_owned(), limit, used, requested, resets_at_ms };
        failure.of(codes::CUMULATIVE).into()
    };
    let Some(whose) = Whose::of(limit.per, payee(question.facts.intent)) else {
        return Ok(fail("it names nobody in whose name it would count", None, None));
    };
    let Some(frame) = limit.window.frame(question.facts.now) else {
        return Ok(fail("the window cannot be told at this time", None, None));
    };
    let mut counted = vec![Counted::Asset(asset)];
    counted.extend(limit.fees.then_some(Counted::Fee(asset.chain)));
    let tally = Tally { counted, whose, requested, max };
    Ok(match tally.weigh(question, history, frame)? {
        Fit::Fits { used } => {
            let fees = if limit.fees { " with fees" } else { "" };
            let (counts, window) = (format!("{asset}{fees}"), limit.window.to_string());
            let after = used.saturating_add(requested);
            let agent = (whose == Whose::Agent).then(|| question.facts.agent.clone());
            let rule = codes::CUMULATIVE;
            Counter { rule, counts, recipient: whose.payee(), agent, window, limit: max, before: used, after }
                .into()
        }
        Fit::Exceeds { used, resets_at } => {
            fail("more than may move over time", Some(words::quantity(asset, used)), resets_at)
        }
        Fit::Overflows => fail("what has moved before cannot be added up", None, None),
    })
}
