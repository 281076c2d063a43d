//! Threshold ECDSA over secp256k1 with [CGGMP24](https://ia.cr/2021/060), 2 of 3, on the `cggmp24` crate.
//!
//! This crate is the only one that touches key shares. It is pure: protocols are async functions over a [`Wire`] of
//! byte messages, so the caller chooses the threads, the network and the deadlines. What the library leaves to its
//! caller is done here: indices are checked, every message has a size cap per round and is accepted once, shares and
//! presignatures have no `Debug`, `Clone` or `Serialize`, and no signature is returned unverified.

mod aux_info;
mod blame;
#[cfg(feature = "dev-primes")]
mod dealt;
mod dev_primes;
mod error;
#[cfg(feature = "fixtures")]
pub mod fixtures;
mod keygen;
mod prehashed;
mod presign;
mod primes;
mod protocol;
mod range_proofs;
mod share;
mod tables;
mod wire;

pub use aux_info::{AuxError, GroupAux, generate_aux};
#[cfg(feature = "dev-primes")]
pub use dealt::deal_presignature;
pub use error::{Fault, MpcError};
pub use keygen::generate_key;
pub use prehashed::{Prehashed, generate_prehashed};
pub use presign::{PartialSignature, Presignature, generate_presignature};
pub use primes::{Moduli, Primes, PrimesError};
pub use protocol::{ProtocolKind, RoundRule, round_rules};
pub use share::{CoreShare, ShareError, SigningShare};
pub use wire::{Inbound, Outbound, Party, Progress, Recipient, Wire};
