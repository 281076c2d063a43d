//! An authorization that ends, read from the bytes that were signed.

use quorate_intent::{Action, Charge, Once, decode};
use quorate_types::{Address, B256, Payload, UnixMillis};

use crate::LapseError;

/// Seconds that must have passed since the end by a machine's own clock, before it believes that nothing comes any more: for
/// clocks that differ, for blocks whose time lags, and for the time until a block is final.
pub const GRACE_S: u64 = 900;

/// What can end unused: it is used off no transaction of the wallet's own, once, and until a moment it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) payload_hash: B256,
    /// Who must have signed it.
    pub(crate) signer: Address,
    /// Where it would have been used.
    pub(crate) once: Once,
    /// What it was charged.
    pub(crate) charges: Vec<Charge>,
    /// The last second at which it could be used, of block time.
    pub(crate) not_after_s: u64,
}

impl Ended {
    pub(crate) fn read(typed_data: &str) -> Result<Self, LapseError> {
        let payload = Payload::TypedData(typed_data.to_owned());
        let intent = decode(&payload)?.intent;
        let invalid = |reason: &str| LapseError::Invalid { field: "typed_data", reason: reason.to_owned() };
        let authorizes = matches!(
            intent.action,
            Action::TokenTransfer { authorization: Some(_), .. } | Action::TokenPermit { .. }
        );
        let (true, Some(once), Some(signer)) = (authorizes, intent.once(), intent.signer) else {
            return Err(invalid("only an EIP-3009 authorization or an EIP-2612 permit ends unused"));
        };
        // Beyond u64 it is held to be u64::MAX, and never ends.
        let Some(not_after_s) = intent.validity.not_after_s.filter(|end| *end < u64::MAX) else {
            return Err(invalid("it never ends"));
        };
        let charges = intent.charges().map_err(|error| invalid(&error.to_string()))?;
        Ok(Self { payload_hash: payload.hash(), signer, once, charges, not_after_s })
    }

    /// From when on a machine believes that it is over.
    pub(crate) const fn over_at(&self) -> UnixMillis {
        self.not_after_s.saturating_add(1).saturating_add(GRACE_S).saturating_mul(1000)
    }
}
