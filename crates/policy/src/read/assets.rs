//! Amounts of assets.

use std::collections::BTreeMap;

use quorate_intent::{AssetId, ChainId, NATIVE_DECIMALS, decimals};
use quorate_types::U256;

use super::{MAX_CHAINS, chain, few};
use crate::draft::{CapDraft, FeeDraft};
use crate::finding::Findings;
use crate::{Fee, amount, names};

const MAX_CAPS: usize = 256;

/// The most of each asset that one signature may move.
pub(super) fn caps(drafts: &[CapDraft], findings: &mut Findings) -> BTreeMap<AssetId, U256> {
    let mut caps = BTreeMap::new();
    if !few("rules.per_transaction", drafts.len(), MAX_CAPS, findings) {
        return caps;
    }
    for (at, draft) in drafts.iter().enumerate() {
        let path = format!("rules.per_transaction[{at}]");
        let line = (draft.asset.as_str(), draft.chain.as_str(), draft.max.as_str());
        if let Some((asset, max)) = quantity(&path, line, findings)
            && caps.insert(asset, max).is_some()
        {
            findings.error(path, format!("{} on {} has a line already", draft.asset, draft.chain));
        }
    }
    caps
}

/// An asset, its chain and an amount of it, as they are written.
pub(super) fn quantity(
    path: &str,
    line: (&str, &str, &str),
    findings: &mut Findings,
) -> Option<(AssetId, U256)> {
    amount_of(path, "max", line, findings)
}

/// The same, where the amount is the field `field`.
pub(super) fn amount_of(
    path: &str,
    field: &str,
    (asset, chain_name, max): (&str, &str, &str),
    findings: &mut Findings,
) -> Option<(AssetId, U256)> {
    let chain = chain(format!("{path}.chain"), chain_name, findings)?;
    let Some(id) = names::asset(chain, asset) else {
        let coin = names::coin(chain).unwrap_or("native");
        let known = names::asset(chain, "USDC").map_or("", |_| " or USDC");
        let message = format!("no asset is called {asset:?} on {chain_name}: expected {coin}{known}");
        findings.error(format!("{path}.asset"), message);
        return None;
    };
    let max = amount::parse(max, decimals(id).unwrap_or(0));
    max.map_err(|error| findings.error(format!("{path}.{field}"), error)).ok().map(|max| (id, max))
}

/// The most fee on each chain.
pub(super) fn fees(drafts: &[FeeDraft], findings: &mut Findings) -> BTreeMap<ChainId, Fee> {
    let mut fees = BTreeMap::new();
    if !few("rules.max_fee", drafts.len(), MAX_CHAINS, findings) {
        return fees;
    }
    for (at, draft) in drafts.iter().enumerate() {
        let path = |field: &str| format!("rules.max_fee[{at}]{field}");
        let Some(chain) = chain(path(".chain"), &draft.chain, findings) else { continue };
        let max = amount::parse(&draft.max, NATIVE_DECIMALS);
        let max = max.map_err(|error| findings.error(path(".max"), error)).ok();
        let per_gas = draft.max_per_gas_gwei.as_ref().map(|text| amount::parse(text, amount::GWEI_PLACES));
        let per_gas =
            per_gas.transpose().map_err(|error| findings.error(path(".max_per_gas_gwei"), error)).ok();
        let (Some(max), Some(max_per_gas)) = (max, per_gas) else { continue };
        if fees.insert(chain, Fee { max, max_per_gas, max_gas: draft.max_gas }).is_some() {
            findings.error(path(""), format!("{} has a line already", draft.chain));
        }
    }
    fees
}
