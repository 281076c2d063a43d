//! Three nodes that make wallets together.

use quorate_types::{GroupId, NodeId, PartyIndex, Role};

/// A fixed set of three nodes: their auxiliary information is made once, for exactly these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub id: GroupId,
    /// Party 0.
    pub agent: NodeId,
    /// Party 1.
    pub service: NodeId,
    /// Party 2.
    pub cold: NodeId,
}

impl Group {
    /// The members by party index.
    pub const fn nodes(&self) -> [&NodeId; 3] {
        [&self.agent, &self.service, &self.cold]
    }

    /// The member with `index`.
    pub fn member(&self, index: PartyIndex) -> Option<&NodeId> {
        Role::from_index(index).map(|role| self.of(role))
    }

    /// The party index of `node`, where it is a member.
    pub fn index_of(&self, node: &NodeId) -> Option<PartyIndex> {
        Role::ALL.into_iter().find(|role| self.of(*role) == node).map(Role::index)
    }

    /// The member of one role.
    pub const fn of(&self, role: Role) -> &NodeId {
        match role {
            Role::Agent => &self.agent,
            Role::Service => &self.service,
            Role::Cold => &self.cold,
        }
    }
}
