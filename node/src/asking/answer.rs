//! What the node signs for an agent: a request for the agent's own wallet, from the user it runs as, that this node can
//! read. Written down before the signature leaves.

use std::sync::Arc;

use quorate_audit::Event;
use quorate_session::AgentRequest;
use quorate_types::{AgentId, WalletId};

use super::config::AskingConfig;
use super::keys;
use super::wire::{Answer, Ask, Question};
use crate::node::Node;
use crate::sessions::commit;

/// Why a question is not answered.
pub(super) struct Refusal {
    field: &'static str,
    reason: String,
}

impl Refusal {
    pub(super) fn new(field: &'static str, reason: impl ToString) -> Self {
        Self { field, reason: reason.to_string() }
    }

    /// The same words whether an agent is another user's or nobody's.
    pub(super) fn unlisted(uid: u32) -> Self {
        Self::new("uid", format!("user {uid} may not ask for this agent"))
    }

    #[cfg(test)]
    pub(super) const fn field(&self) -> &'static str {
        self.field
    }

    /// Counts it, and tells the node's log.
    pub(super) fn count(&self, uid: u32) {
        metrics::counter!("quorate_node_asks_refused").increment(1);
        tracing::warn!(uid, field = self.field, reason = self.reason, "an agent's question is refused");
    }

    /// What is wrong here is for this node's own log.
    fn internal(error: impl std::fmt::Display) -> Self {
        tracing::error!(%error, "an agent was not answered");
        Self::new("node", "internal error; see this node's log")
    }
}

impl From<Refusal> for Answer {
    fn from(Refusal { field, reason }: Refusal) -> Self {
        Self::Refused { field, reason }
    }
}

/// Answers one line of the user `uid`.
pub(super) async fn answer(node: &Arc<Node>, config: &AskingConfig, uid: u32, line: &[u8]) -> Answer {
    let question = match serde_json::from_slice::<Question>(line) {
        Ok(question) => question,
        Err(error) => return Refusal::new("question", error).into(),
    };
    let answered = match question {
        Question::Key { agent } => key(node, config, uid, &agent),
        Question::Ask(ask) => asked(node, config, uid, *ask).await,
    };
    answered.unwrap_or_else(|refusal| {
        refusal.count(uid);
        refusal.into()
    })
}

fn key(node: &Node, config: &AskingConfig, uid: u32, agent: &AgentId) -> Result<Answer, Refusal> {
    permit(config, uid, agent)?;
    let key = keys::find(&*node.store, agent).map_err(Refusal::internal)?;
    let key = key.ok_or_else(|| Refusal::new("agent", "has no key here"))?;
    Ok(Answer::key(&key.public()))
}

fn permit(config: &AskingConfig, uid: u32, agent: &AgentId) -> Result<(), Refusal> {
    if config.may(uid, agent) {
        return Ok(());
    }
    Err(Refusal::unlisted(uid))
}

async fn asked(node: &Arc<Node>, config: &AskingConfig, uid: u32, ask: Ask) -> Result<Answer, Refusal> {
    let Ask { wallet, idempotency_key, payload, expires_in_s } = ask;
    let record = node.vault.wallet(&wallet).map_err(Refusal::internal)?;
    // A wallet that is not here is nobody's.
    let record = record.ok_or_else(|| Refusal::unlisted(uid))?;
    permit(config, uid, &record.agent)?;
    let key = keys::find(&*node.store, &record.agent).map_err(Refusal::internal)?;
    let key = key.filter(|key| record.terms.agent_key == Some(key.public())).ok_or_else(|| {
        Refusal::new(
            "wallet",
            "was not created with the key this node keeps for its agent, so it takes none of its word",
        )
    })?;
    let payload =
        payload.read().ok_or_else(|| Refusal::new("payload", "not hex, or no digest of 32 bytes"))?;
    let decoded = quorate_intent::decode(&payload).map_err(|error| Refusal::new("payload", error))?;
    let expires_at = node.clock.now().saturating_add(u64::from(expires_in_s).saturating_mul(1000));
    let request = AgentRequest {
        cluster: &node.cluster,
        wallet: &wallet,
        payload_hash: payload.hash(),
        idempotency_key: idempotency_key.as_str(),
    };
    let signature = key.ask(&request, expires_at);
    // Refuses an expiry that every machine would refuse.
    key.public()
        .check(&request, Some(&signature), node.clock.now())
        .map_err(|error| Refusal::new("expires_in_s", error))?;
    let summary = decoded.intent.summary();
    write(node, event(&wallet, uid, &request, expires_at).field("summary", summary)).await?;
    Ok(Answer::asked(&signature, payload.hash()))
}

fn event(wallet: &WalletId, uid: u32, request: &AgentRequest<'_>, expires_at: u64) -> Event {
    Event::new("agent.asked")
        .wallet(wallet)
        .field("uid", uid)
        .field("payload_hash", request.payload_hash.to_string())
        .field("idempotency_key", request.idempotency_key)
        .field("expires_at_ms", expires_at)
}

/// Synced before it returns.
async fn write(node: &Arc<Node>, event: Event) -> Result<(), Refusal> {
    let append = move |node: &Node, txn: &mut dyn quorate_store::Txn| {
        Ok(quorate_audit::append(txn, node.clock.now(), &event)?)
    };
    let (receipt, durable) = commit(node, append).await.map_err(Refusal::internal)?;
    receipt.confirm(&durable);
    Ok(())
}
