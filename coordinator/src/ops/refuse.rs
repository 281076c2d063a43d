//! No, to a request that waits. It is told to whoever asks again, once, before anything is signed; after that the request may be
//! asked anew.

use quorate_audit::PendingReceipt;
use quorate_ledger::{IdempotencyKey, State};
use quorate_proto::v1;
use quorate_proto::v1::relay_frame::Frame;
use quorate_store::Txn;
use quorate_types::{UnixMillis, WalletId};
use serde_json::json;

use super::approvals::{Waits, already};
use crate::access::Caller;
use crate::coordinator::Coordinator;
use crate::error::OpError;
use crate::holds::HeldRequest;
use crate::link::Link;
use crate::records::{Record, WalletRecord, get, of_request, page, put};
use crate::signings::Name;
use crate::waiting::{Case, Refused};

const MAX_REASON: usize = 200;
/// Requests on hold that are read at once.
const PAGE: usize = 100;

/// A no that is on record.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) waits: Waits,
    /// Something of the same payload was under way already, or over.
    pub(crate) may_be_late: bool,
}

/// Ends what a request waits for: its case, its hold, or both.
///
/// # Errors
/// Not found where nothing waits under that name; a conflict where it is over, or was signed.
pub(crate) async fn refuse(
    core: &Coordinator,
    caller: Caller,
    (name, reason): (Name, String),
) -> Result<Said, OpError> {
    if !(1..=MAX_REASON).contains(&reason.chars().count()) || reason.chars().any(char::is_control) {
        return Err(OpError::invalid("reason", format!("must be 1 to {MAX_REASON} characters on one line")));
    }
    let (now, refused) = (core.clock.now(), Refused { by: caller.0.to_string(), reason });
    let write = core.db.update(move |txn| say(txn, &name, refused, now));
    let ((receipts, said, held), synced) = write.await?;
    for receipt in receipts {
        receipt.confirm(&synced);
    }
    if let Some(held) = held {
        tell_the_service_node(core, &held).await;
    }
    Ok(said)
}

type Written = (Vec<PendingReceipt>, Said, Option<HeldRequest>);

fn say(txn: &mut dyn Txn, name: &Name, refused: Refused, now: UnixMillis) -> Result<Written, OpError> {
    let stands = state(txn, &name.wallet, &name.key)?;
    if stands == Some(State::Done) {
        return Err(OpError::conflict("approval", "it waits no more: it was signed"));
    }
    let case = of_request::<Case>(txn, &name.wallet, &name.key)?;
    let held = of_request::<HeldRequest>(txn, &name.wallet, &name.key)?;
    let open =
        (case.clone().filter(|case| !case.is_over(now)), held.clone().filter(|held| held.refused.is_none()));
    if let (None, None) = open {
        return Err(over(name, case, held, now));
    }
    let (mut receipts, mut may_be_late) = (Vec::new(), stands == Some(State::Releasing));
    let (case, held) = open;
    let case = case.map(|case| Case { refused: Some(refused.clone()), ..case });
    let held = held.map(|held| HeldRequest { refused: Some(refused.clone()), ..held });
    let mut write = |txn: &mut dyn Txn, kind, payload_hash| -> Result<(), OpError> {
        let event = name.event(kind, payload_hash);
        let event = event.field("caller", json!(refused.by)).field("reason", json!(refused.reason));
        receipts.push(quorate_audit::append(txn, now, &event)?);
        Ok(())
    };
    if let Some(case) = &case {
        put(txn, case)?;
        write(txn, "approval.refused", case.payload_hash)?;
    }
    if let Some(held) = &held {
        // Whoever asks for the same payload under another key waits from the beginning, too.
        may_be_late |= !held.end(txn)?;
        for sibling in held.siblings(txn)? {
            let key = sibling.key.parse().map_err(|_| OpError::defect("a key on record that is none"))?;
            may_be_late |= state(txn, &sibling.wallet, &key)? == Some(State::Releasing);
        }
        put(txn, held)?;
        write(txn, "hold.refused", held.payload_hash)?;
    }
    let waits = case.map(Waits::ForPeople).or(held.clone().map(Waits::ForTime));
    let waits = waits.ok_or_else(|| OpError::defect("a no to nothing"))?;
    Ok((receipts, Said { waits, may_be_late }, held))
}

/// Why there is nothing to say no to.
fn over(name: &Name, case: Option<Case>, held: Option<HeldRequest>, now: UnixMillis) -> OpError {
    match held.and_then(|held| held.refused) {
        Some(refused) => already(&refused),
        None => match case.map(|case| case.is_open(now)) {
            Some(Err(over)) => over,
            _ => name.unknown(),
        },
    }
}

fn state(txn: &dyn Txn, wallet: &WalletId, key: &IdempotencyKey) -> Result<Option<State>, OpError> {
    Ok(quorate_ledger::lookup(txn, wallet, key)?.map(|entry| entry.state))
}

/// Its own hold would go on. One that is away hears of it when it is back, where the caller has not by then; what its hold lets
/// pass still passes no gate before a new one is over.
async fn tell_the_service_node(core: &Coordinator, held: &HeldRequest) {
    let wallet = held.wallet.clone();
    let record = core.db.read(move |read| get::<WalletRecord>(read, wallet.as_str().as_bytes())).await;
    let service = record.ok().flatten().and_then(|wallet| Some(core.group(&wallet.group).ok()?.service));
    let told = service.and_then(|service| core.nodes.link(&service)).map(|link| link.offer(ended(held)));
    if !matches!(told, Some(Ok(_))) {
        tracing::warn!(wallet = %held.wallet, ?told, "the service node was not told that a hold was refused");
    }
}

fn ended(held: &HeldRequest) -> Frame {
    Frame::EndHold(v1::EndHold { wallet: held.wallet.to_string(), payload_hash: held.payload_hash.to_vec() })
}

/// Tells a service node that was away which of its wallets' holds somebody said no to, of those whose callers have not heard it.
pub(crate) async fn tell_missed(core: &Coordinator, link: &Link) -> Result<(), OpError> {
    let mut after = Vec::new();
    loop {
        let from = after.clone();
        let held = core.db.read(move |read| {
            let with_wallet = |held: HeldRequest| {
                let wallet = get::<WalletRecord>(read, held.wallet.as_str().as_bytes())?;
                Ok((held, wallet))
            };
            page::<HeldRequest>(read, &from, PAGE)?
                .into_iter()
                .map(with_wallet)
                .collect::<Result<Vec<_>, OpError>>()
        });
        let held = held.await?;
        let Some((last, _)) = held.last() else { return Ok(()) };
        after = last.key();
        for (held, wallet) in held.iter().filter(|(held, _)| held.refused.is_some()) {
            let group = wallet.as_ref().and_then(|wallet| core.group(&wallet.group).ok());
            if group.is_some_and(|group| group.service == *link.node()) && link.offer(ended(held)).is_err() {
                tracing::warn!(wallet = %held.wallet, "the service node was not told that a hold was refused");
            }
        }
    }
}
