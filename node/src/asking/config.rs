//! Who may ask through the local socket, as the operator of the agent node configures it.

use std::path::PathBuf;

use quorate_types::AgentId;
use serde::Deserialize;

/// The local socket of an agent node.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskingConfig {
    /// Where the socket is made. Its directory must be the node's own user's or root's, and no one else's to write.
    pub socket: PathBuf,
    /// Whether members of the socket's group may connect: the node's own group, or the directory's where that is setgid.
    /// Otherwise the node's own user alone.
    #[serde(default)]
    pub open_to_group: bool,
    /// Which user each agent's process runs as.
    pub agents: Vec<AskingAgent>,
}

/// An agent on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskingAgent {
    /// The agent, as its wallets name it.
    pub agent: AgentId,
    /// The user id its process runs as, by the kernel's word. No other may ask for it, root neither.
    pub uid: u32,
}

/// What the kernel says of every user it cannot name, as in a user namespace of the node's own.
const NOBODY_IN_PARTICULAR: u32 = 65_534;

/// Agents of one node.
const MAX_AGENTS: usize = 64;

impl AskingConfig {
    /// What the types do not say: the reason it is refused, if any.
    pub(crate) fn refusal(&self) -> Option<(&'static str, &'static str)> {
        if !(1..=MAX_AGENTS).contains(&self.agents.len()) {
            return Some(("asking.agents", "must be 1 to 64"));
        }
        if self.agents.iter().any(|listed| listed.uid == NOBODY_IN_PARTICULAR) {
            return Some((
                "asking.agents",
                "uid 65534 stands for every user the kernel cannot name, so for no agent",
            ));
        }
        let twice = self
            .agents
            .iter()
            .enumerate()
            .any(|(at, one)| self.agents.iter().take(at).any(|other| other == one));
        twice.then_some(("asking.agents", "an agent and user are listed twice"))
    }

    pub(crate) fn may(&self, uid: u32, agent: &AgentId) -> bool {
        self.agents.iter().any(|listed| listed.uid == uid && listed.agent == *agent)
    }
}
