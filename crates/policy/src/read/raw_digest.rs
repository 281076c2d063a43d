//! How raw digests are signed, and what may stand beside that.

use super::tiers::check_delay;
use crate::draft::{MerchantsDraft, MessagesDraft, RawDigestDraft, RulesDraft, TierDraft};
use crate::finding::Findings;
use crate::{Per, Tier};

/// What each raw digest needs.
pub(super) fn raw_digest(rules: &RulesDraft, findings: &mut Findings) -> Option<Tier> {
    let RawDigestDraft { tier, delay_s } = rules.raw_digest.as_ref()?;
    stands_alone(rules, findings);
    check_delay("rules.raw_digest", (*tier == TierDraft::Delay, *delay_s), findings);
    if *tier == TierDraft::Approval && rules.approval.is_none() {
        findings.error("rules.approval", "missing: rules.raw_digest asks for it");
    }
    Some(match tier {
        TierDraft::Instant => Tier::Instant,
        TierDraft::Notify => Tier::Notify,
        TierDraft::Delay => Tier::Delay((*delay_s)?),
        TierDraft::Approval => Tier::Approval,
    })
}

/// A limit that raw digests pass by would be a promise that nobody keeps. So whatever is about money is refused beside
/// them, and what is about any signature may stay.
fn stands_alone(rules: &RulesDraft, findings: &mut Findings) {
    // No `..`: a new field does not compile until it is decided about.
    let RulesDraft {
        chains,
        per_transaction,
        max_fee,
        recipients,
        max_authorization_lifetime_s,
        allowances,
        calls,
        typed_data,
        messages: MessagesDraft { sign_in, texts },
        raw_digest: _,
        merchants: MerchantsDraft { domains, blocked_categories },
        conditions: _,
        blocked,
        cumulative,
        velocity,
        tiers,
        approval: _,
        active_hours: _,
        not_before: _,
        not_after: _,
    } = rules;
    let beside = [
        ("chains", !chains.is_empty()),
        ("per_transaction", !per_transaction.is_empty()),
        ("max_fee", !max_fee.is_empty()),
        ("recipients", !recipients.is_empty()),
        ("max_authorization_lifetime_s", max_authorization_lifetime_s.is_some()),
        ("allowances", !allowances.is_empty()),
        ("calls", !calls.is_empty()),
        ("typed_data", !typed_data.is_empty()),
        ("messages", !sign_in.is_empty() || !texts.is_empty()),
        ("merchants", !domains.is_empty() || !blocked_categories.is_empty()),
        ("blocked", !blocked.is_empty()),
        ("cumulative", !cumulative.is_empty()),
        ("tiers", !tiers.is_empty()),
    ];
    for (field, _) in beside.into_iter().filter(|(_, there)| *there) {
        let reason = "cannot stand beside raw_digest: nobody can say what 32 bytes move, where, or to whom";
        findings.error(format!("rules.{field}"), reason);
    }
    for (at, _) in velocity.iter().enumerate().filter(|(_, line)| line.per == Per::Recipient) {
        findings.error(format!("rules.velocity[{at}].per"), "a raw digest names no recipient");
    }
}
