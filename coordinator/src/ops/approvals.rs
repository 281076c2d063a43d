//! What waits for people: told to them, and their answers taken in. Whether enough of them said yes is for policy to say,
//! here when the signature is asked for again, and on each node.

use std::collections::BTreeMap;

use quorate_approval::SignedApproval;
use quorate_audit::Event;
use quorate_manifest::{MAX_SIGNATURES, Manifest, SignedDocument};
use quorate_store::Read;
use quorate_types::{B256, UnixMillis};
use serde_json::json;

use crate::access::Caller;
use crate::coordinator::Coordinator;
use crate::error::OpError;
use crate::holds::HeldRequest;
use crate::ops::wallets::page_size;
use crate::records::{Record, of_request, page, put, request_key};
use crate::signings::Name;
use crate::waiting::{Case, Refused};

/// A request that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Waits {
    ForPeople(Case),
    ForTime(HeldRequest),
}

/// A page of the requests that wait, in the order of wallets and keys, after one of them. Whether there are more.
pub(crate) async fn list_approvals(
    core: &Coordinator,
    asked: u32,
    after: Option<Name>,
) -> Result<(Vec<Waits>, bool), OpError> {
    let (size, now) = (page_size(asked)?, core.clock.now());
    let read = core.db.read(move |read| {
        let after = after.map(|name| request_key(&name.wallet, name.key.as_str())).unwrap_or_default();
        let (cases, held) =
            (page::<Case>(read, &after, size + 1)?, page::<HeldRequest>(read, &after, size + 1)?);
        let mut all = BTreeMap::new();
        for held in held {
            all.insert(held.key(), Waits::ForTime(held));
        }
        for case in cases {
            // As [`Name::find`] has it.
            if !case.is_over(now) || !all.contains_key(&case.key()) {
                all.insert(case.key(), Waits::ForPeople(case));
            }
        }
        let more = all.len() > size;
        Ok((all.into_values().take(size).collect(), more))
    });
    read.await
}

/// One of them.
pub(crate) async fn get_approval(core: &Coordinator, name: Name) -> Result<Waits, OpError> {
    let now = core.clock.now();
    core.db.read(move |read| name.find(read, now)?.ok_or_else(|| name.unknown())).await
}

impl Name {
    /// What it waits for: for people, unless there they were asked in vain and time is what is left.
    pub(crate) fn find(&self, read: &dyn Read, now: UnixMillis) -> Result<Option<Waits>, OpError> {
        let case = of_request::<Case>(read, &self.wallet, &self.key)?;
        if let Some(case) = case.as_ref().filter(|case| !case.is_over(now)) {
            return Ok(Some(Waits::ForPeople(case.clone())));
        }
        let held = of_request::<HeldRequest>(read, &self.wallet, &self.key)?;
        Ok(held.map(Waits::ForTime).or(case.map(Waits::ForPeople)))
    }

    pub(super) fn unknown(&self) -> OpError {
        OpError::not_found("approval", format!("{} of {}", self.key, self.wallet))
    }

    /// Something that was done about it.
    pub(super) fn event(&self, kind: &'static str, payload_hash: B256) -> Event {
        Event::new(kind)
            .wallet(&self.wallet)
            .field("idempotency_key", json!(self.key.as_str()))
            .field("payload_hash", json!(payload_hash))
    }
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
    let now = core.clock.now();
    let write = core.db.update(move |txn| {
        let mut case = open(txn, &name, now)?;
        if document.body != case.body.as_bytes() {
            return Err(OpError::invalid("approval", "the body that was signed is not this case's"));
        }
        for signature in document.signatures {
            add(&mut case, signature, pinned.manifest())?;
        }
        put(txn, &case)?;
        let approved = case.approved(pinned.manifest());
        let approvers = approved.as_ref().map_or(&[][..], SignedApproval::approvers);
        let event = name.event("approval.added", case.payload_hash);
        let event = event.field("caller", json!(caller.0.to_string())).field("approved_by", json!(approvers));
        Ok((quorate_audit::append(txn, now, &event)?, case))
    });
    let ((receipt, case), synced) = write.await?;
    receipt.confirm(&synced);
    Ok(case)
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

/// A case that is not over.
fn open(read: &dyn Read, name: &Name, now: UnixMillis) -> Result<Case, OpError> {
    match name.find(read, now)?.ok_or_else(|| name.unknown())? {
        Waits::ForPeople(case) => {
            case.is_open(now)?;
            Ok(case)
        }
        Waits::ForTime(_) => {
            Err(OpError::conflict("approval", "it is on hold: it waits for time, and for nobody's yes"))
        }
    }
}

impl Case {
    /// Whether people can still say anything.
    ///
    /// # Errors
    /// A conflict where they cannot.
    pub(super) fn is_open(&self, now: UnixMillis) -> Result<(), OpError> {
        match &self.refused {
            Some(refused) => Err(already(refused)),
            None if self.is_over(now) => {
                Err(OpError::conflict("approval", "it came too late: the case has expired"))
            }
            None => Ok(()),
        }
    }
}

/// Whoever said no first.
pub(super) fn already(refused: &Refused) -> OpError {
    OpError::conflict("approval", format!("{} refused it already", refused.by))
}
