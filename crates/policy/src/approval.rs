//! The proof that a policy said yes.

use std::marker::PhantomData;

use quorate_intent::{Charge, Once};
use quorate_types::{Address, AgentId, B256, UnixMillis, WalletId};

use crate::{Counter, Tier};

/// Every rule was asked, those that count among them. A ledger takes no other approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {}

/// Every rule was asked but those that count: all that a node without a ledger can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stateless {}

/// A yes, [`Full`] or [`Stateless`]. Only [`evaluate`](crate::evaluate()) and
/// [`evaluate_stateless`](crate::evaluate_stateless) make one, and it cannot be copied: one yes is for one request.
#[derive(Debug, PartialEq, Eq)]
pub struct Approval<Scope> {
    pub(crate) policy_hash: B256,
    pub(crate) policy_version: u64,
    pub(crate) wallet: WalletId,
    pub(crate) agent: AgentId,
    pub(crate) charges: Vec<Charge>,
    pub(crate) fee: Option<Box<Charge>>,
    pub(crate) once: Option<Once>,
    pub(crate) payee: Option<Address>,
    pub(crate) at: UnixMillis,
    pub(crate) tier: Tier,
    pub(crate) counters: Vec<Counter>,
    pub(crate) scope: PhantomData<Scope>,
}

impl<Scope> Approval<Scope> {
    /// The policy that said yes.
    pub const fn policy_hash(&self) -> B256 {
        self.policy_hash
    }

    /// Its version.
    pub const fn policy_version(&self) -> u64 {
        self.policy_version
    }

    /// The wallet that may sign.
    pub const fn wallet(&self) -> &WalletId {
        &self.wallet
    }

    /// Whose wallet it is: what it signs counts for all of this agent's wallets too.
    pub const fn agent(&self) -> &AgentId {
        &self.agent
    }

    /// What the rules were shown, and what a ledger must count.
    pub fn charges(&self) -> &[Charge] {
        &self.charges
    }

    /// The most it can burn as fee, in its chain's coin; `None` off-chain.
    pub fn fee(&self) -> Option<&Charge> {
        self.fee.as_deref()
    }

    /// Where it lands, if at all, once.
    pub const fn once(&self) -> Option<&Once> {
        self.once.as_ref()
    }

    /// Who is paid, or allowed to take.
    pub const fn payee(&self) -> Option<Address> {
        self.payee
    }

    /// What the amount needed, and got.
    pub const fn tier(&self) -> Tier {
        self.tier
    }

    /// The time that was decided about, in Unix milliseconds: it counts then.
    pub const fn at(&self) -> UnixMillis {
        self.at
    }
}

impl Approval<Full> {
    /// Each limit over time that was weighed, in the order of the policy, as the evaluation read it; of those that count
    /// something else there is none.
    pub fn counters(&self) -> &[Counter] {
        &self.counters
    }

    /// The first [`Counter::MAX_LOGGED`] of the [`counters`](Self::counters), for a log whose entries have a largest size,
    /// and how many more there are.
    pub fn logged_counters(&self) -> (&[Counter], usize) {
        let logged = self.counters.get(..Counter::MAX_LOGGED).unwrap_or(&self.counters);
        (logged, self.counters.len().saturating_sub(logged.len()))
    }
}

#[cfg(feature = "fixtures")]
impl Approval<Full> {
    /// An approval that nobody was asked for, to test ledgers with.
    pub fn fixture(
        (wallet, agent): (WalletId, AgentId),
        charges: Vec<Charge>,
        payee: Option<Address>,
        at: UnixMillis,
    ) -> Self {
        let (fee, once) = (None, None);
        Self {
            policy_hash: B256::ZERO,
            policy_version: 1,
            wallet,
            agent,
            charges,
            fee,
            once,
            payee,
            at,
            tier: Tier::Instant,
            counters: Vec::new(),
            scope: PhantomData,
        }
    }

    /// The same for a transaction with this fee, landing here.
    #[must_use]
    pub fn landing(mut self, fee: Charge, once: Once) -> Self {
        self.fee = Some(Box::new(fee));
        self.once = Some(once);
        self
    }
}
