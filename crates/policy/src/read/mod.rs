//! From text to a policy. Every problem becomes a finding, so that one pass serves both reading and linting.

mod allowances;
mod assets;
mod calls;
mod cedar;
mod conditions;
mod limits;
mod merchants;
mod messages;
mod people;
mod raw_digest;
mod tiers;
mod time;
mod typed_data;

use std::collections::BTreeSet;

use quorate_intent::{ChainId, chain_by_name};

use crate::draft::PolicyDraft;
use crate::finding::Findings;
use crate::{FORMAT, Policy};

pub(crate) use conditions::bytes;
pub(crate) use people::{address, is_checksummed};

const MAX_CHAINS: usize = 64;

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
    let per_transaction = assets::caps(&rules.per_transaction, findings);
    let max_fee = assets::fees(&rules.max_fee, findings);
    let recipients = people::read("rules.recipients", &rules.recipients, findings);
    let allowances = allowances::allowances(&rules.allowances, findings);
    let calls = calls::calls(&rules.calls, findings);
    let typed_data = typed_data::typed_data(&rules.typed_data, findings);
    let (sign_in, texts) = messages::messages(&rules.messages, findings);
    let raw_digest = raw_digest::raw_digest(rules, findings);
    let merchants = merchants::merchants(&rules.merchants, findings);
    let metadata = rules.conditions.as_ref().and_then(|draft| cedar::conditions(draft, findings));
    let blocked = people::read("rules.blocked", &rules.blocked, findings);
    let cumulative = limits::cumulative(&rules.cumulative, findings);
    let velocity = limits::velocity(&rules.velocity, findings);
    let active_hours = rules.active_hours.as_ref().map(|hours| time::hours(hours, findings));
    let tiers = tiers::tiers(&rules.tiers, rules.approval.is_some(), findings);
    let approval = rules.approval.as_ref().map(|draft| tiers::approvers(draft, findings));
    let (not_before, not_after) = time::bounds(rules, findings);
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
        allowances,
        calls,
        typed_data,
        sign_in,
        texts,
        raw_digest,
        merchants,
        conditions: metadata,
        blocked,
        cumulative,
        velocity,
        tiers,
        approval,
        active_hours: active_hours.flatten(),
        not_before,
        not_after,
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
