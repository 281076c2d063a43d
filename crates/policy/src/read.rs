//! From text to a policy. Every problem becomes a finding, so that one pass serves both reading and linting.

use std::collections::{BTreeMap, BTreeSet};

use quorate_intent::{AssetId, ChainId, NATIVE_DECIMALS, chain_by_name, decimals};
use quorate_types::{Address, U256};

use crate::draft::{CapDraft, FeeDraft, PolicyDraft, RecipientDraft};
use crate::finding::Findings;
use crate::{FORMAT, Policy, Recipient, amount, names};

const MAX_CHAINS: usize = 64;
const MAX_CAPS: usize = 256;
const MAX_RECIPIENTS: usize = 4096;
const MAX_LABEL: usize = 64;

/// The shape only.
pub(crate) fn draft(body: &[u8], findings: &mut Findings) -> Option<PolicyDraft> {
    if body.len() > quorate_manifest::MAX_BODY_BYTES {
        findings.error("", format!("at most {} bytes are accepted", quorate_manifest::MAX_BODY_BYTES));
        return None;
    }
    let Ok(text) = std::str::from_utf8(body) else {
        findings.error("", "not UTF-8");
        return None;
    };
    serde_norway::from_str(text).map_err(|error| findings.error("", error)).ok()
}

/// The meaning. What cannot be read is left out, with an error among the findings: then there is no policy.
pub(crate) fn policy(draft: &PolicyDraft, findings: &mut Findings) -> Option<Policy> {
    if draft.policy != FORMAT {
        findings.error("policy", format!("expected {FORMAT}"));
    }
    if draft.version == 0 {
        findings.error("version", "must be at least 1");
    }
    let rules = &draft.rules;
    let chains = chains("rules.chains", &rules.chains, findings);
    let per_transaction = caps(&rules.per_transaction, findings);
    let max_fee = fees(&rules.max_fee, findings);
    let recipients = recipients(&rules.recipients, findings);
    let wallet = draft.wallet.parse().map_err(|error| findings.error("wallet", error)).ok();
    let cluster = draft.cluster.parse().map_err(|error| findings.error("cluster", error)).ok();
    if findings.first_error().is_some() {
        return None;
    }
    Some(Policy {
        cluster: cluster?,
        wallet: wallet?,
        version: draft.version,
        chains,
        per_transaction,
        max_fee,
        recipients,
        max_authorization_lifetime_s: rules.max_authorization_lifetime_s,
    })
}

fn few(path: &str, count: usize, max: usize, findings: &mut Findings) -> bool {
    if count > max {
        findings.error(path, format!("at most {max} entries, got {count}"));
    }
    count <= max
}

fn chain(path: String, name: &str, findings: &mut Findings) -> Option<ChainId> {
    let id = chain_by_name(name);
    if id.is_none() {
        findings.error(path, format!("no chain is called {name:?}"));
    }
    id
}

fn chains(path: &str, names: &[String], findings: &mut Findings) -> BTreeSet<ChainId> {
    let mut chains = BTreeSet::new();
    if !few(path, names.len(), MAX_CHAINS, findings) {
        return chains;
    }
    for (at, name) in names.iter().enumerate() {
        if let Some(id) = chain(format!("{path}[{at}]"), name, findings)
            && !chains.insert(id)
        {
            findings.error(format!("{path}[{at}]"), "listed twice");
        }
    }
    chains
}

