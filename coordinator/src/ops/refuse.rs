//! No, to a request that waits. It is told to whoever asks again, once; after that the request may be asked anew.

use quorate_audit::{Event, PendingReceipt};
use quorate_ledger::State;
use quorate_proto::v1;
use quorate_proto::v1::relay_frame::Frame;
use quorate_store::Txn;
use quorate_types::UnixMillis;
use serde_json::json;

use super::approvals::{Name, Waits, already};
use crate::access::Caller;
use crate::coordinator::Coordinator;
use crate::error::OpError;
use crate::holds::HeldRequest;
use crate::records::{WalletRecord, get, put};
use crate::waiting::{Case, Refused};

const MAX_REASON: usize = 200;

/// Ends a case, or a hold.
///
/// # Errors
/// Not found where nothing waits under that name; a conflict where it is over, or being signed.
pub(crate) async fn refuse(
    core: &Coordinator,
    caller: Caller,
    (name, reason): (Name, String),
) -> Result<Waits, OpError> {
    if !(1..=MAX_REASON).contains(&reason.chars().count()) || reason.chars().any(char::is_control) {
        return Err(OpError::invalid("reason", format!("must be 1 to {MAX_REASON} characters on one line")));
    }
    let (now, refused) = (core.clock.now(), Refused { by: caller.0.to_string(), reason });
    let write = core.db.update(move |txn| {
        let entry = quorate_ledger::lookup(txn, &name.wallet, &name.key)?;
        if entry.is_some_and(|entry| entry.state != State::Void) {
            return Err(OpError::conflict("approval", "it waits no more: it is being signed, or was"));
        }
        match name.find(txn, now)?.ok_or_else(|| name.unknown())? {
            Waits::ForPeople(case) => refuse_case(txn, &name, (case, refused), now),
            Waits::ForTime(held) => refuse_hold(txn, &name, (held, refused), now),
        }
    });
    let ((receipt, waits), synced) = write.await?;
    receipt.confirm(&synced);
    if let Waits::ForTime(held) = &waits {
        tell_the_service_node(core, held).await?;
    }
    Ok(waits)
}

type Written = (PendingReceipt, Waits);

fn refuse_case(
    txn: &mut dyn Txn,
    name: &Name,
    (mut case, refused): (Case, Refused),
    now: UnixMillis,
) -> Result<Written, OpError> {
    case.is_open(now)?;
    let event = said(name.event("approval.refused", case.payload_hash), &refused);
    case.refused = Some(refused);
    put(txn, &case)?;
    Ok((quorate_audit::append(txn, now, &event)?, Waits::ForPeople(case)))
}

/// Whoever asks for the same payload under another key waits from the beginning, too.
fn refuse_hold(
    txn: &mut dyn Txn,
    name: &Name,
    (mut held, refused): (HeldRequest, Refused),
    now: UnixMillis,
) -> Result<Written, OpError> {
    if let Some(before) = &held.refused {
        return Err(already(before));
    }
    let event = said(name.event("hold.refused", held.payload_hash), &refused);
    quorate_ledger::end_hold(txn, &held.wallet, held.payload_hash)?;
    held.refused = Some(refused);
    put(txn, &held)?;
    Ok((quorate_audit::append(txn, now, &event)?, Waits::ForTime(held)))
}

fn said(event: Event, refused: &Refused) -> Event {
    event.field("caller", json!(refused.by)).field("reason", json!(refused.reason))
}

/// Its own hold would go on. One that is away keeps it; what it lets pass still passes no gate before a new hold is over.
async fn tell_the_service_node(core: &Coordinator, held: &HeldRequest) -> Result<(), OpError> {
    let wallet = held.wallet.clone();
    let wallet = core.db.read(move |read| get::<WalletRecord>(read, wallet.as_str().as_bytes())).await?;
    let service = wallet.and_then(|wallet| Some(core.group(&wallet.group).ok()?.service));
    let ended = || v1::EndHold { wallet: held.wallet.to_string(), payload_hash: held.payload_hash.to_vec() };
    let told =
        service.and_then(|service| core.nodes.link(&service)).map(|link| link.offer(Frame::EndHold(ended())));
    if !matches!(told, Some(Ok(_))) {
        tracing::warn!(wallet = %held.wallet, ?told, "the service node was not told that a hold was refused");
    }
    Ok(())
}
