//! The transaction that used a signature, where somebody else made it: an authorization is submitted by its payee, or by
//! whoever settles for them. Nobody here can check it, so it is written down as the word of who asked for the signature.

use std::ops::ControlFlow;

use quorate_audit::Event;
use quorate_ledger::{Entry, IdempotencyKey, State};
use quorate_proto::v1;
use quorate_proto::v1::sign_response::Outcome;
use quorate_store::Read;
use quorate_types::{B256, WalletId};
use serde_json::json;

use crate::access::Caller;
use crate::coordinator::Coordinator;
use crate::error::OpError;
use crate::ops::sign::repeat;
use crate::ops::signed::transaction_hash;
use crate::records::{TransactionRecord, WalletRecord, get, of_request, put};

/// What a caller says about one request.
pub(crate) struct Told {
    pub(crate) wallet: WalletId,
    pub(crate) key: IdempotencyKey,
    pub(crate) transaction_hash: B256,
    pub(crate) chain_id: Option<u64>,
}

/// Writes it down, once for each request that was signed. No budget changes by it.
///
/// # Errors
/// [`OpError::NotFound`] where nothing was asked under that key, [`OpError::Conflict`] where nothing was signed, or another
/// transaction is known, naming the field; [`OpError::Invalid`] where the chain is not the one the request moves money on.
pub(crate) async fn record_transaction(
    core: &Coordinator,
    caller: Caller,
    told: Told,
) -> Result<v1::RecordTransactionResponse, OpError> {
    let now = core.clock.now();
    let write = core.db.update_or_leave(move |txn| {
        let (entry, answer) = signed(txn, &told)?;
        let chain_id = chain_of(&entry, told.chain_id)?;
        if let Some(known) = known(txn, (&told, chain_id), answer)? {
            return Ok(ControlFlow::Break(known.confirmed(&told)?));
        }
        let event = event(txn, &caller, (&told, chain_id), &entry)?;
        // The record names the entry, so that the answer is the same whenever it is given.
        let (receipt, head) = quorate_audit::append_named(txn, now, &event)?;
        let record = TransactionRecord {
            wallet: told.wallet,
            key: told.key.to_string(),
            transaction_hash: told.transaction_hash,
            chain_id,
            sequence: head.sequence,
            entry_hash: head.hash,
        };
        put(txn, &record)?;
        Ok(ControlFlow::Continue((receipt, Known::from(record))))
    });
    Ok(match write.await? {
        ControlFlow::Continue(((receipt, known), synced)) => {
            receipt.confirm(&synced);
            known
        }
        ControlFlow::Break(known) => known,
    }
    .answer())
}

/// A transaction that is on record.
struct Known {
    transaction_hash: B256,
    chain_id: Option<u64>,
    receipt: Option<v1::Receipt>,
}

impl Known {
    /// Itself, where it is what the caller says.
    fn confirmed(self, told: &Told) -> Result<Self, OpError> {
        if self.transaction_hash != told.transaction_hash {
            let reason = format!("{} is on record for this request", self.transaction_hash);
            return Err(OpError::conflict("transaction_hash", reason));
        }
        match (self.chain_id, told.chain_id) {
            (Some(known), Some(told)) if known != told => {
                Err(OpError::conflict("chain_id", format!("it is on record on chain {known}")))
            }
            _ => Ok(self),
        }
    }

    fn answer(self) -> v1::RecordTransactionResponse {
        let (transaction_hash, chain_id) = (self.transaction_hash.to_vec(), self.chain_id);
        v1::RecordTransactionResponse { transaction_hash, chain_id, receipt: self.receipt }
    }
}

impl From<TransactionRecord> for Known {
    fn from(record: TransactionRecord) -> Self {
        let TransactionRecord { transaction_hash, chain_id, sequence, entry_hash, .. } = record;
        let receipt = Some(v1::Receipt { sequence, hash: entry_hash.to_vec() });
        Self { transaction_hash, chain_id, receipt }
    }
}

/// The request under that key, and how it was answered, where that is a signature.
fn signed(read: &dyn Read, told: &Told) -> Result<(Entry, v1::SignResponse), OpError> {
    let entry = quorate_ledger::lookup(read, &told.wallet, &told.key)?;
    let entry = entry.ok_or_else(|| OpError::not_found("request", &told.key))?;
    let answer = entry.answer.as_deref().filter(|_| entry.state == State::Done);
    let unsigned = || OpError::conflict("idempotency_key", "nothing was signed under it");
    let answer = repeat(answer.ok_or_else(unsigned)?)?;
    Ok((entry, answer))
}

/// What is on record of the transaction already: it was signed here, or somebody said it before.
fn known(
    read: &dyn Read,
    (told, chain_id): (&Told, Option<u64>),
    answer: v1::SignResponse,
) -> Result<Option<Known>, OpError> {
    if let Some(Outcome::Signed(signed)) = &answer.outcome
        && let Some(hash) = transaction_hash(signed)
    {
        return Ok(Some(Known { transaction_hash: hash, chain_id, receipt: answer.receipt }));
    }
    let record = of_request::<TransactionRecord>(read, &told.wallet, &told.key)?;
    Ok(record.map(Known::from))
}

/// The chain the request moves money on, or the one the caller says where it moves none.
fn chain_of(entry: &Entry, told: Option<u64>) -> Result<Option<u64>, OpError> {
    let moved = entry.charges.first().map(|charge| charge.asset.chain);
    match (moved, told) {
        (Some(moved), Some(told)) if moved != told => {
            Err(OpError::invalid("chain_id", format!("the request moves money on chain {moved}")))
        }
        _ => Ok(moved.or(told)),
    }
}

fn event(
    read: &dyn Read,
    caller: &Caller,
    (told, chain_id): (&Told, Option<u64>),
    entry: &Entry,
) -> Result<Event, OpError> {
    let wallet = get::<WalletRecord>(read, told.wallet.as_str().as_bytes())?;
    let wallet = wallet.ok_or_else(|| OpError::not_found("wallet", &told.wallet))?;
    Ok(Event::new("sign.transaction")
        .wallet(&told.wallet)
        .field("agent", json!(wallet.agent))
        .field("idempotency_key", json!(told.key))
        .field("payload_hash", json!(entry.payload_hash))
        .field("transaction_hash", json!(told.transaction_hash))
        .field("chain_id", json!(chain_id))
        .field("asserted_by", json!(caller.0.to_string())))
}
