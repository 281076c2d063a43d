//! What is decided about.

use quorate_intent::Intent;
use quorate_types::{Address, UnixMillis, WalletId};

/// One request, as this process itself decoded it.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The wallet that is asked to sign.
    pub wallet: &'a WalletId,
    /// Its address.
    pub address: Address,
    /// What the payload would do.
    pub intent: &'a Intent,
    /// Now, in milliseconds since the Unix epoch, by this process's clock.
    pub now: UnixMillis,
}
