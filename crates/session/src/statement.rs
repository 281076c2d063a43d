//! What nodes state under their identity keys, outside any session: a share is sealed, an agent asked for this.

use quorate_types::{AgentId, B256, ClusterId, GroupId, NodeId, PublicKey, WalletId};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{BadSignature, NodeKey, NodePublicKey, WalletTerms};

/// Largest statement accepted, in bytes.
pub const MAX_STATEMENT_BYTES: usize = 2048;

/// Why a statement was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum StatementError {
    /// Not signed by the node's key.
    #[error("statement of node {0}: {1}")]
    Signature(NodeId, BadSignature),
    /// Signed, but not readable: another version, trailing bytes, too long.
    #[error("statement of node {0}: malformed")]
    Malformed(NodeId),
    /// No key is known for the node.
    #[error("statement of node {0}: the manifest has no such node")]
    UnknownNode(NodeId),
    /// Not exactly one statement of each node of the group, in the order of their indices.
    #[error("attestations: expected one of each node of the group, in order of index")]
    Missing,
    /// Two nodes state different things.
    #[error("attestations: node {0} states a different {1}")]
    Differs(NodeId, &'static str),
}

/// A statement as it travels: the exact bytes that were signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedStatement {
    /// Who states it.
    pub node: NodeId,
    /// What is stated.
    pub bytes: Vec<u8>,
    /// Ed25519 by the node's identity key, under the statement's domain.
    pub signature: Vec<u8>,
}

/// A kind of statement.
pub trait Statement: Serialize + DeserializeOwned {
    /// Separates this kind's signatures from every other's.
    const DOMAIN: &'static str;

    /// Signs it as `node`.
    ///
    /// # Errors
    /// [`StatementError::Malformed`] where it cannot be encoded or is too long.
    fn sign(&self, node: &NodeId, key: &NodeKey) -> Result<SignedStatement, StatementError> {
        let bytes = postcard::to_allocvec(self).map_err(|_| StatementError::Malformed(node.clone()))?;
        if bytes.len() > MAX_STATEMENT_BYTES {
            return Err(StatementError::Malformed(node.clone()));
        }
        let signature = key.sign_statement(Self::DOMAIN, &bytes).to_vec();
        Ok(SignedStatement { node: node.clone(), bytes, signature })
    }

    /// Checks the signature under the node's key in the manifest, then reads the statement.
    ///
    /// # Errors
    /// [`StatementError`] naming the node.
    fn verify(
        signed: &SignedStatement,
        keys: impl Fn(&NodeId) -> Option<NodePublicKey>,
    ) -> Result<Self, StatementError> {
        let node = || signed.node.clone();
        let key = keys(&signed.node).ok_or_else(|| StatementError::UnknownNode(node()))?;
        if signed.bytes.len() > MAX_STATEMENT_BYTES {
            return Err(StatementError::Malformed(node()));
        }
        key.verify_statement(Self::DOMAIN, &signed.bytes, &signed.signature)
            .map_err(|bad| StatementError::Signature(node(), bad))?;
        match postcard::take_from_bytes(&signed.bytes) {
            Ok((statement, [])) => Ok(statement),
            _ => Err(StatementError::Malformed(node())),
        }
    }
}

/// "My share of this wallet's key is sealed and synced." Equal, byte for byte, on all three nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyStatement {
    /// The cluster.
    pub cluster: ClusterId,
    /// The group whose nodes hold the shares.
    pub group: GroupId,
    /// The wallet.
    pub wallet: WalletId,
    /// The agent it belongs to.
    pub agent: AgentId,
    /// What it is created with.
    pub terms: WalletTerms,
    /// The share epoch.
    pub epoch: u32,
    /// The wallet's public key.
    pub public_key: PublicKey,
    /// The nodes by index.
    pub nodes: Vec<NodeId>,
    /// The execution id of the key generation.
    pub eid: [u8; 32],
}

impl Statement for KeyStatement {
    const DOMAIN: &'static str = "quorate/key-statement/v4";
}

impl KeyStatement {
    /// Verifies that all three nodes of a group state the same: only then may the wallet sign.
    ///
    /// # Errors
    /// [`StatementError`] naming the node, and the field where two differ.
    pub fn verify_all(
        signed: &[SignedStatement],
        nodes: &[NodeId],
        keys: impl Fn(&NodeId) -> Option<NodePublicKey>,
    ) -> Result<Self, StatementError> {
        if !signed.iter().map(|statement| &statement.node).eq(nodes) {
            return Err(StatementError::Missing);
        }
        let mut agreed: Option<Self> = None;
        for statement in signed {
            let stated = Self::verify(statement, &keys)?;
            if let Some(first) = &agreed {
                if let Some(field) = first.difference(&stated) {
                    return Err(StatementError::Differs(statement.node.clone(), field));
                }
            } else if stated.nodes != nodes {
                return Err(StatementError::Differs(statement.node.clone(), "participants"));
            } else {
                agreed = Some(stated);
            }
        }
        agreed.ok_or(StatementError::Missing)
    }

    fn difference(&self, other: &Self) -> Option<&'static str> {
        // No `..`: a new field does not compile until it is compared.
        let Self { cluster, group, wallet, agent, terms, epoch, public_key, nodes, eid } = self;
        [
            ("cluster", *cluster == other.cluster),
            ("group", *group == other.group),
            ("wallet", *wallet == other.wallet),
            ("agent", *agent == other.agent),
            ("epoch", *epoch == other.epoch),
            ("public key", *public_key == other.public_key),
            ("participants", *nodes == other.nodes),
            ("execution id", *eid == other.eid),
        ]
        .into_iter()
        .find_map(|(field, same)| (!same).then_some(field))
        .or_else(|| terms.difference(&other.terms))
    }
}

