//! Putting a policy in force: written down first, then given to the nodes that decide by it.

use quorate_audit::Event;
use quorate_manifest::SignedDocument;
use quorate_policy::SignedPolicy;
use quorate_types::{NodeId, Role};
use serde_json::json;

use crate::access::Caller;
use crate::coordinator::Coordinator;
use crate::error::OpError;
use crate::policies;
use crate::push::Push;
use crate::records::{PolicyRecord, WalletRecord, get, put};

/// The nodes that evaluate policies.
pub(crate) const DECIDERS: [Role; 2] = [Role::Agent, Role::Service];

/// Puts a signed policy in force, and says which nodes have it.
///
/// # Errors
/// A conflict where a node refuses it. It is in force here all the same, and offered again when that node attaches: the
/// wallet signs only once both nodes hold the same policy.
pub(crate) async fn apply_policy(
    core: &Coordinator,
    caller: Caller,
    document: SignedDocument,
) -> Result<(PolicyRecord, Vec<NodeId>), OpError> {
    let pinned = core.pinned.load_full();
    let policy = SignedPolicy::verify(&document, pinned.manifest())
        .map_err(|error| OpError::invalid("policy", error))?;
    let record = PolicyRecord {
        wallet: policy.wallet().clone(),
        version: policy.version(),
        hash: policy.hash(),
        document,
    };
    let now = core.clock.now();
    let written = record.clone();
    let write = core.db.update(move |txn| {
        let key = written.wallet.as_str().as_bytes();
        let wallet = get::<WalletRecord>(txn, key)?;
        let wallet = wallet.ok_or_else(|| OpError::not_found("wallet", &written.wallet))?;
        if let Some(present) = policies::in_force(txn, &written.wallet)? {
            policy.supersedes(&present).map_err(|error| OpError::conflict("policy", error))?;
        }
        put(txn, &written)?;
        Ok((quorate_audit::append(txn, now, &event(&caller, &written))?, wallet))
    });
    let ((receipt, wallet), synced) = write.await?;
    receipt.confirm(&synced);
    let links = core.attached(&core.group(&wallet.group)?, &DECIDERS);
    let nodes = Push::policy(&record).deliver(&links, core.deadlines.policy()).await?;
    Ok((record, nodes))
}

fn event(caller: &Caller, record: &PolicyRecord) -> Event {
    Event::new("policy.applied")
        .wallet(&record.wallet)
        .field("caller", json!(caller.0.to_string()))
        .field("version", json!(record.version))
        .field("hash", json!(record.hash))
}
