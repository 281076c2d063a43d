//! A later manifest, from the operators by way of the coordinator.

use quorate_manifest::{Namespace, SignedDocument};
use quorate_proto::v1;

use super::policy::refusal;
use crate::node::Node;

/// Puts a manifest in force where the operators of the present one signed it and it is later. Waits for the disk.
pub(crate) fn run(node: &Node, document: v1::SignedDocument) -> v1::DocumentAck {
    let document = SignedDocument { body: document.body, signatures: document.signatures };
    let hash = document.hash(Namespace::Manifest).to_vec();
    let ack = v1::DocumentAck { kind: "manifest".to_owned(), hash, ..Default::default() };
    match node.documents.put_manifest(&document) {
        Ok(pinned) => v1::DocumentAck { version: pinned.manifest().version(), ..ack },
        Err(error) => {
            tracing::warn!(%error, "manifest refused");
            v1::DocumentAck { refused: refusal(&error), ..ack }
        }
    }
}
