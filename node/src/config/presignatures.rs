//! How many presignatures a node keeps, and how long.

use serde::Deserialize;

use super::{ConfigError, invalid};

/// Presignatures kept ready, in memory only.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PresignaturesConfig {
    /// Most for one wallet and pair of nodes, 0 to 1024.
    pub per_pair: usize,
    /// Seconds each is kept, 10 to 86400.
    pub ttl_s: u64,
    /// Most memory they take together, in MiB, 1 to 4096. One takes about 2 KiB.
    pub memory_mib: usize,
    /// To measure what presignatures are for, and not how they are made: they are dealt, with **nonces that anybody can
    /// compute**. Only where `dev` is set.
    pub dealt: bool,
}

impl Default for PresignaturesConfig {
    fn default() -> Self {
        Self { per_pair: 32, ttl_s: 1800, memory_mib: 64, dealt: false }
    }
}

impl PresignaturesConfig {
    pub(super) fn check(&self, dev: bool) -> Result<(), ConfigError> {
        if self.per_pair > 1024 {
            return Err(invalid("presignatures.per_pair", "must be 0 to 1024"));
        }
        if !(10..=86_400).contains(&self.ttl_s) {
            return Err(invalid("presignatures.ttl_s", "must be 10 to 86400"));
        }
        if !(1..=4096).contains(&self.memory_mib) {
            return Err(invalid("presignatures.memory_mib", "must be 1 to 4096"));
        }
        if self.dealt && !dev {
            return Err(invalid("presignatures.dealt", "gives every key away: only where dev is set"));
        }
        Ok(())
    }
}
