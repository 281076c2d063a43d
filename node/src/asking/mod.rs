//! The local socket of an agent node: an agent's process on the same machine asks here, and the node signs the request with
//! the agent's own key, which only the node has. Who asks is what the kernel says of the peer.

mod answer;
mod config;
mod directory;
mod keys;
mod places;
mod wire;

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use answer::Refusal;
use places::{Place, Places};

use crate::node::Node;

pub use config::{AskingAgent, AskingConfig};
pub use keys::KeyError;

/// From the connection to its answer.
const DEADLINE: Duration = Duration::from_secs(5);
/// After a connection that the system could not take.
const PAUSE: Duration = Duration::from_millis(100);

/// Why the socket was not opened.
#[derive(Debug, thiserror::Error)]
pub enum AskingError {
    /// Another user could put another socket in its place.
    #[error("asking.socket: {} must be this user's or root's, and writable by no one else", .0.display())]
    Directory(PathBuf),
    /// Something else is there.
    #[error("asking.socket: {}: there is something, and it is no socket of this user's", .0.display())]
    Taken(PathBuf),
    /// The system.
    #[error("asking.socket: {}: {}", .0.display(), .1)]
    Io(PathBuf, io::Error),
    /// An agent's key.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl AskingError {
    /// Whether the operator can put it right.
    pub const fn is_configuration(&self) -> bool {
        !matches!(self, Self::Key(_))
    }
}

/// The socket, before it is served. Dropped, its file is gone.
pub(crate) struct Asking {
    config: AskingConfig,
    /// Where it was made: links are followed once.
    path: PathBuf,
    listener: UnixListener,
}

impl Asking {
    /// Makes the agents' keys that are not there yet, and the socket.
    ///
    /// # Errors
    /// [`AskingError`], naming the path.
    pub(crate) fn open(node: &Node, config: AskingConfig) -> Result<Self, AskingError> {
        for listed in &config.agents {
            let key = keys::make(node, &listed.agent)?;
            tracing::info!(agent = %listed.agent, uid = listed.uid, %key, "asks through the local socket");
        }
        let failed = |source| AskingError::Io(config.socket.clone(), source);
        let path = directory::clear(&config.socket)?;
        let listener = UnixListener::bind(&path).map_err(failed)?;
        // Whoever connects before this is asked who they are all the same.
        let mode = if config.open_to_group { 0o660 } else { 0o600 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).map_err(failed)?;
        Ok(Self { config, path, listener })
    }

    /// Answers until `stop`.
    pub(crate) async fn serve(self, node: Arc<Node>, stop: CancellationToken) {
        let config = Arc::new(self.config.clone());
        let places = Places::of(&config);
        let mut answering = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                Some(_) = answering.join_next() => continue,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    // Before anything is read, and before it costs anybody a place.
                    let Some((stream, uid, place)) = admitted(&places, stream) else { continue };
                    let (node, config) = (Arc::clone(&node), Arc::clone(&config));
                    answering.spawn(async move {
                        let _place = place;
                        let conversation = converse(stream, uid, &node, &config);
                        let served = tokio::time::timeout(DEADLINE, conversation).await;
                        if !matches!(served, Ok(Ok(()))) {
                            tracing::debug!("an agent's connection ended without an answer");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "asking: accept failed");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let _gone_already = fs::remove_file(&self.path);
    }
}

/// Who connected, by the kernel's word, and a place for them. Whoever has none is told so at once.
fn admitted(places: &Places, stream: UnixStream) -> Option<(UnixStream, u32, Place)> {
    let uid = stream.peer_cred().ok()?.uid();
    match places.take(uid) {
        Ok(place) => Some((stream, uid, place)),
        Err(refusal) => {
            refusal.count(uid);
            let _hung_up = turn_away(stream, refusal);
            None
        }
    }
}

/// A new socket has room for a line, so nobody waits for it to be read.
fn turn_away(stream: UnixStream, refusal: Refusal) -> io::Result<()> {
    stream.into_std()?.write_all(&line(&refusal.into())?)
}

fn line(answer: &wire::Answer) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    Ok(line)
}

/// One question, one answer.
async fn converse(
    mut stream: UnixStream,
    uid: u32,
    node: &Arc<Node>,
    config: &AskingConfig,
) -> io::Result<()> {
    let (read, mut write) = stream.split();
    let mut question = Vec::new();
    let mut bounded = BufReader::new(read).take(wire::MAX_LINE);
    bounded.read_until(b'\n', &mut question).await?;
    let answer = answer::answer(node, config, uid, &question).await;
    write.write_all(&line(&answer)?).await?;
    write.shutdown().await
}

#[cfg(test)]
mod tests;
