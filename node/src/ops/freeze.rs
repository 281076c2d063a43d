//! A freeze order, from operators or approvers by way of the coordinator. It can be held back; it cannot be undone.

use quorate_freeze::Order;
use quorate_manifest::{Namespace, SignedDocument};
use quorate_proto::v1;

use super::policy::refusal;
use crate::node::Node;

/// Obeys an order where enough people signed it and none that counts more has been seen. Waits for the disk.
pub(crate) fn run(node: &Node, document: v1::SignedDocument) -> v1::DocumentAck {
    let document = SignedDocument { body: document.body, signatures: document.signatures };
    let hash = document.hash(Namespace::Freeze).to_vec();
    let ack = v1::DocumentAck { kind: "freeze".to_owned(), hash, ..Default::default() };
    match node.documents.put_freeze(&document) {
        Ok(order) => v1::DocumentAck { scope: order.scope().to_string(), version: order.sequence(), ..ack },
        Err(error) => {
            tracing::warn!(%error, "freeze order refused");
            metrics::counter!("quorate_node_freezes_refused").increment(1);
            let scope = Order::parse(&document.body).map(|order| order.scope.to_string());
            v1::DocumentAck { scope: scope.unwrap_or_default(), refused: refusal(&error), ..ack }
        }
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
    fn an_order_outlives_a_restart_and_is_not_undone_by_an_older_one() {
        let cluster = Cluster::new();
        let store = memory();
        let node = cluster.node(Role::Service, &store);
        let (first, lift) = (cluster.freeze(1, "freeze"), cluster.freeze(2, "unfreeze"));
        let again = cluster.freeze(3, "freeze");
        for (order, sequence) in [(&first, 1), (&lift, 2), (&again, 3), (&again, 3)] {
            let ack = run(&node, pb(order));
            assert_eq!((ack.refused.as_str(), ack.scope.as_str(), ack.version), ("", "wallet/w", sequence));
            assert_eq!(ack.hash, order.hash(Namespace::Freeze).to_vec());
        }
        drop(node);
        let node = cluster.node(Role::Service, &store);
        for stale in [&first, &lift] {
            let ack = run(&node, pb(stale));
            assert!(ack.refused.contains("too late"), "{}", ack.refused);
            assert_eq!(ack.scope, "wallet/w", "names what it is about");
        }
        assert!(node.documents.frozen().orders().all(|order| order.is_freeze() && order.sequence() == 3));
        let kinds: Vec<_> = quorate_audit::entries(&*node.store, 1, 100).unwrap();
        assert_eq!(kinds.iter().filter(|entry| entry.kind == "freeze.enforced").count(), 3);
    }

    #[test]
    fn nothing_but_people_s_signatures_freezes_or_lifts() {
        let cluster = Cluster::new();
        let node = cluster.node(Role::Agent, &memory());
        let mut unsigned = cluster.freeze(1, "freeze");
        unsigned.signatures.clear();
        let mut forged = cluster.freeze(1, "freeze");
        forged.body = cluster.freeze(2, "unfreeze").body;
        for bad in [unsigned, forged, SignedDocument { body: b"x".to_vec(), signatures: vec![] }] {
            assert!(!run(&node, pb(&bad)).refused.is_empty());
        }
        assert_eq!(node.documents.frozen().orders().count(), 0);
        let cold = cluster.node(Role::Cold, &memory());
        assert!(run(&cold, pb(&cluster.freeze(1, "freeze"))).refused.contains("cold"));
    }
}
