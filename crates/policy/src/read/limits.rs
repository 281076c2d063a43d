//! Limits over time.

use quorate_intent::Asset;

use super::{assets, few, time};
use crate::draft::{CumulativeDraft, VelocityDraft};
use crate::finding::Findings;
use crate::{Cumulative, MAX_DENIED, Per, Velocity};

/// Each line is a scan of the ledger under its lock, so there are not many.
const MAX_LIMITS: usize = 64;

/// The most of assets over time. One asset may have several lines, over different times.
pub(super) fn cumulative(drafts: &[CumulativeDraft], findings: &mut Findings) -> Vec<Cumulative> {
    let mut limits: Vec<Cumulative> = Vec::new();
    if !few("rules.cumulative", drafts.len(), MAX_LIMITS, findings) {
        return limits;
    }
    for (at, draft) in drafts.iter().enumerate() {
        let path = format!("rules.cumulative[{at}]");
        let line = (draft.asset.as_str(), draft.chain.as_str(), draft.max.as_str());
        let quantity = assets::quantity(&path, line, findings);
        let window = time::window(&format!("{path}.window"), &draft.window, findings);
        let (Some((asset, max)), Some(window)) = (quantity, window) else { continue };
        if draft.fees && asset.asset != Asset::Native {
            findings.error(format!("{path}.fees"), "fees are paid in the chain's own coin only");
        }
        let limit = Cumulative { asset, max, fees: draft.fees, window, per: draft.per };
        let same = |other: &Cumulative| {
            (other.asset, other.fees, &other.window, other.per)
                == (limit.asset, limit.fees, &limit.window, limit.per)
        };
        if limits.iter().any(same) {
            findings.error(
                path,
                format!("{} on {} has a line for this window already", draft.asset, draft.chain),
            );
        } else {
            limits.push(limit);
        }
    }
    limits
}

/// The most signatures over time.
pub(super) fn velocity(drafts: &[VelocityDraft], findings: &mut Findings) -> Vec<Velocity> {
    let mut limits: Vec<Velocity> = Vec::new();
    if !few("rules.velocity", drafts.len(), MAX_LIMITS, findings) {
        return limits;
    }
    for (at, draft) in drafts.iter().enumerate() {
        let path = format!("rules.velocity[{at}]");
        let Some(window) = time::window(&format!("{path}.window"), &draft.window, findings) else { continue };
        let VelocityDraft { max, per, denied, .. } = *draft;
        if denied && per == Per::Recipient {
            let reason = "denied attempts are counted for the wallet or its agent only";
            findings.error(format!("{path}.denied"), reason);
        }
        if denied && max > MAX_DENIED {
            findings.error(format!("{path}.max"), format!("with denied attempts at most {MAX_DENIED}"));
        }
        let limit = Velocity { max, window, per, denied };
        let same = |other: &Velocity| {
            (&other.window, other.per, other.denied) == (&limit.window, limit.per, limit.denied)
        };
        if limits.iter().any(same) {
            findings.error(path, "there is a line for this window already");
        } else {
            limits.push(limit);
        }
    }
    limits
}
