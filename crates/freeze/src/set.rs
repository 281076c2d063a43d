//! What is frozen.

use std::collections::BTreeMap;

use quorate_intent::Intent;
use quorate_manifest::MAX_LEAP;
use quorate_types::{AgentId, B256, Transcript, WalletId};

use crate::{FreezeError, Scope, SignedFreeze};

/// Most scopes orders are kept for, lifted ones too. `all` has room besides.
pub const MAX_SCOPES: usize = 10_000;

/// The order that counts for each scope.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FrozenSet(BTreeMap<Scope, SignedFreeze>);

impl FrozenSet {
    /// Takes an order in. Whether it changes anything: the one that counts already is accepted again, without effect.
    ///
    /// # Errors
    /// [`FreezeError::Stale`] or [`FreezeError::Fork`] where it does not come after the one that counts for its scope;
    /// [`FreezeError::Leap`] where it comes much too far after it, unless it retires; [`FreezeError::Retired`] where nothing can; [`FreezeError::TooMany`] where there is no room.
    pub fn apply(&mut self, order: SignedFreeze) -> Result<bool, FreezeError> {
        if !self.would_change(&order)? {
            return Ok(false);
        }
        self.0.insert(order.scope().clone(), order);
        Ok(true)
    }

    /// Takes back in what this machine obeyed before.
    pub fn restore(&mut self, order: SignedFreeze) {
        self.0.insert(order.scope().clone(), order);
    }

    /// Whether [`FrozenSet::apply`] would change anything.
    ///
    /// # Errors
    /// As [`FrozenSet::apply`].
    pub fn would_change(&self, order: &SignedFreeze) -> Result<bool, FreezeError> {
        let scope = order.scope();
        let seen = self.0.get(scope).map_or(0, SignedFreeze::sequence);
        if !order.is_retirement() && order.sequence() > seen.saturating_add(MAX_LEAP) {
            return Err(FreezeError::Leap { scope: scope.clone(), seen, offered: order.sequence() });
        }
        let Some(present) = self.0.get(scope) else {
            let full = self.0.len() >= MAX_SCOPES && *scope != Scope::All;
            return if full { Err(FreezeError::TooMany(MAX_SCOPES)) } else { Ok(true) };
        };
        if present.hash() == order.hash() {
            return Ok(false);
        }
        if present.is_retirement() {
            // Retired is retired, whoever says it again.
            return if order.is_retirement() { Ok(false) } else { Err(FreezeError::Retired(scope.clone())) };
        }
        if order.rank() > present.rank() {
            return Ok(true);
        }
        let (scope, seen, offered) = (scope.clone(), present.sequence(), order.sequence());
        if order.rank() == present.rank() {
            return Err(FreezeError::Fork { scope, sequence: seen });
        }
        Err(FreezeError::Stale { scope, seen, offered })
    }

    /// The orders that stop this: empty where none does.
    pub fn covering<'a>(
        &'a self,
        wallet: &'a WalletId,
        agent: &'a AgentId,
        intent: &'a Intent,
    ) -> impl Iterator<Item = &'a SignedFreeze> {
        self.0.values().filter(|order| order.is_freeze() && order.scope().covers(wallet, agent, intent))
    }

    /// Names the orders that count for a wallet as a whole: for all, for its agent and for itself. It changes with each order
    /// about one of them, and never comes back to what it was.
    pub fn standing(&self, wallet: &WalletId, agent: &AgentId) -> B256 {
        let scopes = [Scope::All, Scope::Agent(agent.clone()), Scope::Wallet(wallet.clone())];
        let transcript = Transcript::new("quorate/freeze-standing/v1");
        let of = |scope| self.0.get(scope).map(SignedFreeze::hash).unwrap_or_default();
        scopes.iter().fold(transcript, |transcript, scope| transcript.field(of(scope).as_slice())).finish()
    }

    /// Names the orders that count for signing `intent` with this wallet. It changes with each order that covers it, freezing
    /// or lifting, and never comes back to what it was.
    pub fn standing_over(&self, wallet: &WalletId, agent: &AgentId, intent: &Intent) -> B256 {
        let about = self.0.values().filter(|order| order.scope().covers(wallet, agent, intent));
        let transcript = Transcript::new("quorate/freeze-standing-over/v1");
        about.fold(transcript, |transcript, order| transcript.field(order.hash().as_slice())).finish()
    }

    /// The order that counts for each scope, freezing or lifting, in the order of scopes.
    pub fn orders(&self) -> impl Iterator<Item = &SignedFreeze> {
        self.0.values()
    }

    /// The highest sequence number of any of them; 0 where there is none.
    pub fn highest(&self) -> u64 {
        self.0.values().map(SignedFreeze::sequence).max().unwrap_or(0)
    }
}
