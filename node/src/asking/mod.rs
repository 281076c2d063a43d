//! The local socket of an agent node: an agent's process on the same machine asks here, and the node signs the request with
//! the agent's own key, which only the node has. Who asks is what the kernel says of the peer.

mod answer;
mod config;
mod keys;
mod wire;

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::node::Node;

pub use config::{AskingAgent, AskingConfig};
pub use keys::KeyError;

/// Questions at once.
const CONNECTIONS: usize = 16;
/// From the connection to its answer.
const DEADLINE: Duration = Duration::from_secs(5);
/// After a connection that the system could not take.
const PAUSE: Duration = Duration::from_millis(100);

/// Why the socket was not opened.
#[derive(Debug, thiserror::Error)]
pub enum AskingError {
    /// Another user could put another socket in its place.
    #[error("asking.socket: {}: its directory must be this user's or root's, and writable by no one else", .0.display())]
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
        clear(&config.socket)?;
        let listener = UnixListener::bind(&config.socket).map_err(failed)?;
        // Whoever connects before this is asked who they are all the same.
        let mode = if config.open_to_group { 0o660 } else { 0o600 };
        fs::set_permissions(&config.socket, fs::Permissions::from_mode(mode)).map_err(failed)?;
        Ok(Self { config, listener })
    }

    /// Answers until `stop`.
    pub(crate) async fn serve(self, node: Arc<Node>, stop: CancellationToken) {
        let config = Arc::new(self.config.clone());
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let mut answering = JoinSet::new();
        loop {
            let next = async {
                let place = Arc::clone(&places).acquire_owned().await.ok()?;
                Some((self.listener.accept().await, place))
            };
            let (accepted, place) = tokio::select! {
                () = stop.cancelled() => break,
                Some(_) = answering.join_next() => continue,
                next = next => match next {
                    Some(next) => next,
                    None => break,
                },
            };
            match accepted {
                Ok((stream, _)) => {
                    let (node, config) = (Arc::clone(&node), Arc::clone(&config));
                    answering.spawn(async move {
                        let _place = place;
                        let served = tokio::time::timeout(DEADLINE, converse(stream, &node, &config)).await;
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
        let _gone_already = fs::remove_file(&self.config.socket);
    }
}

/// One question, one answer.
async fn converse(mut stream: UnixStream, node: &Arc<Node>, config: &AskingConfig) -> io::Result<()> {
    let uid = stream.peer_cred()?.uid();
    let (read, mut write) = stream.split();
    let mut line = Vec::new();
    let mut bounded = BufReader::new(read).take(wire::MAX_LINE);
    bounded.read_until(b'\n', &mut line).await?;
    let answer = answer::answer(node, config, uid, &line).await;
    let mut text = serde_json::to_vec(&answer)?;
    text.push(b'\n');
    write.write_all(&text).await?;
    write.shutdown().await
}

/// Takes away the socket a run before left, and nothing else, from a directory nobody else can change.
fn clear(socket: &Path) -> Result<(), AskingError> {
    let failed = |source| AskingError::Io(socket.to_owned(), source);
    let me = rustix::process::geteuid().as_raw();
    let parent = socket.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let directory = fs::metadata(parent).map_err(failed)?;
    if ![me, 0].contains(&directory.uid()) || directory.mode() & 0o022 != 0 {
        return Err(AskingError::Directory(socket.to_owned()));
    }
    match fs::symlink_metadata(socket) {
        Ok(there) if there.file_type().is_socket() && there.uid() == me => {
            fs::remove_file(socket).map_err(failed)
        }
        Ok(_) => Err(AskingError::Taken(socket.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests;
