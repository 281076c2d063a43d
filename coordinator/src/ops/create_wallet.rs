//! Creating a wallet: its name is written down, its key is made among three nodes, all three attest it, and only then is
//! it active, here and on the nodes.

use quorate_audit::Event;
use quorate_manifest::{Group, Manifest};
use quorate_policy::Loosening;
use quorate_proto::v1;
use quorate_proto::v1::session_outcome::Outcome;
use quorate_proto::v1::session_start::Protocol;
use quorate_session::{KeyStatement, SignedStatement, WalletTerms};
use quorate_types::{AgentId, GroupId, NodeId, Role, WalletId};
use serde_json::json;
use tokio::time::Instant;

use crate::access::Caller;
use crate::coordinator::{Change, Coordinator};
use crate::error::OpError;
use crate::ops::enrol_group::enrolled;
use crate::push::Push;
use crate::records::{Born, WalletRecord, get, put};
use crate::session_run::{Ended, Plan, run};
use crate::why::why;
use crate::wire::attestation_from_pb;

/// A wallet to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewWallet {
    pub(crate) wallet: WalletId,
    pub(crate) agent: AgentId,
    pub(crate) terms: WalletTerms,
    pub(crate) group: GroupId,
}

/// Creates a wallet, or returns the one there is. One whose key generation failed gets another.
pub(crate) async fn create_wallet(
    core: &Coordinator,
    caller: Caller,
    new: NewWallet,
) -> Result<WalletRecord, OpError> {
    let _alone = core.changes.lock(&Change::Wallet(new.wallet.clone())).await;
    let group = core.group(&new.group)?;
    let mut record = claim_name(core, &caller, new).await?;
    let born = match record.born.clone() {
        Some(born) => born,
        None => {
            let born = bear(core, &record, &group).await?;
            record.born = Some(born.clone());
            write_down(core, &caller, &record, &born).await?;
            born
        }
    };
    let links = core.attached(&group, &Role::ALL);
    Push::activation(&record, &born).deliver(&links, core.deadlines.policy()).await?;
    Ok(record)
}

/// Writes the name down, or finds it written down with the same fields.
async fn claim_name(core: &Coordinator, caller: &Caller, new: NewWallet) -> Result<WalletRecord, OpError> {
    let key = new.wallet.as_str().as_bytes().to_vec();
    if let Some(record) = core.db.read(move |read| get::<WalletRecord>(read, &key)).await? {
        let same = [("agent", record.agent == new.agent), ("group", record.group == new.group)];
        let differs = same.into_iter().find_map(|(field, same)| (!same).then_some(field));
        return match differs.or_else(|| record.terms.difference(&new.terms)) {
            Some(field) => {
                Err(OpError::conflict(field, format!("wallet {} has another {field}", record.wallet)))
            }
            None => Ok(record),
        };
    }
    if enrolled(core, &new.group).await?.is_none() {
        return Err(OpError::conflict("group", format!("group {} is not enrolled", new.group)));
    }
    if new.terms.loosening_delay_s.is_some()
        && let Some(reason) = Loosening::undercut(core.pinned.load().manifest())
    {
        return Err(OpError::conflict("loosening_delay_s", reason));
    }
    let now = core.clock.now();
    let NewWallet { wallet, agent, terms, group } = new;
    let event = event("wallet.creating", &wallet, caller)
        .field("agent", json!(agent))
        .field("agent_key", json!(terms.agent_key))
        .field("loosening_delay_s", json!(terms.loosening_delay_s))
        .field("raw_digest", json!(terms.raw_digest))
        .field("group", json!(group));
    let record = WalletRecord { wallet, agent, terms, group, created_at: now, born: None };
    let write = core.db.update(move |txn| {
        put(txn, &record)?;
        Ok((quorate_audit::append(txn, now, &event)?, record))
    });
    let ((receipt, record), synced) = write.await?;
    receipt.confirm(&synced);
    Ok(record)
}

/// Makes the key.
async fn bear(core: &Coordinator, record: &WalletRecord, group: &Group) -> Result<Born, OpError> {
    let convened = core.relay.convene(core.seats(group, &Role::ALL)?, None)?;
    let protocol = Protocol::Keygen(v1::StartKeygen {
        wallet: record.wallet.to_string(),
        agent: record.agent.to_string(),
        group: record.group.to_string(),
        agent_key: record.terms.agent_key.map(|key| key.as_bytes().to_vec()).unwrap_or_default(),
        loosening_delay_s: record.terms.loosening_delay_s,
        raw_digest: record.terms.raw_digest,
    });
    let began = Instant::now();
    let deadline = began + core.deadlines.keygen();
    let ended = run(convened, Plan { protocol, decisive: None, deadline }).await;
    metrics::histogram!("quorate_keygen_seconds").record(began.elapsed().as_secs_f64());
    let attestations = attestations(&ended, group)?;
    let pinned = core.pinned.load_full();
    let statement = attested(&attestations, record, (group, pinned.manifest()))?;
    Ok(Born::new(&statement, attestations))
}

fn attestations(ended: &Ended, group: &Group) -> Result<Vec<SignedStatement>, OpError> {
    let one = |node: &NodeId| match ended.outcome_of(node) {
        Some(Outcome::Key(attestation)) => {
            attestation_from_pb(attestation).map_err(|error| fault(node, error.to_string()))
        }
        _ => Err(why(ended).into_error()),
    };
    group.nodes().into_iter().map(one).collect()
}

/// All three state the same, and it is what was asked for.
fn attested(
    attestations: &[SignedStatement],
    record: &WalletRecord,
    (group, manifest): (&Group, &Manifest),
) -> Result<KeyStatement, OpError> {
    let nodes = group.nodes().map(Clone::clone);
    let keys = |node: &NodeId| manifest.node(node).map(|entry| entry.key);
    let statement = KeyStatement::verify_all(attestations, &nodes, keys)
        .map_err(|error| OpError::PeerFault { reason: error.to_string(), nodes: nodes.to_vec() })?;
    let same = [
        ("cluster", statement.cluster == *manifest.cluster()),
        ("group", statement.group == record.group),
        ("wallet", statement.wallet == record.wallet),
        ("agent", statement.agent == record.agent),
    ];
    let differs = same.into_iter().find_map(|(field, same)| (!same).then_some(field));
    match differs.or_else(|| statement.terms.difference(&record.terms)) {
        Some(field) => {
            let reason = format!("the nodes attest a key of another {field}");
            Err(OpError::PeerFault { reason, nodes: nodes.to_vec() })
        }
        None => Ok(statement),
    }
}

async fn write_down(
    core: &Coordinator,
    caller: &Caller,
    record: &WalletRecord,
    born: &Born,
) -> Result<(), OpError> {
    let now = core.clock.now();
    let event = event("wallet.active", &record.wallet, caller)
        .field("public_key", json!(born.public_key))
        .field("address", json!(born.public_key.address()))
        .field("epoch", json!(born.epoch));
    let record = record.clone();
    let write = core.db.update(move |txn| {
        put(txn, &record)?;
        Ok(quorate_audit::append(txn, now, &event)?)
    });
    let (receipt, synced) = write.await?;
    receipt.confirm(&synced);
    Ok(())
}

fn event(kind: &'static str, wallet: &WalletId, caller: &Caller) -> Event {
    Event::new(kind).wallet(wallet).field("caller", json!(caller.0.to_string()))
}

fn fault(node: &NodeId, reason: String) -> OpError {
    OpError::PeerFault { reason: format!("node {node}: {reason}"), nodes: vec![node.clone()] }
}
