//! The agent node's part of a signature, the same in a session of its own and through a pool.

use quorate_mpc::PartialSignature;
use quorate_session::{IntentStatement, SignedStatement, Statement};
use quorate_types::{NodeId, Role};
use serde::{Deserialize, Serialize};

use crate::guard::Request;
use crate::node::Node;
use crate::sessions::SessionError;

/// What the agent node sends: with the service node's part it makes the signature, alone it makes nothing.
#[derive(Serialize, Deserialize)]
pub(super) struct Contribution {
    pub(super) partial: Vec<u8>,
    pub(super) intent: SignedStatement,
}

/// A contribution whose statement is the agent node's.
pub(super) struct Stated {
    pub(super) partial: PartialSignature,
    pub(super) intent: SignedStatement,
    pub(super) statement: IntentStatement,
}

/// What the agent node must have stated for this request, word for word.
pub(super) fn statement(node: &Node, request: &Request, eid: [u8; 32]) -> IntentStatement {
    IntentStatement {
        cluster: node.cluster.clone(),
        wallet: request.wallet.wallet.clone(),
        agent: request.wallet.agent.clone(),
        payload_hash: request.payload_hash,
        digest: request.decoded.digest.digest(),
        policy_hash: request.policy.hash(),
        idempotency_key: request.key.to_string(),
        eid,
    }
}

impl Contribution {
    /// Checks that the statement is signed by `agent`, the node of that role, and that the partial signature is a number.
    ///
    /// # Errors
    /// [`SessionError::Peer`]: nobody else can have sent it.
    pub(super) fn check(self, node: &Node, agent: Option<&NodeId>) -> Result<Stated, SessionError> {
        let Self { partial, intent } = self;
        if Some(&intent.node) != agent {
            return Err(blame("its intent is stated by another node"));
        }
        let pinned = node.documents.manifest();
        let key = |id: &_| pinned.manifest().node(id).map(|entry| entry.key);
        let statement = IntentStatement::verify(&intent, key).map_err(|error| blame(&error.to_string()))?;
        Ok(Stated {
            partial: PartialSignature::from_bytes(&partial, Role::Agent.index())?,
            intent,
            statement,
        })
    }
}

/// The agent node's fault.
pub(super) fn blame(reason: &str) -> SessionError {
    SessionError::Peer { party: Role::Agent.index(), reason: reason.to_owned() }
}
