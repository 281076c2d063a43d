//! A request as the ledger keeps it.

use std::fmt;
use std::ops::ControlFlow;

use quorate_intent::{Charge, Once};
use quorate_store::{Read, Txn};
use quorate_types::{B256, UnixMillis, WalletId};
use serde::{Deserialize, Serialize};

use crate::origin::Origin;
use crate::record::{ENTRIES, IN_FLIGHT, decode, decode_version, encode, key_of};
use crate::spend::Spend;
use crate::{IdempotencyKey, LedgerError};

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Its spend is counted; no node has been asked for anything yet.
    Reserved,
    /// Nodes may have been asked: the spend stands unless every one of them says that nothing left.
    Releasing,
    /// Answered; the spend stands for ever.
    Done,
    /// Given up; its spend no longer counts, and the same payload may be tried again.
    Void,
}

impl State {
    /// The state's name: `reserved`, `releasing`, `done` or `void`.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Reserved => "reserved",
            State::Releasing => "releasing",
            State::Done => "done",
            State::Void => "void",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A recorded request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands.
    pub state: State,
    /// The payload the key names, for ever.
    pub payload_hash: B256,
    /// The answer; set exactly where `state` is [`State::Done`].
    pub answer: Option<Vec<u8>>,
    /// When it was answered; set exactly where `state` is [`State::Done`].
    pub answered_at: Option<UnixMillis>,
    /// What it spends, as reserved: nothing where another payload with its place and effect stood already, or where its
    /// authorization ended unused while it was under way.
    pub charges: Vec<Charge>,
    /// When its spend was reserved; the spend counts at this time.
    pub at: UnixMillis,
    /// Which reservation under this key it is, from 1: one more each time a voided request is tried again.
    pub attempt: u32,
}

#[derive(Serialize, Deserialize)]
pub(crate) enum Progress {
    Reserved,
    Releasing,
    Done { answer: Vec<u8>, at: UnixMillis },
    Void,
}

/// The record behind an [`Entry`]: here an answer cannot exist without the state that has one.
#[derive(Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) attempt: u32,
    pub(crate) payload_hash: B256,
    pub(crate) charges: Vec<Charge>,
    pub(crate) at: UnixMillis,
    pub(crate) progress: Progress,
    /// What counts of its fee.
    pub(crate) fee: Option<Charge>,
    pub(crate) once: Option<Once>,
}

/// The same in version 1: neither fee nor place.
#[derive(Deserialize)]
struct RecordV1 {
    attempt: u32,
    payload_hash: B256,
    charges: Vec<Charge>,
    at: UnixMillis,
    progress: Progress,
}

impl From<RecordV1> for Record {
    fn from(record: RecordV1) -> Self {
        let RecordV1 { attempt, payload_hash, charges, at, progress } = record;
        Self { attempt, payload_hash, charges, at, progress, fee: None, once: None }
    }
}

impl Record {
    /// What it counts, whoever is paid.
    pub(crate) fn spend(&self) -> Spend<'_> {
        Spend { charges: &self.charges, fee: self.fee.as_ref(), payee: None, at: self.at }
    }

    pub(crate) const fn state(&self) -> State {
        match self.progress {
            Progress::Reserved => State::Reserved,
            Progress::Releasing => State::Releasing,
            Progress::Done { .. } => State::Done,
            Progress::Void => State::Void,
        }
    }
}

impl From<Record> for Entry {
    fn from(record: Record) -> Self {
        let state = record.state();
        let (answer, answered_at) = match record.progress {
            Progress::Done { answer, at } => (Some(answer), Some(at)),
            Progress::Reserved | Progress::Releasing | Progress::Void => (None, None),
        };
        let Record { attempt, payload_hash, charges, at, .. } = record;
        Self { state, payload_hash, answer, answered_at, charges, at, attempt }
    }
}

