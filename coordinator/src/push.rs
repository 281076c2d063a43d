//! Documents to nodes: sent, and their word awaited. A node that is away gets them when it attaches.

use std::time::Duration;

use futures::future::join_all;
use quorate_freeze::SignedFreeze;
use quorate_proto::v1;
use quorate_proto::v1::relay_frame::Frame;
use quorate_types::{B256, NodeId};

use crate::error::OpError;
use crate::link::{Link, Reply, Subject, Version};
use crate::records::{Born, ManifestRecord, PolicyRecord, WalletRecord};
use crate::wire::{attestation_to_pb, document_to_pb};

/// Something for nodes to put in force.
#[derive(Clone)]
pub(crate) struct Push {
    pub(crate) subject: Subject,
    pub(crate) version: Version,
    frame: Frame,
}

impl Push {
    pub(crate) fn manifest(record: &ManifestRecord) -> Self {
        Self {
            subject: Subject::Manifest,
            version: Version { number: record.version, hash: record.hash },
            frame: Frame::Manifest(document_to_pb(&record.document)),
        }
    }

    pub(crate) fn policy(record: &PolicyRecord) -> Self {
        Self {
            subject: Subject::Policy(record.wallet.clone()),
            version: Version { number: record.version, hash: record.hash },
            frame: Frame::Policy(document_to_pb(&record.document)),
        }
    }

    /// A policy that has to wait, or has waited.
    pub(crate) fn next_policy(record: &PolicyRecord) -> Self {
        Self { subject: Subject::NextPolicy(record.wallet.clone()), ..Self::policy(record) }
    }

    /// An order. Lifting counts more than freezing at the same sequence, so that is a later version.
    pub(crate) fn freeze(order: &SignedFreeze) -> Self {
        let number = u64::try_from(order.rank()).unwrap_or(u64::MAX);
        Self {
            subject: Subject::Freeze(order.scope().clone()),
            version: Version { number, hash: order.hash() },
            frame: Frame::Freeze(document_to_pb(order.document())),
        }
    }

    /// A wallet's attestations. There is one version for each epoch.
    pub(crate) fn activation(record: &WalletRecord, born: &Born) -> Self {
        let activation = v1::Activation {
            wallet: record.wallet.to_string(),
            attestations: born.attestations.iter().map(attestation_to_pb).collect(),
        };
        Self {
            subject: Subject::Activation(record.wallet.clone()),
            version: Version { number: born.epoch.into(), hash: B256::ZERO },
            frame: Frame::Activation(activation),
        }
    }

    /// Sends it on one stream. A stream that has ended needs nothing.
    pub(crate) async fn send(&self, link: &Link) {
        let _gone = link.push(self.subject.clone(), self.version, self.frame.clone()).await;
    }

    /// Sends it to all of `links` and waits, at most so long, for each one's word. Returns who has it in force.
    ///
    /// # Errors
    /// A conflict naming the first node that refuses it, and its reason.
    pub(crate) async fn deliver(&self, links: &[Link], at_most: Duration) -> Result<Vec<NodeId>, OpError> {
        let mut in_force = Vec::new();
        for (node, reply) in self.replies(links, at_most).await {
            match reply {
                Reply::InForce => in_force.push(node),
                Reply::Waits(until) => {
                    tracing::info!(%node, subject = ?self.subject, until, "noted, and waits")
                }
                Reply::Silent => tracing::warn!(%node, subject = ?self.subject, "no word on a document yet"),
                Reply::Refused(reason) => {
                    let reason = format!("node {node} refuses it: {reason}");
                    return Err(OpError::Conflict { field: self.field(), reason, nodes: vec![node] });
                }
            }
        }
        Ok(in_force)
    }

    /// Sends it to all of `links` and waits, at most so long, for each one's word.
    pub(crate) async fn replies(&self, links: &[Link], at_most: Duration) -> Vec<(NodeId, Reply)> {
        let one = |link: &Link| {
            let link = link.clone();
            async move {
                self.send(&link).await;
                (link.node().clone(), link.reply(&self.subject, self.version.hash, at_most).await)
            }
        };
        let all = join_all(links.iter().map(one));
        tokio::time::timeout(at_most.saturating_mul(2), all).await.unwrap_or_default()
    }

    fn field(&self) -> &'static str {
        match self.subject {
            Subject::Manifest => "manifest",
            Subject::Policy(_) | Subject::NextPolicy(_) => "policy",
            Subject::Activation(_) => "wallet",
            Subject::Freeze(_) => "order",
        }
    }
}
