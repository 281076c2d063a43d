//! At the start: requests a stop or a crash left under way.
//!
//! One that was only reserved is voided, since no node was asked. One that was releasing stays spent: what its nodes did
//! is not known here. Its key is not lost. Asking again with it, and the same payload, is judged anew and run in a new
//! session under the spend already held, and the service node, which charges a payload once per hash, charges no more.

use quorate_audit::Event;
use quorate_ledger::State;
use quorate_types::{Transcript, UnixMillis};
use serde_json::json;

use crate::db::Db;
use crate::error::OpError;

/// Requests whose unknown outcome is in the log, each attempt once.
const TOLD: &str = "settle_told";

/// How many requests were found under way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Settled {
    pub(crate) voided: u64,
    pub(crate) left_spent: u64,
}

/// Settles them, in one transaction.
pub(crate) async fn settle(db: &Db, now: UnixMillis) -> Result<Settled, OpError> {
    let found = db.read(|read| Ok(quorate_ledger::in_flight(read)?)).await?;
    if found.is_empty() {
        return Ok(Settled::default());
    }
    let write = db.update(move |txn| {
        let mut settled = Settled::default();
        for (wallet, key, entry) in found {
            let event = match entry.state {
                State::Reserved => {
                    quorate_ledger::void(txn, &wallet, &key)?;
                    settled.voided += 1;
                    Event::new("sign.voided_at_start")
                }
                State::Releasing | State::Done | State::Void => {
                    settled.left_spent += 1;
                    let told = Transcript::new("quorate/settle/v1")
                        .field(wallet.as_str().as_bytes())
                        .field(key.as_str().as_bytes())
                        .field(&entry.attempt.to_be_bytes())
                        .finish();
                    if txn.get(TOLD, told.as_slice())?.is_some() {
                        continue;
                    }
                    txn.put(TOLD, told.as_slice(), &[])?;
                    Event::new("sign.outcome_unknown")
                }
            };
            let event = event
                .wallet(&wallet)
                .field("idempotency_key", json!(key))
                .field("payload_hash", json!(entry.payload_hash));
            let _nothing_waits_for_it = quorate_audit::append(txn, now, &event)?;
        }
        Ok(settled)
    });
    let (settled, _synced) = write.await?;
    Ok(settled)
}