fn caps(drafts: &[CapDraft], findings: &mut Findings) -> BTreeMap<AssetId, U256> {
    let mut caps = BTreeMap::new();
    if !few("rules.per_transaction", drafts.len(), MAX_CAPS, findings) {
        return caps;
    }
    for (at, draft) in drafts.iter().enumerate() {
        let path = |field: &str| format!("rules.per_transaction[{at}]{field}");
        let Some(chain) = chain(path(".chain"), &draft.chain, findings) else { continue };
        let Some(asset) = names::asset(chain, &draft.asset) else {
            let coin = names::coin(chain).unwrap_or("native");
            let message = format!("no asset is called {:?} on {}: expected {coin}", draft.asset, draft.chain);
            let known = names::asset(chain, "USDC").map_or("", |_| " or USDC");
            findings.error(path(".asset"), format!("{message}{known}"));
            continue;
        };
        let max = amount::parse(&draft.max, decimals(asset).unwrap_or(0));
        match max {
            Err(error) => findings.error(path(".max"), error),
            Ok(max) => {
                if caps.insert(asset, max).is_some() {
                    findings
                        .error(path(""), format!("{} on {} has a line already", draft.asset, draft.chain));
                }
            }
        }
    }
    caps
}

fn fees(drafts: &[FeeDraft], findings: &mut Findings) -> BTreeMap<ChainId, U256> {
    let mut fees = BTreeMap::new();
    if !few("rules.max_fee", drafts.len(), MAX_CHAINS, findings) {
        return fees;
    }
    for (at, draft) in drafts.iter().enumerate() {
        let path = |field: &str| format!("rules.max_fee[{at}]{field}");
        let Some(chain) = chain(path(".chain"), &draft.chain, findings) else { continue };
        match amount::parse(&draft.max, NATIVE_DECIMALS) {
            Err(error) => findings.error(path(".max"), error),
            Ok(max) => {
                if fees.insert(chain, max).is_some() {
                    findings.error(path(""), format!("{} has a line already", draft.chain));
                }
            }
        }
    }
    fees
}

fn recipients(drafts: &[RecipientDraft], findings: &mut Findings) -> BTreeMap<Address, Recipient> {
    let mut recipients = BTreeMap::new();
    if !few("rules.recipients", drafts.len(), MAX_RECIPIENTS, findings) {
        return recipients;
    }
    for (at, draft) in drafts.iter().enumerate() {
        let path = |field: &str| format!("rules.recipients[{at}]{field}");
        if let Err(reason) = check_label(&draft.label) {
            findings.error(path(".label"), reason);
        }
        let only = draft.chains.as_ref().map(|names| chains(&path(".chains"), names, findings));
        let address = match address(&draft.address) {
            Ok(address) => address,
            Err(reason) => {
                findings.error(path(".address"), reason);
                continue;
            }
        };
        let recipient = Recipient { label: draft.label.clone(), chains: only };
        if recipients.insert(address, recipient).is_some() {
            findings.error(path(".address"), "listed twice");
        }
    }
    recipients
}

/// In capitals and small letters mixed, the checksum must be right: one wrong letter pays a stranger, for ever.
fn address(text: &str) -> Result<Address, &'static str> {
    let digits = text.strip_prefix("0x").unwrap_or_default();
    if digits.len() != 40 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err("expected 0x and 40 hex digits");
    }
    let address: Address = text.parse().map_err(|_| "expected 0x and 40 hex digits")?;
    if address.is_zero() {
        return Err("the zero address is nobody's");
    }
    if is_checksummed(digits) && address.to_string() != text {
        return Err("its EIP-55 checksum is wrong: a letter was changed");
    }
    Ok(address)
}

/// Whether the digits carry a checksum at all.
pub(crate) fn is_checksummed(digits: &str) -> bool {
    digits.bytes().any(|b| b.is_ascii_lowercase()) && digits.bytes().any(|b| b.is_ascii_uppercase())
}

/// A label is printed beside its address: it must not be able to hide or reorder what stands there.
fn check_label(label: &str) -> Result<(), &'static str> {
    let unseen = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let length = label.chars().count();
    if length == 0 || length > MAX_LABEL || label.trim().is_empty() {
        return Err("must be 1 to 64 characters");
    }
    if label.chars().any(unseen) {
        return Err("control and invisible characters are not allowed");
    }
    Ok(())
}
