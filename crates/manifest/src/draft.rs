//! A manifest as it is written, before anyone has checked it.

use serde::{Deserialize, Serialize};

use crate::{Group, Manifest, ManifestError, Person};

/// The manifest's YAML, field by field. Text stays text here, so that a refusal can name the field it stands in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestDraft {
    /// Always [`FORMAT`](crate::FORMAT).
    pub manifest: String,
    /// The cluster's name.
    pub cluster: String,
    /// 1 or more, higher with each change.
    pub version: u64,
    /// Whether this cluster may use what only development may: built-in primes, loud and fast.
    #[serde(default)]
    pub dev: bool,
    /// Every signer node.
    pub nodes: Vec<NodeDraft>,
    /// Every group of three nodes.
    #[serde(default)]
    pub groups: Vec<GroupDraft>,
    /// Who signs manifests and policies.
    pub operators: Vec<PersonDraft>,
    /// Who signs approvals.
    #[serde(default)]
    pub approvers: Vec<PersonDraft>,
    /// Who keeps pieces of the recovery identity, and may sign that they were at a ceremony.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub custodians: Vec<PersonDraft>,
    /// How many must sign.
    pub quorum: QuorumDraft,
    /// age recipients (X25519, or of an age plugin) that cold shares are sealed to.
    #[serde(default)]
    pub recovery: Vec<String>,
    /// Every coordinator.
    #[serde(default)]
    pub coordinators: Vec<CoordinatorDraft>,
}

/// A signer node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeDraft {
    /// Its name.
    pub id: String,
    /// `agent`, `service` or `cold`.
    pub role: String,
    /// Its Ed25519 identity, 64 hex digits.
    pub key: String,
}

/// Three nodes that make wallets together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupDraft {
    /// Its name.
    pub id: String,
    /// The agent node.
    pub agent: String,
    /// The service node.
    pub service: String,
    /// The cold node.
    pub cold: String,
}

/// Someone who signs documents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonDraft {
    /// What records call them.
    pub name: String,
    /// An OpenSSH public key line.
    pub key: String,
}

/// How many must sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuorumDraft {
    /// Operators, for policies and orders.
    pub operators: usize,
    /// Operators, for a later manifest: as many as above where absent. A wallet whose policy is loosened late only is made
    /// where this is 2 or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifests: Option<usize>,
}

/// A coordinator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoordinatorDraft {
    /// Its name.
    pub id: String,
}

impl ManifestDraft {
    /// A first version that names nobody but its operators, any one of whom signs.
    pub fn new(cluster: impl Into<String>, operators: Vec<PersonDraft>) -> Self {
        Self {
            manifest: crate::FORMAT.to_owned(),
            cluster: cluster.into(),
            version: 1,
            dev: false,
            nodes: Vec::new(),
            groups: Vec::new(),
            operators,
            approvers: Vec::new(),
            custodians: Vec::new(),
            quorum: QuorumDraft { operators: 1, manifests: None },
            recovery: Vec::new(),
            coordinators: Vec::new(),
        }
    }

    /// Reads YAML for its shape only; [`Manifest::parse`] checks what it says.
    ///
    /// # Errors
    /// [`ManifestError`] where it is not one YAML document of this shape.
    pub fn from_yaml(body: &[u8]) -> Result<Self, ManifestError> {
        let len = body.len();
        if len > crate::MAX_BODY_BYTES {
            return Err(crate::DocumentError::BodySize { len }.into());
        }
        let text = std::str::from_utf8(body).map_err(|_| ManifestError::yaml("not UTF-8"))?;
        serde_norway::from_str(text).map_err(|error| ManifestError::yaml(&error.to_string()))
    }

    /// The manifest to be signed. It is read back first: nobody is asked to sign what every node would refuse.
    ///
    /// # Errors
    /// [`ManifestError`], as [`Manifest::parse`] would answer.
    pub fn to_yaml(&self) -> Result<String, ManifestError> {
        let text = serde_norway::to_string(self).map_err(|error| ManifestError::yaml(&error.to_string()))?;
        Manifest::parse(text.as_bytes())?;
        Ok(text)
    }
}

/// To write the next version from the present one.
impl From<&Manifest> for ManifestDraft {
    fn from(manifest: &Manifest) -> Self {
        let node = |node: &crate::NodeEntry| NodeDraft {
            id: node.id.to_string(),
            role: node.role.to_string(),
            key: node.key.to_string(),
        };
        let group = |group: &Group| GroupDraft {
            id: group.id.to_string(),
            agent: group.agent.to_string(),
            service: group.service.to_string(),
            cold: group.cold.to_string(),
        };
        let person = |person: &Person| PersonDraft { name: person.name.clone(), key: person.key.to_string() };
        Self {
            manifest: crate::FORMAT.to_owned(),
            cluster: manifest.cluster().to_string(),
            version: manifest.version(),
            dev: manifest.is_dev(),
            nodes: manifest.nodes().iter().map(node).collect(),
            groups: manifest.groups().iter().map(group).collect(),
            operators: manifest.operators().iter().map(person).collect(),
            approvers: manifest.approvers().iter().map(person).collect(),
            custodians: manifest.custodians().iter().map(person).collect(),
            quorum: QuorumDraft {
                operators: manifest.operator_quorum(),
                manifests: Some(manifest.manifest_quorum())
                    .filter(|quorum| *quorum != manifest.operator_quorum()),
            },
            recovery: manifest.recovery().to_vec(),
            coordinators: manifest
                .coordinators()
                .iter()
                .map(|id| CoordinatorDraft { id: id.clone() })
                .collect(),
        }
    }
}
