//! What counts already, and whether one more fits under a limit.

use std::ops::ControlFlow;

use quorate_types::{Address, U256, UnixMillis};

use super::Question;
use crate::window::{End, Frame};
use crate::{Counted, History, Past};

/// One limit, for one request.
pub(super) struct Tally {
    /// Together, in no order but each one's own by time.
    pub(super) counted: Vec<Counted>,
    /// Only what this one was paid; `None`: whoever was paid.
    pub(super) payee: Option<Address>,
    pub(super) requested: U256,
    pub(super) max: U256,
}

/// What came of it.
pub(super) enum Fit {
    Fits,
    /// Too much, with what counts already and when the request would fit.
    Exceeds {
        used: U256,
        resets_at: Option<UnixMillis>,
    },
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
        let mut sum = Some(U256::ZERO);
        self.visit(question, history, frame, &mut |past| {
            sum = sum.and_then(|sum| sum.checked_add(past.amount));
            if sum.is_some() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        let Some(used) = sum else { return Ok(Fit::Overflows) };
        if self.fits(used) {
            return Ok(Fit::Fits);
        }
        let resets_at = match frame.end {
            // Alone it is too much already: no waiting helps.
            _ if !self.fits(U256::ZERO) => None,
            End::At(end) => Some(end),
            End::After(length) => self.passes_at(question, history, (frame, length, used))?,
        };
        Ok(Fit::Exceeds { used, resets_at })
    }

    fn fits(&self, used: U256) -> bool {
        used.checked_add(self.requested).is_some_and(|sum| sum <= self.max)
    }

    /// When enough of what counts will have left a rolling window.
    fn passes_at<H: History + ?Sized>(
        &self,
        question: &Question<'_>,
        history: &H,
        (frame, length, used): (Frame, UnixMillis, U256),
    ) -> Result<Option<UnixMillis>, H::Error> {
        let mut counts = Vec::new();
        self.visit(question, history, frame, &mut |past| {
            counts.push((past.at, past.amount));
            ControlFlow::Continue(())
        })?;
        counts.sort_unstable();
        let mut left = used;
        let last = counts.into_iter().find(|(_, amount)| {
            left = left.saturating_sub(*amount);
            self.fits(left)
        });
        Ok(last.and_then(|(at, _)| at.checked_add(length)))
    }

    fn visit<H: History + ?Sized>(
        &self,
        question: &Question<'_>,
        history: &H,
        frame: Frame,
        each: &mut dyn FnMut(Past) -> ControlFlow<()>,
    ) -> Result<(), H::Error> {
        let mut done = ControlFlow::Continue(());
        for counted in &self.counted {
            history.visit(question.facts.wallet, *counted, frame.since, &mut |past| {
                // A payee nobody knows may have been this one.
                if self.payee.is_none() || past.payee.is_none() || past.payee == self.payee {
                    done = each(past);
                }
                done
            })?;
            if done.is_break() {
                break;
            }
        }
        Ok(())
    }
}
