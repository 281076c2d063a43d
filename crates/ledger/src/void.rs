//! Giving budget back, only where nothing can have been signed.

use quorate_store::Txn;
use quorate_types::{NodeId, WalletId};

use crate::entry::{Progress, Record, require, write};
use crate::once;
use crate::origin::Origin;
use crate::spend::forget;
use crate::{IdempotencyKey, LedgerError, State};

/// No node was named.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("nothing released: name every node that was asked")]
pub struct NothingReleasedError;

/// The caller's word that one attempt at a request released nothing. Making one without cause gives away budget
/// that may have been spent.
#[derive(Debug, PartialEq, Eq)]
pub struct NothingReleased {
    wallet: WalletId,
    key: IdempotencyKey,
    attempt: u32,
    nodes: Vec<NodeId>,
}

impl NothingReleased {
    /// Asserts that *every* node that was, or may have been, asked to sign in `attempt` is in `nodes`, and that each
    /// of them has said, over its authenticated channel, that no contribution of its own has left and none will. What an
    /// agent node contributed through a pool, to the caller and no further, is none where the caller lets go of it.
    /// Silence, a lost connection or a timeout is not such an answer. `attempt` is [`Releasing::attempt`] or, after a
    /// restart, [`Entry::attempt`].
    ///
    /// [`Releasing::attempt`]: crate::Releasing::attempt
    /// [`Entry::attempt`]: crate::Entry::attempt
    ///
    /// # Errors
    /// [`NothingReleasedError`] where `nodes` is empty.
    pub fn said_by(
        nodes: Vec<NodeId>,
        wallet: WalletId,
        key: IdempotencyKey,
        attempt: u32,
    ) -> Result<Self, NothingReleasedError> {
        if nodes.is_empty() {
            return Err(NothingReleasedError);
        }
        Ok(Self { wallet, key, attempt, nodes })
    }

    /// The nodes that said so, for the record.
    pub fn nodes(&self) -> &[NodeId] {
        &self.nodes
    }
}

/// Gives up a request that is [`State::Reserved`]: no node was asked, so its budget comes back. Voiding a void
/// request changes nothing.
///
/// # Errors
/// [`LedgerError::NotFound`], or [`LedgerError::State`] where nodes may have been asked or it is answered; otherwise
/// where the store fails or a record is malformed.
pub fn void(txn: &mut dyn Txn, wallet: &WalletId, key: &IdempotencyKey) -> Result<(), LedgerError> {
    let record = require(txn, wallet, key)?;
    match record.state() {
        State::Void => Ok(()),
        State::Reserved => give_back(txn, wallet, key, record),
        found => Err(LedgerError::State { step: "void", found }),
    }
}

/// Gives up a request that is [`State::Releasing`], on the word of its nodes.
///
/// # Errors
/// [`LedgerError::Attempt`] where the proof is of another attempt, [`LedgerError::NotFound`], or
/// [`LedgerError::State`] where the request is not releasing; otherwise where the store fails or a record is
/// malformed.
pub fn void_releasing(txn: &mut dyn Txn, proof: NothingReleased) -> Result<(), LedgerError> {
    let NothingReleased { wallet, key, attempt, .. } = proof;
    let record = require(txn, &wallet, &key)?;
    if record.attempt != attempt {
        return Err(LedgerError::Attempt { found: record.attempt, proof: attempt });
    }
    match record.state() {
        State::Releasing => give_back(txn, &wallet, &key, record),
        found => Err(LedgerError::State { step: "void", found }),
    }
}

fn give_back(
    txn: &mut dyn Txn,
    wallet: &WalletId,
    key: &IdempotencyKey,
    mut record: Record,
) -> Result<(), LedgerError> {
    let origin = Origin::Request(key);
    forget(txn, wallet, &origin, record.spend())?;
    if let Some(once) = &record.once {
        once::leave(txn, wallet, once, &origin)?;
    }
    record.progress = Progress::Void;
    write(txn, wallet, key, &record)
}
