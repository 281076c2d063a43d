//! Names of peers: `spiffe://<cluster>/<role>/<id>`. One spelling each, so equal text means an equal peer.

use std::fmt;
use std::str::FromStr;

use quorate_types::{ClusterId, IdError};
use serde::{Deserialize, Serialize};

const SCHEME: &str = "spiffe://";

/// Why a text is not a SPIFFE id of a Quorate cluster.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SpiffeError {
    /// Not `spiffe://<cluster>/<role>/<id>` with exactly these three parts.
    #[error("spiffe id: must be spiffe://<cluster>/<role>/<id>")]
    Shape,
    /// The cluster is not a valid name.
    #[error("spiffe id: {0}")]
    Cluster(#[from] IdError),
    /// The role is none of ours.
    #[error("spiffe id: role must be gateway, operator, approver, auditor, node or coordinator")]
    Role,
    /// The id is not a name.
    #[error("spiffe id: id must be 1 to 63 characters of a-z, 0-9 and inner '-'")]
    Id,
}

/// What a peer is, and so which RPCs it may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PeerRole {
    /// The backend that asks for signatures.
    Gateway,
    /// A person, or their tool, who provisions wallets and applies policies.
    Operator,
    /// A person who approves what a policy holds back.
    Approver,
    /// A reader of the record.
    Auditor,
    /// A signer node, holding one share.
    Node,
    /// The coordinator, holding none.
    Coordinator,
}

impl PeerRole {
    /// Every role, in the order of the documentation.
    pub const ALL: [Self; 6] =
        [Self::Gateway, Self::Operator, Self::Approver, Self::Auditor, Self::Node, Self::Coordinator];

    /// The role as it stands in a SPIFFE id.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Operator => "operator",
            Self::Approver => "approver",
            Self::Auditor => "auditor",
            Self::Node => "node",
            Self::Coordinator => "coordinator",
        }
    }
}

impl fmt::Display for PeerRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for PeerRole {
    type Err = SpiffeError;
    fn from_str(s: &str) -> Result<Self, SpiffeError> {
        Self::ALL.into_iter().find(|role| role.as_str() == s).ok_or(SpiffeError::Role)
    }
}

/// A peer's full name: `spiffe://<cluster>/<role>/<id>`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpiffeId {
    cluster: ClusterId,
    role: PeerRole,
    id: String,
}

impl SpiffeId {
    /// A name from its parts.
    ///
    /// # Errors
    /// [`SpiffeError::Id`] where `id` is not 1 to 63 characters of `a-z`, `0-9` and inner `-`.
    pub fn new(cluster: ClusterId, role: PeerRole, id: impl Into<String>) -> Result<Self, SpiffeError> {
        let id = id.into();
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let bounded = (1..=63).contains(&id.len()) && !id.starts_with('-') && !id.ends_with('-');
        if !bounded || !id.bytes().all(allowed) {
            return Err(SpiffeError::Id);
        }
        Ok(Self { cluster, role, id })
    }

    /// The cluster: the trust domain.
    pub fn cluster(&self) -> &ClusterId {
        &self.cluster
    }

    /// The role.
    pub fn role(&self) -> PeerRole {
        self.role
    }

    /// The peer's own name within its role: a node id, a coordinator id, a person.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl FromStr for SpiffeId {
    type Err = SpiffeError;
    fn from_str(s: &str) -> Result<Self, SpiffeError> {
        let mut parts = s.strip_prefix(SCHEME).ok_or(SpiffeError::Shape)?.split('/');
        let (Some(cluster), Some(role), Some(id), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(SpiffeError::Shape);
        };
        Self::new(cluster.parse()?, role.parse()?, id)
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}/{}", self.cluster, self.role, self.id)
    }
}

impl fmt::Debug for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_round_trips() {
        for role in PeerRole::ALL {
            let text = format!("spiffe://demo-1/{role}/a-1");
            let id: SpiffeId = text.parse().unwrap();
            assert_eq!((id.cluster().as_str(), id.role(), id.id()), ("demo-1", role, "a-1"));
            assert_eq!(id.to_string(), text);
        }
    }

    #[test]
    fn one_spelling_only() {
        let cases = [
            ("", SpiffeError::Shape),
            ("https://demo/node/a", SpiffeError::Shape),
            ("SPIFFE://demo/node/a", SpiffeError::Shape),
            ("spiffe://demo/node", SpiffeError::Shape),
            ("spiffe://demo/node/a/", SpiffeError::Shape),
            ("spiffe://demo/node/a/b", SpiffeError::Shape),
            ("spiffe://demo/Node/a", SpiffeError::Role),
            ("spiffe://demo/root/a", SpiffeError::Role),
            ("spiffe://demo//a", SpiffeError::Role),
            ("spiffe://demo/node/", SpiffeError::Id),
            ("spiffe://demo/node/A", SpiffeError::Id),
            ("spiffe://demo/node/a?x=1", SpiffeError::Id),
            ("spiffe://demo/node/a#f", SpiffeError::Id),
            ("spiffe://demo/node/%61", SpiffeError::Id),
            ("spiffe://demo/node/..", SpiffeError::Id),
            ("spiffe://demo/node/-a", SpiffeError::Id),
        ];
        for (text, why) in cases {
            assert_eq!(text.parse::<SpiffeId>(), Err(why), "{text}");
        }
        for text in ["spiffe:///node/a", "spiffe://demo:443/node/a", "spiffe://u@demo/node/a"] {
            assert!(matches!(text.parse::<SpiffeId>(), Err(SpiffeError::Cluster(_))), "{text}");
        }
        let long = format!("spiffe://demo/node/{}", "a".repeat(64));
        assert_eq!(long.parse::<SpiffeId>(), Err(SpiffeError::Id));
    }
}
