//! Whose store it is.

use quorate_types::ClusterId;

/// What every value of a store is bound to. A value sealed under one binding does not open under another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// the trust domain
    pub cluster: ClusterId,
    /// the node's or coordinator's id
    pub owner: String,
    /// counts the owner's lives: raised when an owner is set up anew under the same name
    pub epoch: u32,
}
