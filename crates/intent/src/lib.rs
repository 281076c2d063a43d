//! Bytes to meaning: what a payload would do if it were signed, and the digest that would be signed.
//!
//! The input is hostile. Anything this crate cannot read completely, and write back exactly, is refused.
//! Pure: no clock, no file, no socket.

mod asset;
mod calldata;
mod chain;
mod decode;
mod digest;
mod error;
mod intent;
mod message;
mod once;
mod raw_digest;
mod registry;
mod sign_in;
mod signed;
mod summary;
mod transaction;
mod typed_data;
mod typed_value;

pub use asset::{Asset, AssetId, AssetIdError, Charge};
pub use calldata::selector;
pub use chain::{ChainId, chain_by_name, chain_name};
pub use decode::{Decoded, decode};
pub use digest::{DecodedDigest, RawDigest, SigningDigest};
pub use error::{DecodeError, TransactionError, TypedDataError};
pub use intent::{
    Action, Authorization, AuthorizationKind, ChargeError, Domain, Intent, TransactionTerms, TypedData,
    Validity,
};
pub use message::DRILL;
pub use once::Once;
pub use registry::{NATIVE_DECIMALS, TOKENS, Token, decimals, token, token_by_separator, token_by_symbol};
pub use sign_in::{SignIn, resembles_sign_in};
pub use signed::{signed_transaction, transaction_hash};
pub use typed_data::{PERMIT, RECEIVE_WITH_AUTHORIZATION, TRANSFER_WITH_AUTHORIZATION, type_hash};
pub use typed_value::TypedValue;
