//! Between messages and what they stand for. Nothing is decided here.

use quorate_audit::Receipt;
use quorate_manifest::SignedDocument;
use quorate_policy::{Approval, Denial, Full};
use quorate_proto::{FieldError, required, v1};
use quorate_session::SignedStatement;
use quorate_types::NodeId;
use serde_json::{Value, json};
use v1::sign_response::Outcome;

use crate::link::quoted;
use crate::records::{PolicyRecord, WalletRecord};

/// Rule failures written down of a denial.
const MAX_FAILURES: usize = 64;
/// Rule failures passed on from a node's denial: its words are the node's own, and with so many of them an entry of the
/// log stays below its largest size, whatever they are.
const MAX_NODE_FAILURES: usize = 12;

pub(crate) fn signed(signed: v1::Signed, receipt: v1::Receipt) -> v1::SignResponse {
    v1::SignResponse {
        outcome: Some(Outcome::Signed(signed)),
        receipt: Some(receipt),
        repeated_answer: false,
    }
}

pub(crate) fn denied(denial: v1::Denial, receipt: &Receipt) -> v1::SignResponse {
    let receipt = Some(v1::Receipt { sequence: receipt.sequence, hash: receipt.hash.to_vec() });
    v1::SignResponse { outcome: Some(Outcome::Denied(denial)), receipt, repeated_answer: false }
}

pub(crate) fn waiting(waiting: v1::Waiting, receipt: &Receipt) -> v1::SignResponse {
    let receipt = Some(v1::Receipt { sequence: receipt.sequence, hash: receipt.hash.to_vec() });
    v1::SignResponse { outcome: Some(Outcome::Waiting(waiting)), receipt, repeated_answer: false }
}

/// What would be signed, and told as its tier says.
pub(crate) fn allowed(approval: &Approval<Full>) -> v1::Allowed {
    v1::Allowed {
        policy_hash: approval.policy_hash().to_vec(),
        policy_version: approval.policy_version(),
        tier: approval.tier().as_str().to_owned(),
    }
}

/// A node's denial that only a hold stands behind, as what it is: not yet.
pub(crate) fn wait_instead(answer: v1::SignResponse, until_ms: u64) -> v1::SignResponse {
    let Some(Outcome::Denied(v1::Denial { policy_hash, failures, .. })) = answer.outcome else {
        return answer;
    };
    let tier = "delay".to_owned();
    let waiting = v1::Waiting { tier, until_ms, failures, policy_hash, approval: Vec::new() };
    v1::SignResponse { outcome: Some(Outcome::Waiting(waiting)), ..answer }
}

/// The coordinator's own denial.
pub(crate) fn denial_to_pb(denial: &Denial) -> v1::Denial {
    let failures = denial.failures.iter().map(|failure| v1::RuleFailure {
        rule: failure.rule.clone(),
        reason: failure.reason.clone(),
        limit: failure.limit.clone(),
        requested: failure.requested.clone(),
        used: failure.used.clone().unwrap_or_default(),
        resets_at_ms: failure.resets_at_ms,
    });
    v1::Denial {
        policy_hash: denial.policy_hash.map(|hash| hash.to_vec()).unwrap_or_default(),
        failures: failures.collect(),
        decided_by: "coordinator".to_owned(),
    }
}

/// A node's denial under the node's own name, its words bounded.
pub(crate) fn denial_of(node: &NodeId, denial: v1::Denial) -> v1::Denial {
    let failures = denial.failures.into_iter().take(MAX_NODE_FAILURES).map(|failure| v1::RuleFailure {
        rule: quoted(&failure.rule),
        reason: quoted(&failure.reason),
        limit: quoted(&failure.limit),
        requested: quoted(&failure.requested),
        used: quoted(&failure.used),
        resets_at_ms: failure.resets_at_ms,
    });
    let policy_hash = denial.policy_hash.into_iter().take(32).collect();
    v1::Denial { policy_hash, failures: failures.collect(), decided_by: node.to_string() }
}

