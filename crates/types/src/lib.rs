//! The words every Quorate crate shares. Pure: no clock is read, no file opened, no socket touched here.

mod clock;
mod id;
mod party;
mod payload;
mod public_key;
mod signature;
mod transcript;

pub use alloy_primitives::{Address, B256, Bytes, U256, U512};
pub use clock::{Clock, ManualClock, SystemClock, UnixMillis};
pub use id::{AgentId, BootId, ClusterId, GroupId, IdError, NodeId, SessionRef, WalletId};
pub use party::{PARTIES, PartyIndex, Role, THRESHOLD, UnknownRole};
pub use payload::{Payload, PayloadKind};
pub use public_key::{PublicKey, PublicKeyError};
pub use signature::{Signature, SignatureError};
pub use transcript::Transcript;
