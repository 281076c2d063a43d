//! Giving back the spend of an authorization that ended unused: first in the service node's ledger, which believes nobody but the
//! operators, then in this one.

use quorate_audit::Event;
use quorate_lapse::{LapseError, Lapsed, SignedLapse};
use quorate_ledger::{Returned, lapse, returnable};
use quorate_manifest::SignedDocument;
use quorate_policy::Loosening;
use quorate_types::{B256, NodeId, UnixMillis};
use serde_json::json;

use crate::access::Caller;
use crate::coordinator::{Change, Coordinator};
use crate::error::OpError;
use crate::link::quoted;
use crate::records::{LapseRecord, Record, WalletRecord, delete, get, put};
use crate::wire::document_to_pb;

/// What came of a lapse.
#[derive(Debug)]
pub(crate) struct Applied {
    pub(crate) hash: B256,
    /// The service node.
    pub(crate) node: NodeId,
    /// Nothing came back yet: the node takes it from then on. 0 where nothing waits.
    pub(crate) waits_until: UnixMillis,
    /// How many counts the node took back now.
    pub(crate) node_given_back: u32,
    /// What came back here, now.
    pub(crate) given_back: Vec<Returned>,
}

/// Has the service node give back what lapsed, and does so here. Asked again, it mends what was left half done.
///
/// # Errors
/// [`OpError::Invalid`] where the document does not hold, a conflict where it is too early or the node refuses it, not found where
/// neither ledger knows of what it is about; [`OpError::Unavailable`] where the node does not answer, and may have given back.
pub(crate) async fn apply_lapse(
    core: &Coordinator,
    caller: Caller,
    document: SignedDocument,
) -> Result<Applied, OpError> {
    let said = SignedLapse::verify(&document, core.pinned.load().manifest()).map_err(refused)?;
    let _alone = core.changes.lock(&Change::Lapse(said.wallet().clone())).await;
    let key = said.wallet().as_str().as_bytes().to_vec();
    let wallet = core.db.read(move |read| get::<WalletRecord>(read, &key)).await?;
    let wallet = wallet.ok_or_else(|| OpError::not_found("wallet", said.wallet()))?;
    let unborn = || OpError::conflict("wallet", "its key generation is not complete, it signed nothing yet");
    let address = wallet.born.as_ref().ok_or_else(unborn)?.public_key.address();
    let lapsed = said.judge(address, Loosening::of(&wallet.terms), core.clock.now()).map_err(refused)?;
    let node = core.group(&wallet.group)?.service;
    let (waits_until, node_given_back) = ask(core, &node, &said).await?;
    let given_back = if waits_until == 0 {
        give_back(core, &caller, (&said, lapsed)).await?
    } else {
        let event = event("lapse.waiting", &caller, &said).field("until_ms", waits_until);
        tell_once(core, LapseRecord { hash: said.hash(), until: waits_until }, event).await?;
        Some(Vec::new())
    };
    let Some(given_back) = given_back.or((node_given_back > 0).then(Vec::new)) else {
        return Err(OpError::not_found("a signature over", said.payload_hash()));
    };
    tracing::info!(wallet = %said.wallet(), lapse = %said.hash(), node_given_back, here = given_back.len(), waits_until, caller = %caller.0, "lapse");
    Ok(Applied { hash: said.hash(), node, waits_until, node_given_back, given_back })
}

/// Until when the service node waits, or how many counts it gave back.
async fn ask(core: &Coordinator, node: &NodeId, said: &SignedLapse) -> Result<(UnixMillis, u32), OpError> {
    let link = core.nodes.link(node).ok_or_else(|| OpError::not_attached(vec![node.clone()]))?;
    let document = document_to_pb(said.document());
    let Some(ack) = link.lapse((said.hash(), document), core.deadlines.policy()).await else {
        let reason = format!("no word from node {node}: it may have given back; ask again");
        return Err(OpError::Unavailable { reason, nodes: vec![node.clone()] });
    };
    if !ack.refused.is_empty() {
        let reason = format!("node {node} refuses it: {}", quoted(&ack.refused));
        return Err(OpError::Conflict { field: "lapse", reason, nodes: vec![node.clone()] });
    }
    Ok((ack.waits_until_ms, ack.given_back))
}

/// Gives back here. `None` where nothing was ever signed for it.
async fn give_back(
    core: &Coordinator,
    caller: &Caller,
    (said, lapsed): (&SignedLapse, Lapsed),
) -> Result<Option<Vec<Returned>>, OpError> {
    let peek = lapsed.clone();
    let known = core.db.read(move |read| Ok(returnable(read, &peek)?)).await?;
    // Of what changes nothing nothing is written down.
    if known.as_ref().is_none_or(Vec::is_empty) {
        return Ok(known);
    }
    let (now, event) = (core.clock.now(), event("spend.lapsed", caller, said));
    let waited = LapseRecord { hash: said.hash(), until: 0 };
    let write = core.db.update(move |txn| {
        delete(txn, &waited)?;
        let returned = lapse(txn, &lapsed)?.unwrap_or_default();
        let each = |Returned { asset, amount, counted_at }: &Returned| json!({ "asset": asset, "amount": amount.to_string(), "counted_at_ms": counted_at });
        let event = event.field("returned", json!(returned.iter().map(each).collect::<Vec<_>>()));
        Ok((returned, quorate_audit::append(txn, now, &event)?))
    });
    let ((returned, receipt), synced) = write.await?;
    receipt.confirm(&synced);
    Ok(Some(returned))
}

/// So that people are told, as of a policy that waits, however often it is asked for.
async fn tell_once(core: &Coordinator, waits: LapseRecord, event: Event) -> Result<(), OpError> {
    let key = waits.key();
    if core.db.read(move |read| get(read, &key)).await?.as_ref() == Some(&waits) {
        return Ok(());
    }
    let now = core.clock.now();
    let write = core.db.update(move |txn| {
        put(txn, &waits)?;
        Ok(quorate_audit::append(txn, now, &event)?)
    });
    let (receipt, synced) = write.await?;
    receipt.confirm(&synced);
    Ok(())
}

fn event(kind: &'static str, caller: &Caller, said: &SignedLapse) -> Event {
    Event::new(kind)
        .wallet(said.wallet())
        .field("caller", json!(caller.0.to_string()))
        .field("payload_hash", json!(said.payload_hash()))
        .field("lapse", json!(said.hash()))
        .field("signed_by", json!(said.signers()))
        .field("block", json!(said.lapse().block))
        .field("reason", json!(said.lapse().reason))
}

fn refused(error: LapseError) -> OpError {
    match error {
        LapseError::TooEarly { .. } | LapseError::Future { .. } => OpError::conflict("lapse", error),
        error => OpError::invalid("lapse", error),
    }
}
