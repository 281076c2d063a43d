//! What a wallet did before, as the rules that count see it. They read it and change nothing.

use std::ops::ControlFlow;

use quorate_intent::{AssetId, ChainId, Once};
use quorate_types::{Address, AgentId, U256, UnixMillis, WalletId};

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// Base units of this asset.
    Asset(AssetId),
    /// Wei that may be burnt as fee on this chain.
    Fee(ChainId),
    /// Signatures: each is one.
    Signatures,
    /// Requests that were denied: each is one.
    Denied,
}

/// Something that was approved before and counts, or was denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Past {
    /// When it counts, in Unix milliseconds.
    pub at: UnixMillis,
    /// Base units, or 1 for a signature and for a denied attempt.
    pub amount: U256,
    /// Who was paid, or allowed to take. `None` is not known, and counts for everybody.
    pub payee: Option<Address>,
}

impl Past {
    /// Whether it counts where only this payee's do; `None`: whoever was paid.
    pub fn is_for(&self, payee: Option<Address>) -> bool {
        payee.is_none() || self.payee.is_none() || self.payee == payee
    }
}

/// A ledger, without the request that is being decided about: one that was counted before must not be counted twice.
///
/// Limits hold only where this is read in the very transaction that records what they allowed.
pub trait History {
    /// Why it could not be read. Nothing is decided then.
    type Error;

    /// Whether `wallet` was allowed to sign something with another effect for the same place.
    ///
    /// # Errors
    /// [`History::Error`] where it cannot be read.
    fn place_is_taken(&self, wallet: &WalletId, once: &Once) -> Result<bool, Self::Error>;

    /// Visits what `wallet` did at or after `since`, in ascending order of time, until `each` breaks.
    ///
    /// # Errors
    /// [`History::Error`] where it cannot be read to the end. What was visited before is genuine.
    fn visit(
        &self,
        wallet: &WalletId,
        counted: Counted,
        since: UnixMillis,
        each: &mut dyn FnMut(Past) -> ControlFlow<()>,
    ) -> Result<(), Self::Error>;

    /// The sum of what counts at or after `since` for `payee`, or for whoever was paid; `None` where it is beyond 256 bits.
    /// Exactly what [`add_up`] says, which a ledger that knows sooner need not ask.
    ///
    /// # Errors
    /// [`History::Error`] where it cannot be told.
    fn sum(
        &self,
        wallet: &WalletId,
        counted: Counted,
        payee: Option<Address>,
        since: UnixMillis,
    ) -> Result<Option<U256>, Self::Error> {
        add_up(self, (wallet, counted), payee, since)
    }

    /// The sum of what counts at or after `since` for all wallets of `agent` together, whoever was paid: of `wallet`, which is
    /// one of them and the one that is asked, as [`sum`](Self::sum) says it, and all of each other's, whatever its origin. None
    /// where it is beyond 256 bits, or the agent has more wallets than can be added up.
    ///
    /// # Errors
    /// [`History::Error`] where it cannot be told.
    fn sum_of_agent(
        &self,
        of: (&AgentId, &WalletId),
        counted: Counted,
        since: UnixMillis,
    ) -> Result<Option<U256>, Self::Error>;
}

/// [`History::sum`], by visiting all there is.
///
/// # Errors
/// [`History::Error`] where it cannot be read to the end.
pub fn add_up<H: History + ?Sized>(
    history: &H,
    (wallet, counted): (&WalletId, Counted),
    payee: Option<Address>,
    since: UnixMillis,
) -> Result<Option<U256>, H::Error> {
    let mut sum = Some(U256::ZERO);
    history.visit(wallet, counted, since, &mut |past| {
        if past.is_for(payee) {
            sum = sum.and_then(|sum| sum.checked_add(past.amount));
        }
        if sum.is_some() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(sum)
}