fn entry_key(wallet: &WalletId, key: &IdempotencyKey) -> Vec<u8> {
    key_of(&[wallet.as_str().as_bytes(), key.as_str().as_bytes()])
}

pub(crate) fn read(
    r: &dyn Read,
    wallet: &WalletId,
    key: &IdempotencyKey,
) -> Result<Option<Record>, LedgerError> {
    let bytes = r.get(ENTRIES, &entry_key(wallet, key))?;
    bytes.map(|bytes| record(&bytes)).transpose()
}

fn record(bytes: &[u8]) -> Result<Record, LedgerError> {
    match bytes.first() {
        Some(1) => Ok(decode_version::<RecordV1>(1, ENTRIES, bytes)?.into()),
        _ => decode(ENTRIES, bytes),
    }
}

/// Reads a record that a step stands on.
pub(crate) fn require(r: &dyn Read, wallet: &WalletId, key: &IdempotencyKey) -> Result<Record, LedgerError> {
    read(r, wallet, key)?.ok_or(LedgerError::NotFound)
}

/// Writes the record and keeps the index of requests in flight in step with it.
pub(crate) fn write(
    txn: &mut dyn Txn,
    wallet: &WalletId,
    key: &IdempotencyKey,
    record: &Record,
) -> Result<(), LedgerError> {
    let place = entry_key(wallet, key);
    txn.put(ENTRIES, &place, &encode(ENTRIES, record)?)?;
    match record.state() {
        State::Reserved | State::Releasing => {
            txn.put(IN_FLIGHT, &place, &encode(IN_FLIGHT, &(wallet, key))?)?;
        }
        State::Done | State::Void => txn.delete(IN_FLIGHT, &place)?,
    }
    Ok(())
}

/// The request recorded under `key`, where there is one.
///
/// # Errors
/// [`LedgerError`] where the store fails or the record is malformed.
pub fn lookup(r: &dyn Read, wallet: &WalletId, key: &IdempotencyKey) -> Result<Option<Entry>, LedgerError> {
    Ok(read(r, wallet, key)?.map(Entry::from))
}

/// Every request that is [`State::Reserved`] or [`State::Releasing`]: what a restart has to settle. One that is
/// reserved can be voided; one that is releasing stays spent until its nodes have been asked.
///
/// # Errors
/// [`LedgerError`] where the store fails or a record is malformed.
pub fn in_flight(r: &dyn Read) -> Result<Vec<(WalletId, IdempotencyKey, Entry)>, LedgerError> {
    let mut rows = Vec::new();
    r.scan(IN_FLIGHT, &[], &[], &mut |place, name| {
        rows.push((place.to_vec(), name.to_vec()));
        ControlFlow::Continue(())
    })?;
    let malformed = || LedgerError::Malformed { table: IN_FLIGHT };
    let mut found = Vec::new();
    for (place, name) in rows {
        let (wallet, key): (WalletId, IdempotencyKey) = decode(IN_FLIGHT, &name)?;
        if entry_key(&wallet, &key) != place {
            return Err(malformed());
        }
        let entry = Entry::from(read(r, &wallet, &key)?.ok_or_else(malformed)?);
        if !matches!(entry.state, State::Reserved | State::Releasing) {
            return Err(malformed());
        }
        found.push((wallet, key, entry));
    }
    Ok(found)
}

/// Notes of the request under way that has this origin that what it moves counts no more: giving it up takes nothing back.
pub(crate) fn counts_nothing(txn: &mut dyn Txn, wallet: &WalletId, origin: B256) -> Result<(), LedgerError> {
    let of = |(of, key, _): &(WalletId, IdempotencyKey, Entry)| {
        of == wallet && Origin::Request(key).hash() == origin
    };
    let found = in_flight(txn)?.into_iter().find(of);
    let (_, key, _) = found.ok_or(LedgerError::Malformed { table: IN_FLIGHT })?;
    let mut record = require(txn, wallet, &key)?;
    record.charges.clear();
    write(txn, wallet, &key, &record)
}