/// A denial for the audit log, where an entry has a largest size.
pub(crate) fn denial_json(denial: &v1::Denial) -> Value {
    let failures = denial.failures.iter().take(MAX_FAILURES).map(|failure| {
        json!({
            "rule": quoted(&failure.rule),
            "reason": quoted(&failure.reason),
            "limit": quoted(&failure.limit),
            "requested": quoted(&failure.requested),
            "used": quoted(&failure.used),
            "resets_at_ms": failure.resets_at_ms,
        })
    });
    json!({
        "policy_hash": hex::encode(&denial.policy_hash),
        "failures": failures.collect::<Vec<_>>(),
        "decided_by": denial.decided_by,
    })
}

pub(crate) fn attestation_json(attestation: Option<&v1::Attestation>) -> Value {
    attestation.map_or(Value::Null, |attestation| {
        json!({
            "node": attestation.node,
            "statement": hex::encode(&attestation.statement),
            "signature": hex::encode(&attestation.signature),
        })
    })
}

pub(crate) fn attestation_to_pb(signed: &SignedStatement) -> v1::Attestation {
    v1::Attestation {
        node: signed.node.to_string(),
        statement: signed.bytes.clone(),
        signature: signed.signature.clone(),
    }
}

pub(crate) fn attestation_from_pb(attestation: &v1::Attestation) -> Result<SignedStatement, FieldError> {
    Ok(SignedStatement {
        node: required("node", &attestation.node)?,
        bytes: attestation.statement.clone(),
        signature: attestation.signature.clone(),
    })
}

pub(crate) fn document_to_pb(document: &SignedDocument) -> v1::SignedDocument {
    v1::SignedDocument { body: document.body.clone(), signatures: document.signatures.clone() }
}

pub(crate) fn document_from_pb(
    field: &'static str,
    document: Option<v1::SignedDocument>,
) -> Result<SignedDocument, FieldError> {
    let document = document.ok_or_else(|| FieldError::missing(field))?;
    Ok(SignedDocument { body: document.body, signatures: document.signatures })
}

pub(crate) fn wallet_to_pb(record: &WalletRecord, policy: Option<&PolicyRecord>) -> v1::Wallet {
    let mut wallet = v1::Wallet {
        wallet: record.wallet.to_string(),
        agent: record.agent.to_string(),
        group: record.group.to_string(),
        agent_key: record.terms.agent_key.map(|key| key.as_bytes().to_vec()).unwrap_or_default(),
        loosening_delay_s: record.terms.loosening_delay_s,
        raw_digest: record.terms.raw_digest,
        state: v1::wallet::State::Creating.into(),
        created_at_ms: record.created_at,
        ..Default::default()
    };
    if let Some(policy) = policy {
        wallet.policy_version = policy.version;
        wallet.policy_hash = policy.hash.to_vec();
    }
    if let Some(born) = &record.born {
        wallet.state = v1::wallet::State::Active.into();
        wallet.public_key = born.public_key.to_sec1();
        wallet.address = born.public_key.address().to_checksum(None);
        wallet.epoch = born.epoch;
        wallet.attestations = born.attestations.iter().map(attestation_to_pb).collect();
    }
    wallet
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_audit::{Event, MAX_ENTRY_BYTES};

    #[test]
    fn whatever_a_node_says_in_a_denial_can_be_written_down() {
        for word in ["\u{10ffff}", "\"", "\\"] {
            let words = word.repeat(10_000);
            let failure = v1::RuleFailure {
                rule: words.clone(),
                reason: words.clone(),
                limit: words.clone(),
                requested: words.clone(),
                used: words,
                resets_at_ms: Some(u64::MAX),
            };
            let denial = v1::Denial {
                policy_hash: vec![9; 10_000],
                failures: vec![failure; 1_000],
                decided_by: String::new(),
            };
            let denial = denial_json(&denial_of(&"service-1".parse().unwrap(), denial));
            let store = quorate_store::MemStore::new();
            let event = Event::new("sign.denied").field("denial", denial);
            let written = quorate_store::update(&store, |txn| quorate_audit::append(txn, 0, &event));
            assert!(written.is_ok(), "{word}: over {MAX_ENTRY_BYTES} bytes");
        }
    }
}
