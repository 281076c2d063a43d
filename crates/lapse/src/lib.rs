//! Proof that an authorization ended unused. Pure.
//!
//! An EIP-3009 authorization or an EIP-2612 permit that was signed is spent, and stays so: whether it was used is written on a
//! chain, and nobody here looks at one. People do. The operators' quorum signs a [`Lapse`]: at this block, after its end, the token
//! had not taken it. Each machine reads from the payload itself when it ended, and believes people only what it cannot know.
//!
//! What comes of it is a [`Lapsed`], the one thing for which a ledger gives a spend back without the word of the nodes.

mod ended;
mod error;
mod lapse;
mod signed;

pub use ended::GRACE_S;
pub use error::LapseError;
pub use lapse::{Block, FORMAT, Lapse};
pub use signed::{Lapsed, SignedLapse};
