//! Why the ledger refused, sorted by whose fault it is.

use quorate_intent::AssetId;
use quorate_store::StoreError;

use crate::State;

/// The ledger refused; the transaction it happened in should be dropped.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    // The caller's request.
    /// The idempotency key already names another payload of this wallet.
    #[error("idempotency_key: already used for another payload")]
    Conflict,
    /// A sum of amounts is beyond 256 bits: no limit can be checked against it, so the request is to be denied.
    #[error("spend: the sum of {asset} overflows 256 bits")]
    Overflow {
        /// which asset's sum
        asset: AssetId,
    },

    // The calling code, or a step that lost a race.
    /// No request is recorded under this wallet and key.
    #[error("request: none is recorded under this wallet and idempotency key")]
    NotFound,
    /// The request is not in a state that allows this step.
    #[error("request: cannot {step} while it is {found}")]
    State {
        /// what was asked: `reserve`, `release`, `finish` or `void`
        step: &'static str,
        /// where the request stands
        found: State,
    },
    /// The proof belongs to an earlier attempt, which was voided since.
    #[error("request: this is attempt {found}, the proof is of attempt {proof}")]
    Attempt {
        /// the attempt recorded
        found: u32,
        /// the attempt the proof was made for
        proof: u32,
    },
    /// The request is already answered, and differently. The first answer stands.
    #[error("request: already answered differently")]
    Answered,
    /// This payload was charged before with other amounts: it was decoded differently, and neither can be trusted.
    #[error("charge: this payload was charged before with other amounts")]
    Charges,

    // The disk.
    /// A record is not what this ledger writes there. Nothing may be signed from such a ledger.
    #[error("ledger: malformed record in table {table}")]
    Malformed {
        /// the table it is in
        table: &'static str,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
