//! How Quorate's processes talk: mutual TLS 1.3 where both sides are named by a SPIFFE id of the same cluster, a
//! role table in front of every RPC, certificates reloaded without a restart, and a loopback health endpoint.
//!
//! Nothing here decides about money. A peer's name says which RPCs it may call; what it may sign is the policy's.

mod access;
mod admission;
mod certificate;
mod connect;
mod dial;
mod error;
mod expiry;
mod files;
mod identity;
mod listener;
pub mod local;
mod material;
#[cfg(feature = "pki")]
pub mod pki;
mod spiffe;
mod verify;
mod watch;

pub use access::{Access, AccessLayer, Grant, Refusal};
pub use certificate::IdentityError;
pub use connect::{Expect, connect};
pub use error::{ConnectError, ListenError, TlsError};
pub use files::TlsFiles;
pub use identity::Identity;
pub use listener::{Connection, HandshakeLimits, Listener, Peer, peer};
pub use spiffe::{PeerRole, SpiffeError, SpiffeId};
