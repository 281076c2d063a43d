//! The points, by name. Whoever passes one names it here, and the tests go through all of them, so none is forgotten: one that
//! nobody passes kills nobody, which fails them. docs/threat-model.md says what is on disk at each.

/// One place in one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Point {
    /// The agent node, in a session: all is made and written, and not committed.
    AgentSessionUnsynced,
    /// The agent node, in a session: committed, and its contribution has not left.
    AgentSessionSynced,
    /// The agent node, with a presignature: used up, its partial signature made, and not committed.
    AgentOnlineUnsynced,
    /// The agent node, with a presignature: committed, and its contribution has not left.
    AgentOnlineSynced,
    /// The service node, in a session: charged, and not committed.
    ServiceSessionUnsynced,
    /// The service node, in a session: committed, the signature made, and it has not left.
    ServiceSessionSynced,
    /// The service node, with a presignature: used up, charged, the signature made, and not committed.
    ServiceOnlineUnsynced,
    /// The service node, with a presignature: committed, and the signature has not left.
    ServiceOnlineSynced,
    /// The coordinator: the spend is committed, and no node has heard of the request.
    CoordinatorReserved,
    /// The coordinator: the agent node contributed with a presignature, and the service node has not heard of it.
    CoordinatorContributed,
    /// The coordinator: the nodes signed, and the answer is not on record.
    CoordinatorAnswered,
    /// The coordinator: the answer is on record, and nobody was given it.
    CoordinatorRecorded,
}

impl Point {
    /// Every one.
    pub const ALL: [Self; 12] = [
        Self::AgentSessionUnsynced,
        Self::AgentSessionSynced,
        Self::AgentOnlineUnsynced,
        Self::AgentOnlineSynced,
        Self::ServiceSessionUnsynced,
        Self::ServiceSessionSynced,
        Self::ServiceOnlineUnsynced,
        Self::ServiceOnlineSynced,
        Self::CoordinatorReserved,
        Self::CoordinatorContributed,
        Self::CoordinatorAnswered,
        Self::CoordinatorRecorded,
    ];

    /// Its name: whose it is, which way to a signature, where on it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AgentSessionUnsynced => "agent.session.unsynced",
            Self::AgentSessionSynced => "agent.session.synced",
            Self::AgentOnlineUnsynced => "agent.online.unsynced",
            Self::AgentOnlineSynced => "agent.online.synced",
            Self::ServiceSessionUnsynced => "service.session.unsynced",
            Self::ServiceSessionSynced => "service.session.synced",
            Self::ServiceOnlineUnsynced => "service.online.unsynced",
            Self::ServiceOnlineSynced => "service.online.synced",
            Self::CoordinatorReserved => "coordinator.reserved",
            Self::CoordinatorContributed => "coordinator.online.contributed",
            Self::CoordinatorAnswered => "coordinator.answered",
            Self::CoordinatorRecorded => "coordinator.recorded",
        }
    }

    /// Whose it is: `agent`, `service` or `coordinator`.
    pub fn owner(self) -> &'static str {
        self.name().split_once('.').map_or("", |(owner, _)| owner)
    }

    /// Whether it is on the way of one round, through a pool of presignatures, and on no other.
    pub fn needs_a_presignature(self) -> bool {
        self.name().contains(".online.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_point_is_listed_once_under_a_name_of_its_own() {
        let names: BTreeSet<_> = Point::ALL.iter().map(|point| point.name()).collect();
        let listed: BTreeSet<_> = Point::ALL.into_iter().collect();
        // The last one declared: a new one after it is missed here, and one before it above.
        let declared = Point::CoordinatorRecorded as usize + 1;
        assert_eq!((names.len(), listed.len()), (declared, declared));
        for point in Point::ALL {
            assert!(["agent", "service", "coordinator"].contains(&point.owner()), "{point:?}");
        }
    }
}
