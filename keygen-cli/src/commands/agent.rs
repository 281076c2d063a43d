//! `quorate agent`: the key an agent signs its own requests with.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use quorate_session::AgentKey;
use quorate_types::AgentId;
use rand_core::OsRng;
use serde_json::json;
use zeroize::Zeroizing;

use crate::agent_word;
use crate::files::{self, Mode};
use crate::output::Answer;
use crate::refusal::{OrRefuse, Refusal};

/// An agent's own key.
#[derive(Subcommand)]
pub(crate) enum Agent {
    /// Make a key on the agent's machine, and print the public half for `wallet create --agent-key`
    Keygen {
        /// The new file: 64 hex digits, to be read by the agent only
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Print the public half of the key an agent node keeps for an agent that asks through its socket
    Public {
        /// The agent
        agent: AgentId,
        /// The agent node's local socket
        #[arg(long, value_name = "SOCKET")]
        ask_socket: PathBuf,
    },
}

pub(crate) fn run(command: Agent) -> Result<Answer, Refusal> {
    let out = match command {
        Agent::Keygen { out } => out,
        Agent::Public { agent, ask_socket } => return public(&agent, &ask_socket),
    };
    let key = AgentKey::generate(&mut OsRng);
    let text = Zeroizing::new(format!("{}\n", hex::encode(*key.to_bytes())));
    files::create(&out, text.as_bytes(), Mode::Secret)?;
    let public = key.public().to_string();
    let words = format!(
        "{public}\nNext: quorate wallet create --agent-key {public} ...; from then on the wallet signs nothing without \
         {}",
        out.display()
    );
    Answer::new(&json!({ "agent_key": public, "file": out }), words)
}

fn public(agent: &AgentId, socket: &Path) -> Result<Answer, Refusal> {
    let public = agent_word::public(socket, agent.as_str())?;
    let words = format!("{public}\nNext: quorate wallet create --agent {agent} --agent-key {public} ...");
    Answer::new(&json!({ "agent": agent, "agent_key": public }), words)
}

/// Reads what [`Agent::Keygen`] wrote.
pub(crate) fn read_key(path: &Path) -> Result<AgentKey, Refusal> {
    let text = Zeroizing::new(files::read_text(path).map_err(|refusal| refusal.field("--agent-key"))?);
    let mut seed = Zeroizing::new([0; 32]);
    hex::decode_to_slice(text.trim(), seed.as_mut())
        .or_invalid(format!("{}: expected 64 hex digits", path.display()))
        .map_err(|refusal| refusal.field("--agent-key"))?;
    Ok(AgentKey::from_bytes(seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_that_was_written_is_the_key_that_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("agent.key");
        assert!(run(Agent::Keygen { out: out.clone() }).is_ok());
        let public = read_key(&out).unwrap().public().to_string();
        assert_eq!(public.len(), 64);
        assert!(run(Agent::Keygen { out: out.clone() }).is_err(), "never overwritten");
        std::fs::write(&out, "not hex").unwrap();
        assert_eq!(read_key(&out).err().unwrap().field.as_deref(), Some("--agent-key"));
    }
}
