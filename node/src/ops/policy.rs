//! A wallet's policy, from the operators by way of the coordinator.

use quorate_manifest::{Namespace, SignedDocument};
use quorate_policy::Policy;
use quorate_proto::v1;

use crate::documents::DocumentsError;
use crate::node::Node;

/// Puts a policy in force where its operators signed it and it is later than what this node has seen. Waits for the disk.
pub(crate) fn run(node: &Node, document: v1::SignedDocument) -> v1::DocumentAck {
    let kind = "policy".to_owned();
    let document = SignedDocument { body: document.body, signatures: document.signatures };
    match node.documents.put_policy(&document) {
        Ok(policy) => v1::DocumentAck {
            kind,
            wallet: policy.wallet().to_string(),
            version: policy.version(),
            hash: policy.hash().to_vec(),
            ..Default::default()
        },
        Err(error) => {
            tracing::warn!(%error, "policy refused");
            // Wallet and hash name the document sent, so that the coordinator knows which one this is about.
            let wallet = Policy::parse(&document.body).map(|policy| policy.wallet().to_string());
            v1::DocumentAck {
                kind,
                wallet: wallet.unwrap_or_default(),
                version: 0,
                hash: document.hash(Namespace::Policy).to_vec(),
                refused: refusal(&error),
                ..Default::default()
            }
        }
    }
}

/// What the coordinator is told: the disk's troubles are for this node's own log.
pub(super) fn refusal(error: &DocumentsError) -> String {
    match error {
        DocumentsError::Store(_) | DocumentsError::Audit(_) | DocumentsError::Malformed(_) => {
            "internal error; see this node's log".to_owned()
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Cluster, memory};
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
