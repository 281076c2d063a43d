//! Why a stream to a coordinator ended.

use std::time::Duration;

use quorate_transport::ConnectError;
use tonic::Status;

/// Why a stream ended. All of them are the network's or the coordinator's; the node dials again.
#[derive(Debug, thiserror::Error)]
pub(super) enum AttachError {
    /// It cannot be reached, or is not who it should be.
    #[error("{0}")]
    Connect(#[from] ConnectError),
    /// It refused the stream or broke it.
    #[error("{0}")]
    Status(Box<Status>),
    /// It did not answer in time.
    #[error("no answer within {0:?}")]
    Silent(Duration),
    /// Its first frame was not a welcome, or asked for heartbeats this node does not keep.
    #[error("welcome: {0}")]
    Welcome(&'static str),
    /// Three heartbeats missed.
    #[error("nothing heard for {0:?}")]
    Lost(Duration),
    /// It does not read what this node sends.
    #[error("it reads nothing")]
    Stuck,
    /// It closed the stream.
    #[error("closed by the coordinator")]
    Closed,
}

impl From<Status> for AttachError {
    fn from(status: Status) -> Self {
        Self::Status(Box::new(status))
    }
}
