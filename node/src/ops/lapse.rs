//! An authorization that ended unused, on the operators' word by way of the coordinator: what it moved comes back in this node's
//! own ledger, once, and by this node's own clock.

use std::ops::ControlFlow;

use quorate_audit::Event;
use quorate_lapse::{Lapsed, SignedLapse};
use quorate_ledger::{Returned, lapse, returnable};
use quorate_manifest::{Namespace, SignedDocument};
use quorate_policy::Loosening;
use quorate_proto::v1;
use quorate_store::{Txn, update};
use quorate_types::{B256, Role, UnixMillis};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::node::Node;
use crate::sessions::SessionError;

/// Wallet, place, effect and the document's hash to when this node first saw it, where the wallet was created with a delay.
const WAITING: &str = "lapse.waiting";

/// What a document is told that a freeze order came after.
const STOPPED: &str = "a freeze order about the wallet came since it was first shown, and stopped it; what still holds is to be signed anew, \
     with another block";

/// When it was first seen, and the freeze orders that counted for the wallet then.
#[derive(Serialize, Deserialize)]
struct Seen {
    format: u8,
    at: UnixMillis,
    standing: B256,
}

/// What came of it.
enum Heard {
    /// So many counts, now.
    GivenBack(usize),
    Waits(UnixMillis),
}

/// Gives back what lapsed, or says from when on it would. Waits for the disk.
pub(crate) fn run(node: &Node, document: v1::SignedDocument) -> v1::LapseAck {
    let document = SignedDocument { body: document.body, signatures: document.signatures };
    let ack = v1::LapseAck { hash: document.hash(Namespace::Lapse).to_vec(), ..Default::default() };
    match hear(node, &document) {
        Ok(Heard::GivenBack(counts)) => {
            v1::LapseAck { given_back: u32::try_from(counts).unwrap_or(u32::MAX), ..ack }
        }
        Ok(Heard::Waits(waits_until_ms)) => v1::LapseAck { waits_until_ms, ..ack },
        Err(error) => {
            tracing::warn!(%error, "lapse refused");
            let refused = match error {
                SessionError::Caller { reason, .. } => reason,
                SessionError::Fatal(reason) => {
                    node.stop(&reason);
                    "this node's store failed and it is stopping".to_owned()
                }
                _ => "internal error; see this node's log".to_owned(),
            };
            v1::LapseAck { refused, ..ack }
        }
    }
}

fn hear(node: &Node, document: &SignedDocument) -> Result<Heard, SessionError> {
    if node.role != Role::Service {
        return Err(SessionError::caller("role", "only a service node keeps a ledger"));
    }
    let said = SignedLapse::verify(document, node.documents.manifest().manifest()).map_err(refused)?;
    let unknown = || SessionError::caller("wallet", format!("wallet {} is not active here", said.wallet()));
    let record = node.vault.wallet(said.wallet())?.ok_or_else(unknown)?;
    let loosening = Loosening::of(&record.terms);
    let lapsed = said.judge(record.public_key.address(), loosening, node.clock.now()).map_err(refused)?;
    // Of what changes nothing nothing is written down: it may be sent for ever.
    if returnable(&*node.store, &lapsed)?.unwrap_or_default().is_empty() {
        return Ok(Heard::GivenBack(0));
    }
    if let Some(loosening) = loosening {
        let standing = node.documents.frozen().standing(&record.wallet, &record.agent);
        if let Some(until) = waits(node, (&said, &lapsed), (loosening, standing))? {
            return Ok(Heard::Waits(until));
        }
    }
    give_back(node, &said, &lapsed).map(Heard::GivenBack)
}

fn refused(error: quorate_lapse::LapseError) -> SessionError {
    SessionError::caller("lapse", error)
}

/// Until when, where it is not over: the wallet's delay runs from when this node first saw it, by its own clock and on its own
/// disk. A false word would be a way round the delay of a looser policy, so it is as late as that, and a freeze order about the
/// wallet that comes meanwhile stops it for good, as it stops a policy that waits.
fn waits(
    node: &Node,
    (said, lapsed): (&SignedLapse, &Lapsed),
    (loosening, standing): (Loosening, B256),
) -> Result<Option<UnixMillis>, SessionError> {
    let (key, now) = ([place(lapsed).as_slice(), said.hash().as_slice()].concat(), node.clock.now());
    let seen = node.store.get(WAITING, &key)?.map(|bytes| read(&bytes)).transpose()?;
    if let Some(seen) = seen {
        if seen.standing != standing {
            return Err(SessionError::caller("lapse", STOPPED));
        }
        let until = loosening.until(seen.at);
        return Ok((until > now).then_some(until));
    }
    let until = loosening.until(now);
    let seen = postcard::to_allocvec(&Seen { format: 1, at: now, standing }).map_err(|_| malformed())?;
    let event = event("lapse.waiting", said).field("until_ms", until);
    let (receipt, synced) = update(&*node.store, |txn| {
        txn.put(WAITING, &key, &seen)?;
        Ok::<_, SessionError>(quorate_audit::append(txn, now, &event)?)
    })?;
    receipt.confirm(&synced);
    Ok(Some(until))
}

/// What was counted is weighed and taken back in the transaction that writes it down.
fn give_back(node: &Node, said: &SignedLapse, lapsed: &Lapsed) -> Result<usize, SessionError> {
    let back = |txn: &mut dyn Txn| {
        let returned = lapse(txn, lapsed)?.unwrap_or_default();
        forget_all(txn, &place(lapsed))?;
        let each = |Returned { asset, amount, counted_at }: &Returned| json!({ "asset": asset, "amount": amount.to_string(), "counted_at_ms": counted_at });
        let event = event("spend.lapsed", said)
            .field("returned", json!(returned.iter().map(each).collect::<Vec<_>>()));
        Ok::<_, SessionError>((returned.len(), quorate_audit::append(txn, node.clock.now(), &event)?))
    };
    let ((counts, receipt), synced) = update(&*node.store, back)?;
    receipt.confirm(&synced);
    Ok(counts)
}

fn event(kind: &'static str, said: &SignedLapse) -> Event {
    let block = said.lapse().block;
    Event::new(kind)
        .wallet(said.wallet())
        .field("payload_hash", json!(said.payload_hash()))
        .field("lapse", json!(said.hash()))
        .field("signed_by", json!(said.signers()))
        .field("block", json!(block))
        .field("reason", said.lapse().reason.as_str())
}

/// Nothing waits any more, by whatever document.
fn forget_all(txn: &mut dyn Txn, place: &[u8]) -> Result<(), SessionError> {
    let mut keys = Vec::new();
    txn.scan(WAITING, place, &[], &mut |key, _| {
        keys.push(key.to_vec());
        ControlFlow::Continue(())
    })?;
    keys.iter().try_for_each(|key| Ok(txn.delete(WAITING, key)?))
}

/// Wallet names hold no zero byte.
fn place(lapsed: &Lapsed) -> Vec<u8> {
    let once = lapsed.once();
    [lapsed.wallet().as_str().as_bytes(), &[0], once.place.as_slice(), once.effect.as_slice()].concat()
}

fn read(bytes: &[u8]) -> Result<Seen, SessionError> {
    match postcard::take_from_bytes::<Seen>(bytes) {
        Ok((seen, [])) if seen.format == 1 => Ok(seen),
        _ => Err(malformed()),
    }
}

fn malformed() -> SessionError {
    SessionError::Bug("stored lapse: malformed".to_owned())
}

#[cfg(test)]
mod tests;
