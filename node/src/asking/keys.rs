//! The agents' own keys, sealed in the node's store: made here, and never shown to anyone.

use quorate_audit::{AuditError, Event};
use quorate_session::{AgentKey, AgentPublicKey};
use quorate_store::{Read, StoreError, update};
use quorate_types::AgentId;
use rand_core::OsRng;
use zeroize::Zeroizing;

use crate::node::Node;

/// Agent to the seed of its key.
const TABLE: &str = "asking.key";

/// Why an agent's key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Of another version of this software, or damaged before it was sealed.
    #[error("stored key of agent {0}: malformed")]
    Malformed(AgentId),
    /// The log.
    #[error("audit: {0}")]
    Audit(#[from] AuditError),
    /// The store.
    #[error("store: {0}")]
    Store(#[from] StoreError),
}

/// Makes the agent's key where there is none, synced, and says its public half.
///
/// # Errors
/// [`KeyError`].
pub(super) fn make(node: &Node, agent: &AgentId) -> Result<AgentPublicKey, KeyError> {
    if let Some(key) = find(&*node.store, agent)? {
        return Ok(key.public());
    }
    let key = AgentKey::generate(&mut OsRng);
    let event = Event::new("agent.key_made")
        .field("agent", agent.as_str())
        .field("agent_key", key.public().to_string());
    let (receipt, durable) = update(&*node.store, |txn| {
        txn.put(TABLE, agent.as_str().as_bytes(), key.to_bytes().as_ref())?;
        Ok::<_, KeyError>(quorate_audit::append(txn, node.clock.now(), &event)?)
    })?;
    receipt.confirm(&durable);
    Ok(key.public())
}

/// The agent's key, where it has one.
///
/// # Errors
/// [`KeyError`].
pub(super) fn find(read: &dyn Read, agent: &AgentId) -> Result<Option<AgentKey>, KeyError> {
    let Some(bytes) = read.get(TABLE, agent.as_str().as_bytes())? else { return Ok(None) };
    let seed = <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| KeyError::Malformed(agent.clone()))?;
    Ok(Some(AgentKey::from_bytes(Zeroizing::new(seed))))
}
