//! The ledger as the rules that count read it.

use std::ops::ControlFlow;

use quorate_policy::{Counted, History, Past};
use quorate_store::Read;
use quorate_types::{B256, UnixMillis, WalletId};

use crate::spend::{Origin, visit};
use crate::{IdempotencyKey, LedgerError};

/// What a wallet spent and signed, without what is counted for the request that is being decided about.
///
/// Decide on it in the transaction that goes on to [`reserve`](crate::reserve()) or [`charge`](crate::charge()): what is
/// read from anywhere else may be old by then, and two requests would pass one limit.
#[derive(Clone, Copy)]
pub struct Before<'a> {
    read: &'a dyn Read,
    except: B256,
}

impl<'a> Before<'a> {
    /// Everything but what is reserved under `key`.
    pub fn request(read: &'a dyn Read, key: &IdempotencyKey) -> Self {
        Self { read, except: Origin::Request(key).hash() }
    }

    /// Everything but what this payload was charged: it is signed again, and spent once.
    pub fn payload(read: &'a dyn Read, payload_hash: B256) -> Self {
        Self { read, except: Origin::Payload(payload_hash).hash() }
    }
}

impl History for Before<'_> {
    type Error = LedgerError;

    fn visit(
        &self,
        wallet: &WalletId,
        counted: Counted,
        since: UnixMillis,
        each: &mut dyn FnMut(Past) -> ControlFlow<()>,
    ) -> Result<(), LedgerError> {
        visit(self.read, (wallet, counted), since, &mut |origin, past| {
            if origin == self.except { ControlFlow::Continue(()) } else { each(past) }
        })
    }
}
