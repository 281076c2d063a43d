//! The ledger as the rules that count read it.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use quorate_intent::Once;
use quorate_policy::{Counted, History, Past, add_up};
use quorate_store::Read;
use quorate_types::{Address, AgentId, B256, U256, U512, UnixMillis, WalletId};

use crate::agents;
use crate::count::{find, visit};
use crate::once::{is_taken, standing};
use crate::origin::Origin;
use crate::record::TOTALS;
use crate::{IdempotencyKey, LedgerError, totals};

/// What a wallet spent and signed, and the others of its agent beside it, without what is counted for the request that is being
/// decided about.
///
/// Neither is there, of payloads that have its place and its effect and stand, what they spent: at most one of them ever has
/// an effect. Their signatures are.
///
/// Decide on it in the transaction that goes on to [`reserve`](crate::reserve()) or [`charge`](crate::charge()): what is
/// read from anywhere else may be old by then, and two requests would pass one limit.
#[derive(Clone, Copy)]
pub struct Before<'a> {
    read: &'a dyn Read,
    /// None: nothing is excepted.
    except: Option<B256>,
    once: Option<Once>,
}

impl<'a> Before<'a> {
    /// Everything but what is reserved under `key`, for a request that lands at `once`.
    pub fn request(read: &'a dyn Read, key: &IdempotencyKey, once: Option<Once>) -> Self {
        Self { read, except: Some(Origin::Request(key).hash()), once }
    }

    /// Everything but what this payload was charged, which lands at `once`: it is signed again, and spent once.
    pub fn payload(read: &'a dyn Read, payload_hash: B256, once: Option<Once>) -> Self {
        Self { read, except: Some(Origin::Payload(payload_hash).hash()), once }
    }

    /// What is not counted against the request.
    fn excepted(&self, wallet: &WalletId, counted: Counted) -> Result<BTreeSet<B256>, LedgerError> {
        let mut excepted = BTreeSet::from_iter(self.except);
        if let (Some(once), Counted::Asset(_) | Counted::Fee(_)) = (&self.once, counted)
            && let Some(standing) = standing(self.read, wallet, once)?
        {
            excepted.extend(standing.origins);
        }
        Ok(excepted)
    }
}

impl History for Before<'_> {
    type Error = LedgerError;

    fn place_is_taken(&self, wallet: &WalletId, once: &Once) -> Result<bool, LedgerError> {
        is_taken(self.read, wallet, once)
    }

    fn visit(
        &self,
        wallet: &WalletId,
        counted: Counted,
        since: UnixMillis,
        each: &mut dyn FnMut(Past) -> ControlFlow<()>,
    ) -> Result<(), LedgerError> {
        let excepted = self.excepted(wallet, counted)?;
        visit(self.read, (wallet, counted), since, &mut |origin, past| {
            if excepted.contains(&origin) { ControlFlow::Continue(()) } else { each(past) }
        })
    }

    fn sum(
        &self,
        wallet: &WalletId,
        counted: Counted,
        payee: Option<Address>,
        since: UnixMillis,
    ) -> Result<Option<U256>, LedgerError> {
        let what = (wallet, counted);
        let Some(mut sum) = totals::since(self.read, what, payee, since)? else {
            // Nothing was counted since there are totals.
            return add_up(self, what, payee, since);
        };
        for origin in self.excepted(wallet, counted)? {
            let counts = |past: &Past| past.at >= since && past.is_for(payee);
            if let Some(past) = find(self.read, what, origin)?.filter(counts) {
                let left = sum.checked_sub(U512::from(past.amount));
                sum = left.ok_or(LedgerError::Malformed { table: TOTALS })?;
            }
        }
        Ok(U256::checked_from_limbs_slice(sum.as_limbs()))
    }

    fn sum_of_agent(
        &self,
        (agent, wallet): (&AgentId, &WalletId),
        counted: Counted,
        since: UnixMillis,
    ) -> Result<Option<U256>, LedgerError> {
        let Some(wallets) = agents::wallets(self.read, agent)? else { return Ok(None) };
        let mut sum = self.sum(wallet, counted, None, since)?;
        // The others' requests may have this one's key, and their payloads its bytes: they are not this one.
        let all = Self { except: None, once: None, ..*self };
        for other in wallets.iter().filter(|other| *other != wallet) {
            let more = all.sum(other, counted, None, since)?;
            sum = sum.zip(more).and_then(|(sum, more)| sum.checked_add(more));
        }
        Ok(sum)
    }
}
