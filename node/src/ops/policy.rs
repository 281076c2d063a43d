//! A wallet's policy, from the operators by way of the coordinator.

use quorate_manifest::{Namespace, SignedDocument};
use quorate_policy::Policy;
use quorate_proto::v1;
use quorate_types::WalletId;

use crate::documents::{Created, DocumentsError, Put};
use crate::node::Node;
use crate::vault::VaultError;

/// Why a policy was not taken.
#[derive(Debug, thiserror::Error)]
enum PutError {
    /// The document.
    #[error("{0}")]
    Documents(#[from] DocumentsError),
    /// What the wallet was created with cannot be read.
    #[error("{0}")]
    Vault(#[from] VaultError),
}

/// Puts a policy in force where its operators signed it and it is later than what this node has seen, or notes it where
/// it has to wait. Waits for the disk.
pub(crate) fn run(node: &Node, document: v1::SignedDocument) -> v1::DocumentAck {
    let kind = "policy".to_owned();
    let document = SignedDocument { body: document.body, signatures: document.signatures };
    let put = node.documents.put_policy(&document, |wallet| created(node, wallet));
    let (policy, waits_until_ms) = match put {
        Ok(Put::InForce(policy)) => (policy, 0),
        Ok(Put::Waits { policy, until }) => (policy, until),
        Err(error) => {
            tracing::warn!(%error, "policy refused");
            // Wallet and hash name the document sent, so that the coordinator knows which one this is about.
            let wallet = Policy::parse(&document.body).map(|policy| policy.wallet().to_string());
            return v1::DocumentAck {
                kind,
                wallet: wallet.unwrap_or_default(),
                version: 0,
                hash: document.hash(Namespace::Policy).to_vec(),
                refused: match error {
                    PutError::Documents(error) => refusal(&error),
                    PutError::Vault(_) => INTERNAL.to_owned(),
                },
                ..Default::default()
            };
        }
    };
    v1::DocumentAck {
        kind,
        wallet: policy.wallet().to_string(),
        version: policy.version(),
        hash: policy.hash().to_vec(),
        waits_until_ms,
        ..Default::default()
    }
}

/// What the wallet was created with, as its nodes attested. Of a wallet that is not active here nothing is known yet, and
/// nothing is signed.
fn created(node: &Node, wallet: &WalletId) -> Result<Option<Created>, PutError> {
    let record = node.vault.wallet(wallet)?;
    Ok(record.map(|record| Created { terms: record.terms, agent: record.agent }))
}

const INTERNAL: &str = "internal error; see this node's log";

/// What the coordinator is told: the disk's troubles are for this node's own log.
pub(super) fn refusal(error: &DocumentsError) -> String {
    match error {
        DocumentsError::Store(_) | DocumentsError::Audit(_) | DocumentsError::Malformed(_) => {
            INTERNAL.to_owned()
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Cluster, memory, shares};
    use quorate_session::{KeyStatement, WalletTerms};
    use quorate_store::update;
    use quorate_types::Role;

    fn pb(document: &SignedDocument) -> v1::SignedDocument {
        v1::SignedDocument { body: document.body.clone(), signatures: document.signatures.clone() }
    }

    #[test]
    fn acks_say_what_is_in_force_or_why_not() {
        let cluster = Cluster::new();
        let node = cluster.node(Role::Service, &memory());
        let second = cluster.policy("w", 2, "1.00");
        let ack = run(&node, pb(&second));
        assert_eq!((ack.refused.as_str(), ack.wallet.as_str(), ack.version), ("", "w", 2));
        assert_eq!(ack.hash, second.hash(Namespace::Policy).to_vec());

        let first = cluster.policy("w", 1, "1.00");
        let ack = run(&node, pb(&first));
        assert!(ack.refused.contains("older than 2"), "{}", ack.refused);
        assert_eq!(ack.hash, first.hash(Namespace::Policy).to_vec(), "names the one refused");
        assert_eq!(ack.wallet, "w");

        let mut unsigned = cluster.policy("w", 3, "1.00");
        unsigned.signatures.clear();
        assert!(!run(&node, pb(&unsigned)).refused.is_empty());
    }

    /// By its own record of what the wallet was created with, whatever was let pass elsewhere.
    #[test]
    fn a_policy_for_another_sort_of_wallet_is_refused() {
        let cluster = Cluster::new();
        for role in [Role::Agent, Role::Service] {
            let node = cluster.node(role, &memory());
            for (wallet, raw_digest) in [("w", false), ("r", true)] {
                let share = shares().into_iter().nth(usize::from(role.index())).unwrap();
                let terms = WalletTerms { raw_digest, ..WalletTerms::default() };
                let statement = KeyStatement { terms, ..cluster.statement(wallet, &share) };
                let record = cluster.record(role, &statement);
                let kept = update(&*node.store, |txn| {
                    node.vault.keep_share(txn, &record, &share)?;
                    node.vault.activate(txn, &record.wallet, record.public_key)
                });
                assert!(kept.is_ok());
                let (right, wrong) = (cluster.policy(wallet, 1, "1.00"), cluster.raw_policy(wallet, 1));
                let (right, wrong) = if raw_digest { (wrong, right) } else { (right, wrong) };
                let ack = run(&node, pb(&wrong));
                assert!(ack.refused.starts_with("rules.raw_digest: "), "{}", ack.refused);
                assert_eq!(run(&node, pb(&right)).refused, "", "the version is not used up");
            }
        }
    }

    #[test]
    fn a_manifest_is_acked_the_same_way() {
        let cluster = Cluster::new();
        let node = cluster.node(Role::Service, &memory());
        let second = cluster.manifest(2, |_| {});
        let ack = crate::ops::manifest::run(&node, pb(&second));
        assert_eq!((ack.kind.as_str(), ack.version, ack.refused.as_str()), ("manifest", 2, ""));
        let first = cluster.manifest(1, |_| {});
        let ack = crate::ops::manifest::run(&node, pb(&first));
        assert!(ack.refused.contains("older"), "{}", ack.refused);
        assert_eq!(ack.hash, first.hash(Namespace::Manifest).to_vec());
    }
}
