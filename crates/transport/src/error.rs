//! What can go wrong, sorted by whose fault: the files, the address, the peer, the network.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::certificate::IdentityError;
use crate::spiffe::SpiffeId;

/// Why the TLS files could not be used. Each names the file; none repeats what is in it.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file is not there.
    #[error("{field}: {} does not exist", .file.display())]
    Missing {
        /// which of the three files
        field: &'static str,
        /// its path
        file: PathBuf,
    },
    /// The file is there but cannot be read.
    #[error("{field}: {} cannot be read: {source}", .file.display())]
    Unreadable {
        /// which of the three files
        field: &'static str,
        /// its path
        file: PathBuf,
        /// the system's reason
        source: io::Error,
    },
    /// Others than the owner may read the private key.
    #[error("key: {} has mode {mode:04o}, others may read it; run chmod 600", .file.display())]
    KeyExposed {
        /// its path
        file: PathBuf,
        /// its permission bits
        mode: u32,
    },
    /// Readable, but not PEM of the kind it should be.
    #[error("{field}: {}: {reason}", .file.display())]
    Malformed {
        /// which of the three files
        field: &'static str,
        /// its path
        file: PathBuf,
        /// what is wrong
        reason: String,
    },
    /// The private key belongs to another certificate.
    #[error("key: {} does not belong to the certificate {}", .key.display(), .certificate.display())]
    KeyMismatch {
        /// the key's path
        key: PathBuf,
        /// the certificate's path
        certificate: PathBuf,
    },
    /// The certificate does not carry exactly one SPIFFE id.
    #[error("{}: {source}", .file.display())]
    Name {
        /// its path
        file: PathBuf,
        /// what is wrong with the name
        source: Box<IdentityError>,
    },
    /// The certificate's time is over.
    #[error("certificate: {} expired at unix time {not_after} s", .file.display())]
    Expired {
        /// its path
        file: PathBuf,
        /// end of validity, seconds since 1970
        not_after: u64,
    },
    /// The certificate's time has not come.
    #[error("certificate: {} is not valid before unix time {not_before} s", .file.display())]
    NotYetValid {
        /// its path
        file: PathBuf,
        /// start of validity, seconds since 1970
        not_before: u64,
    },
    /// The CA file does not vouch for our own certificate, so no peer would accept it.
    #[error("certificate: {} is not vouched for by {}: {reason}", .certificate.display(), .ca.display())]
    Untrusted {
        /// the certificate's path
        certificate: PathBuf,
        /// the CA file's path
        ca: PathBuf,
        /// what chain validation said
        reason: String,
    },
    /// A reload brought another name than the process started with.
    #[error("certificate: {} now names {got}, this process is {ours}; restart to change names", .file.display())]
    Renamed {
        /// the certificate's path
        file: PathBuf,
        /// the new name
        got: Box<SpiffeId>,
        /// the running process's name
        ours: Box<SpiffeId>,
    },
    /// The TLS library refused our settings: a defect of this program.
    #[error("tls settings refused: {0}")]
    Settings(String),
}

/// Why there is no connection. `is_identity` tells "refused identity" from "not reachable".
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address is not `host:port`.
    #[error("address: {address:?} is not host:port")]
    Address {
        /// as given
        address: String,
    },
    /// We refused the server: wrong CA, expired, other cluster, not the peer that was dialled.
    #[error("{address}: the server's identity is refused: {reason}")]
    ServerRefused {
        /// who was dialled
        address: String,
        /// why
        reason: String,
    },
    /// The server refused our certificate.
    #[error("{address}: the server refuses our identity: {reason}")]
    ClientRefused {
        /// who was dialled
        address: String,
        /// the TLS alert it sent
        reason: String,
    },
    /// Something answers, but it does not speak TLS 1.3 with HTTP/2.
    #[error("{address}: not a quorate server: {reason}")]
    Protocol {
        /// who was dialled
        address: String,
        /// what it did
        reason: String,
    },
    /// Nothing answers there.
    #[error("{address}: not reachable: {source}")]
    Unreachable {
        /// who was dialled
        address: String,
        /// the system's reason
        source: io::Error,
    },
    /// The connection was closed before the server said anything.
    #[error("{address}: closed by the server before it answered")]
    Closed {
        /// who was dialled
        address: String,
    },
    /// No answer in time.
    #[error("{address}: no answer within {} ms", .after.as_millis())]
    Timeout {
        /// who was dialled
        address: String,
        /// how long was waited
        after: Duration,
    },
}

impl ConnectError {
    /// Whether one side refused the other's certificate: trying again without a new certificate is useless.
    pub fn is_identity(&self) -> bool {
        matches!(self, Self::ServerRefused { .. } | Self::ClientRefused { .. })
    }
}

/// Why the listener could not start.
#[derive(Debug, thiserror::Error)]
#[error("listen: {address}: {source}")]
pub struct ListenError {
    /// the address asked for
    pub address: SocketAddr,
    /// the system's reason
    pub source: io::Error,
}