/// "My agent asked for exactly this, and my guard let it pass." Made by the agent node, kept in the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntentStatement {
    /// The cluster.
    pub cluster: ClusterId,
    /// The wallet.
    pub wallet: WalletId,
    /// The agent it belongs to.
    pub agent: AgentId,
    /// Which payload.
    pub payload_hash: B256,
    /// The digest the agent node derived from it.
    pub digest: B256,
    /// The policy it passed.
    pub policy_hash: B256,
    /// The request's idempotency key, as the agent node was shown it.
    pub idempotency_key: String,
    /// The session's execution id.
    pub eid: [u8; 32],
}

impl Statement for IntentStatement {
    const DOMAIN: &'static str = "quorate/intent-statement/v1";
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_core::OsRng;

    const GENERATOR: &str = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";

    fn nodes() -> Vec<NodeId> {
        ["a", "s", "c"].map(|id| id.parse().unwrap()).to_vec()
    }

    fn statement() -> KeyStatement {
        KeyStatement {
            cluster: "dev".parse().unwrap(),
            group: "g".parse().unwrap(),
            wallet: "w".parse().unwrap(),
            agent: "bot".parse().unwrap(),
            terms: WalletTerms::default(),
            epoch: 0,
            public_key: GENERATOR.parse().unwrap(),
            nodes: nodes(),
            eid: [1; 32],
        }
    }

    fn keys() -> Vec<(NodeId, NodeKey)> {
        nodes().into_iter().map(|node| (node, NodeKey::generate(&mut OsRng))).collect()
    }

    fn lookup(keys: &[(NodeId, NodeKey)]) -> impl Fn(&NodeId) -> Option<NodePublicKey> {
        |node| keys.iter().find(|(id, _)| id == node).map(|(_, key)| key.public())
    }

    #[test]
    fn three_equal_statements_activate() {
        let keys = keys();
        let signed: Vec<_> = keys.iter().map(|(node, key)| statement().sign(node, key).unwrap()).collect();
        assert_eq!(KeyStatement::verify_all(&signed, &nodes(), lookup(&keys)), Ok(statement()));
        assert_eq!(
            KeyStatement::verify_all(&signed[..2], &nodes(), lookup(&keys)),
            Err(StatementError::Missing)
        );
        let repeated = [signed[0].clone(), signed[1].clone(), signed[1].clone()];
        assert_eq!(
            KeyStatement::verify_all(&repeated, &nodes(), lookup(&keys)),
            Err(StatementError::Missing)
        );
    }

    #[test]
    fn any_difference_is_named() {
        let keys = keys();
        type Change = fn(&mut KeyStatement);
        let change: [(&str, Change); 11] = [
            ("cluster", |s| s.cluster = "other".parse().unwrap()),
            ("group", |s| s.group = "h".parse().unwrap()),
            ("wallet", |s| s.wallet = "v".parse().unwrap()),
            ("agent", |s| s.agent = "eve".parse().unwrap()),
            ("agent_key", |s| s.terms.agent_key = Some(crate::AgentKey::generate(&mut OsRng).public())),
            ("loosening_delay_s", |s| s.terms.loosening_delay_s = Some(0)),
            ("raw_digest", |s| s.terms.raw_digest = true),
            ("epoch", |s| s.epoch = 1),
            ("public key", |s| s.public_key = GENERATOR.replacen("02", "03", 1).parse().unwrap()),
            ("participants", |s| s.nodes.reverse()),
            ("execution id", |s| s.eid = [2; 32]),
        ];
        for (field, change) in change {
            let mut signed: Vec<_> = keys.iter().map(|(n, k)| statement().sign(n, k).unwrap()).collect();
            let mut other = statement();
            change(&mut other);
            signed[2] = other.sign(&keys[2].0, &keys[2].1).unwrap();
            let error = KeyStatement::verify_all(&signed, &nodes(), lookup(&keys)).unwrap_err();
            assert_eq!(error, StatementError::Differs(keys[2].0.clone(), field));
        }
    }

    #[test]
    fn signatures_kinds_and_trailing_bytes_are_checked() {
        let keys = keys();
        let (node, key) = &keys[0];
        let good = statement().sign(node, key).unwrap();
        let mut altered = good.clone();
        altered.bytes.push(0);
        assert!(matches!(KeyStatement::verify(&altered, lookup(&keys)), Err(StatementError::Signature(..))));
        altered.signature = key.sign_statement(KeyStatement::DOMAIN, &altered.bytes).to_vec();
        assert!(matches!(KeyStatement::verify(&altered, lookup(&keys)), Err(StatementError::Malformed(_))));
        let other_kind = SignedStatement {
            signature: key.sign_statement(IntentStatement::DOMAIN, &good.bytes).to_vec(),
            ..good.clone()
        };
        assert!(KeyStatement::verify(&other_kind, lookup(&keys)).is_err());
        let stranger = SignedStatement { node: "x".parse().unwrap(), ..good };
        assert!(matches!(
            KeyStatement::verify(&stranger, lookup(&keys)),
            Err(StatementError::UnknownNode(_))
        ));
    }
}
