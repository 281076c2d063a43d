//! Who a cluster is.

use quorate_session::NodePublicKey;
use quorate_types::{ClusterId, GroupId, NodeId, Role};

use crate::{Group, ManifestDraft, ManifestError, Person};

/// The first field of every manifest of this version.
pub const FORMAT: &str = "quorate/v1";

/// A signer node, as the operators vouch for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeEntry {
    /// Its name.
    pub id: NodeId,
    /// Its role, in every group it is in.
    pub role: Role,
    /// The key it signs opens and statements with.
    pub key: NodePublicKey,
}

/// A manifest that is consistent. Whether anyone signed it is another matter: see [`Pinned`](crate::Pinned).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    pub(crate) cluster: ClusterId,
    pub(crate) version: u64,
    pub(crate) dev: bool,
    pub(crate) nodes: Vec<NodeEntry>,
    pub(crate) groups: Vec<Group>,
    pub(crate) operators: Vec<Person>,
    pub(crate) approvers: Vec<Person>,
    pub(crate) custodians: Vec<Person>,
    pub(crate) operator_quorum: usize,
    pub(crate) manifest_quorum: usize,
    pub(crate) recovery: Vec<String>,
    pub(crate) coordinators: Vec<String>,
}

impl Manifest {
    /// Reads a manifest and checks all of it.
    ///
    /// # Errors
    /// [`ManifestError`], naming the field.
    pub fn parse(body: &[u8]) -> Result<Self, ManifestError> {
        crate::validate::manifest(ManifestDraft::from_yaml(body)?)
    }

    /// The cluster.
    pub const fn cluster(&self) -> &ClusterId {
        &self.cluster
    }

    /// 1 or more, higher with each change.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// Whether this is a development cluster. A production node refuses one.
    pub const fn is_dev(&self) -> bool {
        self.dev
    }

    /// Every signer node.
    pub fn nodes(&self) -> &[NodeEntry] {
        &self.nodes
    }

    /// The node called `id`.
    pub fn node(&self, id: &NodeId) -> Option<&NodeEntry> {
        self.nodes.iter().find(|node| node.id == *id)
    }

    /// Every group.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The group called `id`.
    pub fn group(&self, id: &GroupId) -> Option<&Group> {
        self.groups.iter().find(|group| group.id == *id)
    }

    /// Who signs manifests, policies and orders.
    pub fn operators(&self) -> &[Person] {
        &self.operators
    }

    /// Who signs approvals.
    pub fn approvers(&self) -> &[Person] {
        &self.approvers
    }

    /// Who keeps pieces of the recovery identity, and may sign a ceremony's transcript beside an operator.
    pub fn custodians(&self) -> &[Person] {
        &self.custodians
    }

    /// How many operators must sign a policy or an order: at least 1.
    pub const fn operator_quorum(&self) -> usize {
        self.operator_quorum
    }

    /// How many of these operators must sign the next manifest, which says who the operators are: at least as many.
    pub const fn manifest_quorum(&self) -> usize {
        self.manifest_quorum
    }

    /// age recipients (`age1…`, X25519 or of an age plugin) that cold shares are sealed to. Never empty where there is a group.
    pub fn recovery(&self) -> &[String] {
        &self.recovery
    }

    /// The names of the coordinators.
    pub fn coordinators(&self) -> &[String] {
        &self.coordinators
    }
}
