//! An agent's own word on a request: signed with its key, or by the agent node for whoever the kernel says asks.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use quorate_proto::v1;
use quorate_session::AgentKey;
use quorate_types::Payload;
use serde_json::{Value, json};

use crate::commands::agent::read_key;
use crate::refusal::{OrRefuse, Refusal};

/// Longer than the node takes for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// An answer is a few hundred bytes.
const MAX_ANSWER: u64 = 64 * 1024;

/// Whose word goes with a request.
#[derive(Args, Default)]
pub(crate) struct Asker {
    /// The agent's key (`quorate agent keygen`), for a wallet created with one: the agent asks for itself
    #[arg(long, value_name = "FILE")]
    agent_key: Option<PathBuf>,
    /// The agent node's local socket, for a wallet created with the key that node keeps: it signs for the user who asks
    #[arg(long, value_name = "SOCKET", conflicts_with = "agent_key")]
    ask_socket: Option<PathBuf>,
}

/// The same, read.
#[derive(Clone)]
pub(crate) enum Word {
    /// The gateway's, which most wallets take.
    Gateway,
    /// The agent's key.
    Key(Arc<AgentKey>),
    /// The agent node's socket.
    Socket(PathBuf),
}

impl Asker {
    /// Reads the key, where one is named.
    ///
    /// # Errors
    /// A [`Refusal`] naming `--agent-key`.
    pub(crate) fn word(&self) -> Result<Word, Refusal> {
        match (&self.agent_key, &self.ask_socket) {
            (Some(key), _) => Ok(Word::Key(Arc::new(read_key(key)?))),
            (None, Some(socket)) => Ok(Word::Socket(socket.clone())),
            (None, None) => Ok(Word::Gateway),
        }
    }
}

/// Has the node sign a request for its agent. Blocks, for ten seconds at most each way.
///
/// # Errors
/// A [`Refusal`] with the node's reason, or where it does not answer.
pub(crate) fn ask(
    socket: &Path,
    wallet: &str,
    (payload, idempotency_key): (&Payload, &str),
) -> Result<v1::AgentSignature, Refusal> {
    let told = match payload {
        Payload::TypedData(json) => json!({ "typed_data": json }),
        other => json!({ other.kind().as_str(): hex::encode(other.as_bytes()) }),
    };
    let question =
        json!({ "ask": { "wallet": wallet, "idempotency_key": idempotency_key, "payload": told } });
    let answer = said(socket, &question)?;
    let asked = answer.get("asked").ok_or_else(|| unread(socket))?;
    let text = |name: &str| asked.get(name).and_then(Value::as_str).ok_or_else(|| unread(socket));
    if text("payload_hash")? != payload.hash().to_string() {
        return Err(Refusal::invalid(format!("{}: signed for another payload", socket.display()))
            .field("--ask-socket"));
    }
    let expires_at_ms = asked.get("expires_at_ms").and_then(Value::as_u64).ok_or_else(|| unread(socket))?;
    let signature = hex::decode(text("agent_signature")?).map_err(|_| unread(socket))?;
    Ok(v1::AgentSignature { expires_at_ms, signature })
}

/// The public half of the key the node keeps for an agent, 64 hex digits.
///
/// # Errors
/// As [`ask`].
pub(crate) fn public(socket: &Path, agent: &str) -> Result<String, Refusal> {
    let answer = said(socket, &json!({ "key": { "agent": agent } }))?;
    let key = answer.pointer("/key/agent_key").and_then(Value::as_str);
    key.map(str::to_owned).ok_or_else(|| unread(socket))
}

fn said(socket: &Path, question: &Value) -> Result<Value, Refusal> {
    let named = |refusal: Refusal| refusal.field("--ask-socket");
    let answer = converse(socket, question).or_invalid(socket.display()).map_err(named)?;
    let answer: Value = serde_json::from_str(&answer).map_err(|_| unread(socket))?;
    let Some(refused) = answer.get("refused") else { return Ok(answer) };
    let text = |name: &str| refused.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    Err(Refusal::invalid(format!("the agent node does not sign it: {}: {}", text("field"), text("reason")))
        .field("--ask-socket"))
}

fn converse(socket: &Path, question: &Value) -> std::io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    // Whom the node does not know it answers before it reads, and hangs up: the answer is there all the same.
    let written = stream.write_all(format!("{question}\n").as_bytes());
    let mut answer = String::new();
    BufReader::new(stream.take(MAX_ANSWER)).read_line(&mut answer)?;
    if answer.is_empty() {
        written?;
    }
    Ok(answer)
}

fn unread(socket: &Path) -> Refusal {
    Refusal::invalid(format!("{}: its answer is not an agent node's", socket.display())).field("--ask-socket")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    /// A node that says this, and what it was asked.
    fn node(says: &'static str) -> (tempfile::TempDir, PathBuf, std::thread::JoinHandle<Value>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ask.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let heard = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut line = String::new();
            BufReader::new(stream.try_clone().unwrap()).read_line(&mut line).unwrap();
            stream.write_all(says.as_bytes()).unwrap();
            serde_json::from_str(&line).unwrap()
        });
        (dir, path, heard)
    }

    #[test]
    fn what_the_node_refuses_is_told_in_its_words() {
        let payload = Payload::Message(vec![1, 2].into());
        let (_dir, path, heard) = node("{\"refused\":{\"field\":\"uid\",\"reason\":\"user 7 may not\"}}\n");
        let refused = ask(&path, "w", (&payload, "k")).err().unwrap();
        assert!(refused.reason.contains("uid: user 7 may not"), "{}", refused.reason);
        let question =
            json!({ "ask": { "wallet": "w", "idempotency_key": "k", "payload": { "message": "0102" } } });
        assert_eq!(heard.join().unwrap(), question);
    }

    #[test]
    fn an_answer_about_another_payload_or_none_is_refused() {
        let payload = Payload::TypedData("{}".to_owned());
        for says in [
            "{\"asked\":{\"agent_signature\":\"00\",\"expires_at_ms\":1,\"payload_hash\":\"0x00\"}}\n",
            "{\"asked\":{}}\n",
            "what?\n",
            "",
        ] {
            let (_dir, path, _heard) = node(says);
            assert_eq!(
                ask(&path, "w", (&payload, "k")).err().unwrap().field.as_deref(),
                Some("--ask-socket")
            );
        }
        let (_dir, path, _heard) = node("{\"key\":{\"agent_key\":\"ab\"}}\n");
        assert_eq!(public(&path, "bot").ok().unwrap(), "ab");
    }
}
