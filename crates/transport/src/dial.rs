//! One TLS connection to a server, and sorting what can go wrong with it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::{AlertDescription, CertificateError, Error, OtherError};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::certificate::read_leaf;
use crate::connect::Expect;
use crate::error::ConnectError;
use crate::expiry::Expiring;
use crate::identity::Identity;

/// A client's stream to the server.
pub(crate) type Stream = Expiring<TlsStream<TcpStream>>;

/// Whom to dial, as who, and how long to try.
pub(crate) struct Target {
    address: String,
    name: ServerName<'static>,
    identity: Arc<Identity>,
    expect: Expect,
    timeout: Duration,
}

impl Target {
    pub(crate) fn new(
        address: &str,
        identity: Arc<Identity>,
        expect: Expect,
        timeout: Duration,
    ) -> Result<Self, ConnectError> {
        let bad = || ConnectError::Address { address: address.to_owned() };
        let (host, port) = address.rsplit_once(':').ok_or_else(bad)?;
        port.parse::<u16>().map_err(|_| bad())?;
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let name = ServerName::try_from(bare.to_owned()).map_err(|_| bad())?;
        // An IPv6 address without brackets would be split at the wrong colon.
        if bare.contains(':') && bare == host {
            return Err(bad());
        }
        Ok(Self { address: address.to_owned(), name, identity, expect, timeout })
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Connects with the certificate of this moment, within the timeout.
    pub(crate) async fn dial(&self) -> Result<Stream, ConnectError> {
        let attempt = tokio::time::timeout(self.timeout, self.attempt()).await;
        attempt.unwrap_or_else(|_| Err(self.timed_out()))
    }

    async fn attempt(&self) -> Result<Stream, ConnectError> {
        let unreachable = |source| ConnectError::Unreachable { address: self.address.clone(), source };
        let tcp = TcpStream::connect(&self.address).await.map_err(unreachable)?;
        tcp.set_nodelay(true).map_err(unreachable)?;
        let config = self.identity.material().client(&self.expect).map_err(|e| self.sort_tls(&e))?;
        let connector = TlsConnector::from(Arc::new(config));
        let tls = connector.connect(self.name.clone(), tcp).await.map_err(|e| self.classify(e))?;
        let session = tls.get_ref().1;
        if session.alpn_protocol() != Some(b"h2") {
            return Err(self.protocol("it does not offer HTTP/2".to_owned()));
        }
        let leaf = session.peer_certificates().and_then(<[_]>::first);
        let leaf = leaf.ok_or_else(|| self.protocol("it has no certificate".to_owned()))?;
        let not_after = read_leaf(leaf)
            .map_err(|e| ConnectError::ServerRefused {
                address: self.address.clone(),
                reason: e.to_string(),
            })?
            .not_after;
        Ok(Expiring::new(tls, not_after))
    }

    pub(crate) fn timed_out(&self) -> ConnectError {
        ConnectError::Timeout { address: self.address.clone(), after: self.timeout }
    }

    pub(crate) fn closed(&self) -> ConnectError {
        ConnectError::Closed { address: self.address.clone() }
    }

    pub(crate) fn protocol(&self, reason: String) -> ConnectError {
        ConnectError::Protocol { address: self.address.clone(), reason }
    }

    fn classify(&self, error: io::Error) -> ConnectError {
        match error.get_ref().and_then(|e| e.downcast_ref::<Error>()) {
            Some(tls) => self.sort_tls(tls),
            None if error.kind() == io::ErrorKind::UnexpectedEof => self.closed(),
            None => ConnectError::Unreachable { address: self.address.clone(), source: error },
        }
    }

    /// As `classify`, for an error that someone else needs too.
    pub(crate) fn classify_ref(&self, error: &io::Error) -> ConnectError {
        match error.get_ref().and_then(|e| e.downcast_ref::<Error>()) {
            Some(tls) => self.sort_tls(tls),
            None => self.classify(io::Error::new(error.kind(), error.to_string())),
        }
    }

    fn sort_tls(&self, error: &Error) -> ConnectError {
        let address = self.address.clone();
        match error {
            Error::InvalidCertificate(CertificateError::Other(OtherError(why))) => {
                ConnectError::ServerRefused { address, reason: why.to_string() }
            }
            Error::InvalidCertificate(_) => {
                ConnectError::ServerRefused { address, reason: error.to_string() }
            }
            Error::AlertReceived(alert) if is_about_identity(*alert) => {
                ConnectError::ClientRefused { address, reason: error.to_string() }
            }
            other => self.protocol(other.to_string()),
        }
    }
}

fn is_about_identity(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::NoCertificate
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateRequired
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::DecryptError
    )
}
