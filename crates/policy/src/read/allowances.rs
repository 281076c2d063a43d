//! Allowances that may be given.

use std::collections::BTreeMap;

use quorate_intent::{Asset, AssetId};
use quorate_types::Address;

use super::{assets, few, people};
use crate::Allowance;
use crate::draft::AllowanceDraft;
use crate::finding::Findings;

const MAX_ALLOWANCES: usize = 256;

/// Some tokens take 2^96 - 1 and more for no limit at all.
const MOST_BITS: usize = 95;

/// The most each spender may be allowed of each token.
pub(super) fn allowances(
    drafts: &[AllowanceDraft],
    findings: &mut Findings,
) -> BTreeMap<(AssetId, Address), Allowance> {
    let mut allowances = BTreeMap::new();
    if !few("rules.allowances", drafts.len(), MAX_ALLOWANCES, findings) {
        return allowances;
    }
    for (at, draft) in drafts.iter().enumerate() {
        let path = format!("rules.allowances[{at}]");
        let line = (draft.asset.as_str(), draft.chain.as_str(), draft.max.as_str());
        let quantity = assets::quantity(&path, line, findings);
        if let Err(reason) = people::check_label(&draft.label) {
            findings.error(format!("{path}.label"), reason);
        }
        let spender = people::address(&draft.spender);
        let spender = spender.map_err(|reason| findings.error(format!("{path}.spender"), reason)).ok();
        let (Some((asset, max)), Some(spender)) = (quantity, spender) else { continue };
        if asset.asset == Asset::Native {
            findings.error(format!("{path}.asset"), "only tokens have allowances");
        }
        if max.bit_len() > MOST_BITS {
            findings.error(format!("{path}.max"), "so much is as good as unlimited");
        }
        let allowance = Allowance { label: draft.label.clone(), max };
        if allowances.insert((asset, spender), allowance).is_some() {
            findings.error(
                path,
                format!("{} on {} has a line for this spender already", draft.asset, draft.chain),
            );
        }
    }
    allowances
}
