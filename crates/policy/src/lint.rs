//! What an author should know before asking anyone to sign.

use std::collections::BTreeSet;

use quorate_intent::{AssetId, ChainId, NATIVE_DECIMALS, token};
use quorate_types::U256;

use crate::draft::PolicyDraft;
use crate::finding::Findings;
use crate::{Finding, Policy, names, read, words};

/// A week, in seconds: longer than any payment protocol waits.
const LONG_LIFETIME_S: u64 = 7 * 24 * 3600;

/// Every error and warning about a policy text, errors first. Without an error the text is accepted everywhere once
/// it is signed.
pub fn lint(body: &[u8]) -> Vec<Finding> {
    let mut findings = Findings::default();
    if let Some(draft) = read::draft(body, &mut findings) {
        if let Some(policy) = read::policy(&draft, &mut findings) {
            if policy.raw_digest.is_some() {
                raw_digest(&policy, &mut findings);
            } else {
                whole(&policy, &mut findings);
                lifetime(&policy, &mut findings);
                reach(&policy, &mut findings);
            }
            limits(&policy, &mut findings);
        }
        addresses(&draft, &mut findings);
    }
    findings.into_sorted()
}

fn raw_digest(policy: &Policy, findings: &mut Findings) {
    let path = "rules.raw_digest";
    findings.warn(
        path,
        "32 bytes can be a payment's digest, whatever they are called: keep no money under this wallet's key",
    );
    if policy.velocity.is_empty() {
        findings.warn("rules.velocity", "no line: nothing says how many raw digests may be signed");
    }
}

fn whole(policy: &Policy, findings: &mut Findings) {
    let empty = [
        ("rules.chains", policy.chains.is_empty()),
        ("rules.per_transaction", policy.per_transaction.is_empty()),
        ("rules.recipients", policy.recipients.is_empty()),
    ];
    for (path, _) in empty.into_iter().filter(|(_, empty)| *empty) {
        findings.warn(path, "empty: every request will be denied");
    }
}

fn lifetime(policy: &Policy, findings: &mut Findings) {
    let path = "rules.max_authorization_lifetime_s";
    match policy.max_authorization_lifetime_s {
        None => {
            findings.warn(path, "absent: EIP-3009 authorizations (x402 payments) and permits will be denied")
        }
        Some(0) => {
            findings.warn(path, "0: EIP-3009 authorizations (x402 payments) and permits will be denied")
        }
        Some(limit) if limit > LONG_LIFETIME_S => {
            findings.warn(path, "longer than a week: a signed authorization stays usable all that time");
        }
        Some(_) => {}
    }
}

/// Lines that allow nothing because another line is missing.
fn reach(policy: &Policy, findings: &mut Findings) {
    let capped: BTreeSet<ChainId> = policy.per_transaction.keys().map(|asset| asset.chain).collect();
    for id in &policy.chains {
        let chain = words::chain(*id);
        if !capped.contains(id) {
            findings.warn("rules.per_transaction", format!("no line for {chain}: nothing can move there"));
        }
        if !policy.max_fee.contains_key(id) {
            let message =
                format!("no line for {chain}: transactions there will be denied, authorizations not");
            findings.warn("rules.max_fee", message);
        }
    }
    let whole_coin = U256::from(10).pow(U256::from(NATIVE_DECIMALS));
    for (id, line) in &policy.max_fee {
        unreached(policy, "rules.max_fee", *id, findings);
        if line.max >= whole_coin {
            let message =
                format!("{}: one whole coin or more may be burnt as fee, each time", words::chain(*id));
            findings.warn("rules.max_fee", message);
        }
    }
    for id in capped {
        unreached(policy, "rules.per_transaction", id, findings);
    }
    for (asset, _) in policy.per_transaction.iter().filter(|(_, max)| max.is_zero()) {
        let message = format!("{} on {}", words::quantity(*asset, U256::ZERO), words::chain(asset.chain));
        findings.warn("rules.per_transaction", format!("{message}: only transfers of nothing are allowed"));
    }
    for (address, recipient) in &policy.recipients {
        let Some(chains) = &recipient.chains else { continue };
        if chains.is_disjoint(&policy.chains) {
            let message = format!("{address} is on no chain this policy allows: it will never be paid");
            findings.warn("rules.recipients", message);
        }
    }
}

fn unreached(policy: &Policy, path: &str, chain: ChainId, findings: &mut Findings) {
    if !policy.chains.contains(&chain) {
        let message = format!("{} is not among rules.chains: its line has no effect", words::chain(chain));
        findings.warn(path, message);
    }
}

/// Limits that hold nothing back, or everything.
fn limits(policy: &Policy, findings: &mut Findings) {
    let path = "rules.cumulative";
    let named = |asset: AssetId| format!("{} on {}", names::symbol(asset), words::chain(asset.chain));
    for (asset, max) in &policy.per_transaction {
        let limits = || policy.cumulative.iter().filter(|limit| limit.asset == *asset);
        if limits().next().is_none() && policy.chains.contains(&asset.chain) {
            let message = format!("no line for {}: without a limit over time it may be moved", named(*asset));
            findings.warn(path, format!("{message} again and again"));
        }
        if limits().any(|limit| limit.max < *max) {
            let message = format!("{}: less over time than one signature may move", named(*asset));
            findings.warn(path, message);
        }
    }
    for limit in &policy.cumulative {
        if !policy.per_transaction.contains_key(&limit.asset) {
            let message =
                format!("{} has no per_transaction line: this one has no effect", named(limit.asset));
            findings.warn(path, message);
        }
    }
    for (asset, spender) in policy.allowances.keys() {
        if !policy.per_transaction.contains_key(asset) {
            let message =
                format!("{} has no per_transaction line: nothing is allowed to {spender}", named(*asset));
            findings.warn("rules.allowances", message);
        }
    }
    if policy.velocity.iter().any(|limit| limit.max == 0) {
        findings.warn("rules.velocity", "0 signatures: every request will be denied");
    }
    if policy.active_hours.as_ref().is_some_and(|hours| hours.spans.is_empty()) {
        findings.warn("rules.active_hours.spans", "empty: every request will be denied");
    }
    for (address, entry) in &policy.blocked {
        let Some(recipient) = policy.recipients.get(address) else { continue };
        let apart = match (&entry.chains, &recipient.chains) {
            (Some(blocked), Some(paid)) => blocked.is_disjoint(paid),
            _ => false,
        };
        if !apart {
            findings.warn(
                "rules.blocked",
                format!("{address} is among the recipients too: where both hold, it is not paid"),
            );
        }
    }
}

fn addresses(draft: &PolicyDraft, findings: &mut Findings) {
    let rules = &draft.rules;
    let recipients = rules.recipients.iter().enumerate().map(|entry| ("recipients", entry));
    let blocked = rules.blocked.iter().enumerate().map(|entry| ("blocked", entry));
    for (field, (at, recipient)) in recipients.chain(blocked) {
        let path = format!("rules.{field}[{at}].address");
        let Some(digits) = recipient.address.strip_prefix("0x") else { continue };
        let Ok(address) = recipient.address.parse::<quorate_types::Address>() else { continue };
        // Digits only need no checksum, and have none to check.
        if digits.bytes().any(|b| b.is_ascii_alphabetic()) && !read::is_checksummed(digits) {
            findings.warn(&path, format!("without its checksum a typing error goes unseen: {address}"));
        }
        if field == "recipients"
            && quorate_intent::TOKENS.iter().any(|known| token(known.chain, address).is_some())
        {
            findings.warn(&path, "is a token's contract: what is sent to it is lost");
        }
    }
}
