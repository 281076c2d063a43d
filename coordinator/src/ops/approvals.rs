//! What waits for people: told to them, and their answers taken in. Whether enough of them said yes is for policy to say,
//! here when the signature is asked for again, and on each node.

use quorate_approval::SignedApproval;
use quorate_audit::Event;
use quorate_ledger::IdempotencyKey;
use quorate_manifest::{MAX_SIGNATURES, Manifest, SignedDocument};
use quorate_store::Txn;
use quorate_types::{UnixMillis, WalletId};
use serde_json::json;

use crate::access::Caller;
use crate::coordinator::Coordinator;
use crate::error::OpError;
use crate::records::put;
use crate::waiting::{Case, Refused};

const MAX_REASON: usize = 200;

/// Which case.
#[derive(Debug, Clone)]
pub(crate) struct Name {
    pub(crate) wallet: WalletId,
    pub(crate) key: IdempotencyKey,
}

/// Every case on record.
pub(crate) async fn list_approvals(core: &Coordinator) -> Result<Vec<Case>, OpError> {
    core.db.read(|read| Case::all(read)).await
}

/// One case.
pub(crate) async fn get_approval(core: &Coordinator, name: Name) -> Result<Case, OpError> {
    core.db.read(move |read| named(Case::find(read, &name.wallet, &name.key)?, &name)).await
}

/// Adds approvers' signatures.
///
/// # Errors
/// Invalid where one is not an approver's over exactly this case; a conflict where the case is over.
pub(crate) async fn approve(
    core: &Coordinator,
    caller: Caller,
    (name, document): (Name, SignedDocument),
) -> Result<Case, OpError> {
    let pinned = core.pinned.load_full();
    SignedApproval::verify(&document, pinned.manifest())
        .map_err(|error| OpError::invalid("approval", error))?;
    change(core, name, "approval.added", move |case, event| {
        if document.body != case.body.as_bytes() {
            return Err(OpError::invalid("approval", "the body that was signed is not this case's"));
        }
        for signature in document.signatures {
            add(case, signature, pinned.manifest())?;
        }
        let approved = case.approved(pinned.manifest());
        let approvers = approved.as_ref().map_or(&[][..], SignedApproval::approvers);
        Ok(event.field("caller", json!(caller.0.to_string())).field("approved_by", json!(approvers)))
    })
    .await
}

/// Adds a signature that holds, in place of those that no longer do. One approver counts once.
fn add(case: &mut Case, signature: String, manifest: &Manifest) -> Result<(), OpError> {
    let before = case.approved(manifest);
    case.signatures =
        before.as_ref().map(|approved| approved.document().signatures.clone()).unwrap_or_default();
    let document =
        SignedDocument { body: case.body.clone().into_bytes(), signatures: vec![signature.clone()] };
    let signed =
        SignedApproval::verify(&document, manifest).map_err(|error| OpError::invalid("approval", error))?;
    let known =
        before.is_some_and(|before| signed.approvers().iter().all(|name| before.approvers().contains(name)));
    if known {
        return Ok(());
    }
    if case.signatures.len() >= MAX_SIGNATURES {
        return Err(OpError::conflict("approval", format!("it has {MAX_SIGNATURES} signatures already")));
    }
    case.signatures.push(signature);
    Ok(())
}

/// Ends a case without a signature.
pub(crate) async fn refuse(
    core: &Coordinator,
    caller: Caller,
    (name, reason): (Name, String),
) -> Result<Case, OpError> {
    if !(1..=MAX_REASON).contains(&reason.chars().count()) || reason.chars().any(char::is_control) {
        return Err(OpError::invalid("reason", format!("must be 1 to {MAX_REASON} characters on one line")));
    }
    change(core, name, "approval.refused", move |case, event| {
        let by = caller.0.to_string();
        let event = event.field("caller", json!(by)).field("reason", json!(reason));
        case.refused = Some(Refused { by, reason });
        Ok(event)
    })
    .await
}

/// Changes a case that is not over, and writes it down.
async fn change(
    core: &Coordinator,
    name: Name,
    kind: &'static str,
    how: impl FnOnce(&mut Case, Event) -> Result<Event, OpError> + Send + 'static,
) -> Result<Case, OpError> {
    let now = core.clock.now();
    let write = core.db.update(move |txn| {
        let mut case = open(txn, &name, now)?;
        let event = Event::new(kind)
            .wallet(&case.wallet)
            .field("idempotency_key", json!(case.key))
            .field("payload_hash", json!(case.payload_hash));
        let event = how(&mut case, event)?;
        put(txn, &case)?;
        Ok((quorate_audit::append(txn, now, &event)?, case))
    });
    let ((receipt, case), synced) = write.await?;
    receipt.confirm(&synced);
    Ok(case)
}

fn open(txn: &mut dyn Txn, name: &Name, now: UnixMillis) -> Result<Case, OpError> {
    let case = named(Case::find(txn, &name.wallet, &name.key)?, name)?;
    match &case.refused {
        Some(refused) => Err(OpError::conflict("approval", format!("{} refused it already", refused.by))),
        None if case.is_over(now) => {
            Err(OpError::conflict("approval", "it came too late: the case has expired"))
        }
        None => Ok(case),
    }
}

fn named(case: Option<Case>, name: &Name) -> Result<Case, OpError> {
    case.ok_or_else(|| OpError::not_found("approval", format!("{} of {}", name.key, name.wallet)))
}
