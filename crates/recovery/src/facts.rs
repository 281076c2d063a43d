//! What everybody may know of a sealed package: nothing in here opens anything.

use quorate_manifest::Manifest;
use quorate_session::{KeyStatement, SignedStatement, Statement, StatementError};
use quorate_types::{
    Address, AgentId, B256, ClusterId, GroupId, NodeId, PublicKey, Role, UnixMillis, WalletId,
};
use serde::{Deserialize, Serialize};

/// Where a package comes from. In a share's package and in its group's auxiliary package alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// The cluster.
    pub cluster: ClusterId,
    /// The node that sealed it.
    pub node: NodeId,
    /// That node's role, which is its party index.
    pub role: Role,
    /// The group.
    pub group: GroupId,
    /// The group's nodes by index.
    pub nodes: Vec<NodeId>,
    /// The manifest in force when it was sealed.
    pub manifest_hash: B256,
    /// Names the group's auxiliary info: a share signs only beside auxiliary info of this hash.
    pub aux_hash: B256,
    /// When it was sealed, in Unix milliseconds.
    pub created_at_ms: UnixMillis,
}

/// Which key a share belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WalletFacts {
    /// The wallet.
    pub wallet: WalletId,
    /// The agent it belongs to.
    pub agent: AgentId,
    /// The share epoch.
    pub epoch: u32,
    /// The key.
    pub public_key: PublicKey,
    /// The address it controls.
    pub address: Address,
    /// Every party's public share by index, compressed, as hex.
    pub public_shares: Vec<String>,
    /// The execution id of the key generation, as hex.
    pub eid: String,
    /// The node's word on the key at its birth, as hex: what it signed.
    pub statement: String,
    /// Its signature over that, as hex.
    pub statement_signature: String,
}

impl WalletFacts {
    /// The facts of a share, from what its node stated at its birth.
    ///
    /// # Errors
    /// [`StatementError`] where the statement cannot be read or is not by the node of that key.
    pub fn new(
        signed: &SignedStatement,
        key: quorate_session::NodePublicKey,
        public_shares: &[Vec<u8>],
    ) -> Result<Self, StatementError> {
        let stated = KeyStatement::verify(signed, |_| Some(key))?;
        Ok(Self {
            wallet: stated.wallet,
            agent: stated.agent,
            epoch: stated.epoch,
            public_key: stated.public_key,
            address: stated.public_key.address(),
            public_shares: public_shares.iter().map(hex::encode).collect(),
            eid: hex::encode(stated.eid),
            statement: hex::encode(&signed.bytes),
            statement_signature: hex::encode(&signed.signature),
        })
    }

    /// Checks that the node's own signed statement, under its key in the manifest, says all of this.
    pub(crate) fn check(&self, facts: &Facts, manifest: &Manifest) -> Result<(), String> {
        let bytes = |name: &str, text: &str| hex::decode(text).map_err(|_| format!("{name}: not hex"));
        let signed = SignedStatement {
            node: facts.node.clone(),
            bytes: bytes("statement", &self.statement)?,
            signature: bytes("statement_signature", &self.statement_signature)?,
        };
        let stated = KeyStatement::verify(&signed, |id| manifest.node(id).map(|entry| entry.key))
            .map_err(|error| error.to_string())?;
        let same = [
            ("cluster", stated.cluster == facts.cluster),
            ("group", stated.group == facts.group),
            ("nodes", stated.nodes == facts.nodes),
            ("wallet", stated.wallet == self.wallet),
            ("agent", stated.agent == self.agent),
            ("epoch", stated.epoch == self.epoch),
            ("public_key", stated.public_key == self.public_key),
            ("address", stated.public_key.address() == self.address),
            ("eid", hex::encode(stated.eid) == self.eid),
        ];
        match same.into_iter().find(|(_, same)| !same) {
            Some((field, _)) => Err(format!("{field}: is not what node {} stated", facts.node)),
            None => Ok(()),
        }
    }
}
