//! Who holds which share.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A party's index at key generation.
pub type PartyIndex = u16;

/// Shares per wallet.
pub const PARTIES: u16 = 3;

/// Shares that must agree to sign.
pub const THRESHOLD: u16 = 2;

/// The role of a signer node. It fixes the party index in every group the node belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The agent runtime's share, index 0: agrees to its own agent's requests, inside policy.
    Agent,
    /// The operator's share, index 1: agrees to what policy and its own ledger allow.
    Service,
    /// The recovery share, index 2: joins key generation only, and is sealed to an offline recipient at birth.
    Cold,
}

impl Role {
    /// All roles, in the order of their indices.
    pub const ALL: [Role; 3] = [Role::Agent, Role::Service, Role::Cold];

    /// The party index this role holds in every group.
    pub const fn index(self) -> PartyIndex {
        match self {
            Role::Agent => 0,
            Role::Service => 1,
            Role::Cold => 2,
        }
    }

    /// The role that holds `index`.
    pub const fn from_index(index: PartyIndex) -> Option<Role> {
        match index {
            0 => Some(Role::Agent),
            1 => Some(Role::Service),
            2 => Some(Role::Cold),
            _ => None,
        }
    }

    /// The role's name: `agent`, `service` or `cold`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Agent => "agent",
            Role::Service => "service",
            Role::Cold => "cold",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no role.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("role: expected agent, service or cold")]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;
    fn from_str(s: &str) -> Result<Self, UnknownRole> {
        Role::ALL.into_iter().find(|role| role.as_str() == s).ok_or(UnknownRole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_and_name_round_trip() {
        for role in Role::ALL {
            assert_eq!(Role::from_index(role.index()), Some(role));
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        assert_eq!(Role::from_index(PARTIES), None);
    }
}
