//! Tiers, and who approves what is above them.

use std::collections::BTreeSet;

use quorate_manifest::MAX_SIGNATURES;

use super::{assets, few};
use crate::draft::{ApproversDraft, TiersDraft};
use crate::finding::Findings;
use crate::{Approvers, Tiers};

const MAX_LINES: usize = 256;
/// A week: longer than a hold, people are asked.
const MAX_DELAY_S: u64 = 7 * 24 * 3600;
const MIN_DELAY_S: u64 = 60;
/// Of `approval.timeout_s`, in seconds: a minute to 31 days, a day unless said otherwise.
const TIMEOUT_S: std::ops::RangeInclusive<u64> = 60..=31 * 24 * 3600;
const DEFAULT_TIMEOUT_S: u64 = 24 * 3600;
const MAX_NAME: usize = 64;

/// The tiers of each asset.
pub(super) fn tiers(drafts: &[TiersDraft], has_approvers: bool, findings: &mut Findings) -> Vec<Tiers> {
    let mut lines: Vec<Tiers> = Vec::new();
    if !few("rules.tiers", drafts.len(), MAX_LINES, findings) {
        return lines;
    }
    if !drafts.is_empty() && !has_approvers {
        findings.error("rules.approval", "missing: what is above the last of rules.tiers needs approval");
    }
    for (at, draft) in drafts.iter().enumerate() {
        let path = format!("rules.tiers[{at}]");
        let Some(line) = line(&path, draft, findings) else { continue };
        if lines.iter().any(|other| other.asset == line.asset) {
            findings.error(path, format!("{} on {} has a line already", draft.asset, draft.chain));
        } else {
            lines.push(line);
        }
    }
    lines
}

fn line(path: &str, draft: &TiersDraft, findings: &mut Findings) -> Option<Tiers> {
    let mut most = |field: &str, text: &Option<String>| {
        let text = text.as_deref().unwrap_or("0");
        assets::amount_of(path, field, (draft.asset.as_str(), draft.chain.as_str(), text), findings)
    };
    let (asset, instant) = most("instant", &draft.instant)?;
    let (_, notify) = most("notify", &draft.notify)?;
    let (_, delay) = most("delay", &draft.delay)?;
    let instant = draft.instant.is_some().then_some(instant);
    let notify = draft.notify.is_some().then_some(notify);
    let delay = draft.delay.is_some().then_some(delay);
    let named = [("instant", instant), ("notify", notify), ("delay", delay)];
    let named: Vec<_> = named.into_iter().filter_map(|(field, most)| Some((field, most?))).collect();
    for pair in named.windows(2) {
        if let [(lower, less), (upper, more)] = pair
            && more <= less
        {
            findings.error(format!("{path}.{upper}"), format!("must be more than {lower}"));
        }
    }
    check_delay(path, (delay.is_some(), draft.delay_s), findings);
    Some(Tiers { asset, instant, notify, delay: delay.zip(draft.delay_s) })
}

/// How long a hold is: there where something is held, and nowhere else.
pub(super) fn check_delay(path: &str, (held, delay_s): (bool, Option<u64>), findings: &mut Findings) {
    let path = format!("{path}.delay_s");
    match delay_s {
        None if held => findings.error(path, "missing: for how long is it held?"),
        Some(_) if !held => findings.error(path, "without delay it has no meaning"),
        Some(seconds) if !(MIN_DELAY_S..=MAX_DELAY_S).contains(&seconds) => {
            findings.error(path, format!("must be {MIN_DELAY_S} to {MAX_DELAY_S}"));
        }
        _ => {}
    }
}

/// Who approves.
pub(super) fn approvers(draft: &ApproversDraft, findings: &mut Findings) -> Approvers {
    let path = |field: &str| format!("rules.approval.{field}");
    let mut names = BTreeSet::new();
    for (at, name) in draft.approvers.iter().enumerate() {
        if name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
            findings.error(path(&format!("approvers[{at}]")), format!("must be 1 to {MAX_NAME} characters"));
        } else if !names.insert(name.clone()) {
            findings.error(path(&format!("approvers[{at}]")), "listed twice");
        }
    }
    let most = if draft.approvers.is_empty() { MAX_SIGNATURES } else { names.len().min(MAX_SIGNATURES) };
    let threshold = usize::try_from(draft.threshold).unwrap_or(usize::MAX);
    if threshold == 0 || threshold > most {
        findings.error(path("threshold"), format!("must be 1 to {most}, got {}", draft.threshold));
    }
    let timeout_s = draft.timeout_s.unwrap_or(DEFAULT_TIMEOUT_S);
    if !TIMEOUT_S.contains(&timeout_s) {
        let (least, most) = (TIMEOUT_S.start(), TIMEOUT_S.end());
        findings.error(path("timeout_s"), format!("must be {least} to {most}"));
    }
    Approvers { threshold, names, timeout_s }
}
