//! What counts already, and whether one more fits under a limit.

use quorate_types::{Address, U256, UnixMillis};

use super::Question;
use crate::window::{End, Frame};
use crate::{Counted, History, Per};

/// Whose doings count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// The wallet's, whoever was paid.
    Wallet,
    /// The wallet's, as far as this one was paid.
    Payee(Address),
    /// Those of all wallets of its agent, whoever was paid.
    Agent,
}

impl Whose {
    /// Of a request in whose name it would count; none where each recipient is counted apart and it names nobody.
    pub(super) const fn of(per: Per, payee: Option<Address>) -> Option<Self> {
        match (per, payee) {
            (Per::Wallet, _) => Some(Self::Wallet),
            (Per::Agent, _) => Some(Self::Agent),
            (Per::Recipient, Some(payee)) => Some(Self::Payee(payee)),
            (Per::Recipient, None) => None,
        }
    }

    pub(super) const fn payee(self) -> Option<Address> {
        match self {
            Self::Payee(payee) => Some(payee),
            Self::Wallet | Self::Agent => None,
        }
    }
}

/// One limit, for one request.
pub(super) struct Tally {
    /// Together, in no order but each one's own by time.
    pub(super) counted: Vec<Counted>,
    pub(super) whose: Whose,
    pub(super) requested: U256,
    pub(super) max: U256,
}

/// What came of it.
pub(super) enum Fit {
    /// It does, beside what counts already.
    Fits { used: U256 },
    /// Too much, with what counts already and when the request would fit.
    Exceeds { used: U256, resets_at: Option<UnixMillis> },
    /// The sum is beyond 256 bits, so nothing fits.
    Overflows,
}

impl Tally {
    /// Adds up what counts in `frame`, and weighs it.
    pub(super) fn weigh<H: History + ?Sized>(
        &self,
        question: &Question<'_>,
        history: &H,
        frame: Frame,
    ) -> Result<Fit, H::Error> {
        let Some(used) = self.used(question, history, frame.since)? else { return Ok(Fit::Overflows) };
        if self.fits(used) {
            return Ok(Fit::Fits { used });
        }
        let resets_at = match frame.end {
            // Alone it is too much already: no waiting helps.
            _ if !self.fits(U256::ZERO) => None,
            End::At(end) => Some(end),
            End::After(length) => self.last_to_leave(question, history, frame.since)?.checked_add(length),
        };
        Ok(Fit::Exceeds { used, resets_at })
    }

    fn fits(&self, used: U256) -> bool {
        used.checked_add(self.requested).is_some_and(|sum| sum <= self.max)
    }

    /// The time of what must leave a rolling window, and all before it, for the request to fit: the last moment from which
    /// on too much counts.
    fn last_to_leave<H: History + ?Sized>(
        &self,
        question: &Question<'_>,
        history: &H,
        since: UnixMillis,
    ) -> Result<UnixMillis, H::Error> {
        let fits_from = |from: UnixMillis| -> Result<bool, H::Error> {
            Ok(self.used(question, history, from)?.is_some_and(|used| self.fits(used)))
        };
        // Only after a clock was set back does anything lie in the future.
        let tomorrow = question.facts.now.saturating_add(1);
        let (mut too_much, mut fits) =
            if fits_from(tomorrow)? { (since, tomorrow) } else { (tomorrow, UnixMillis::MAX) };
        while fits.saturating_sub(too_much) > 1 {
            let between = too_much.midpoint(fits);
            if fits_from(between)? { fits = between } else { too_much = between }
        }
        Ok(too_much)
    }

    /// What counts since then; `None` where it is beyond 256 bits.
    fn used<H: History + ?Sized>(
        &self,
        question: &Question<'_>,
        history: &H,
        since: UnixMillis,
    ) -> Result<Option<U256>, H::Error> {
        let (wallet, agent) = (question.facts.wallet, question.facts.agent);
        let mut used = U256::ZERO;
        for counted in &self.counted {
            let sum = match self.whose {
                Whose::Agent => history.sum_of_agent((agent, wallet), *counted, since)?,
                whose => history.sum(wallet, *counted, whose.payee(), since)?,
            };
            let Some(sum) = sum.and_then(|sum| used.checked_add(sum)) else { return Ok(None) };
            used = sum;
        }
        Ok(Some(used))
    }
}
