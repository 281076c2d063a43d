//! A cluster's authority, members, servers, and peers that break the rules.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use quorate_transport::pki::{Ca, Issued, Validity};
use quorate_transport::{
    AccessLayer, Expect, Grant, HandshakeLimits, Identity, Listener, PeerRole, SpiffeId, TlsFiles,
};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, Error, ServerConfig, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tonic::transport::{Channel, Server};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);
pub(crate) const HEALTH: &[Grant] = &[Grant("/grpc.health.v1.Health/*", &PeerRole::ALL)];

/// One cluster's authority and a directory for its members' files.
pub(crate) struct Cluster {
    pub(crate) ca: Ca,
    dir: TempDir,
}

impl Cluster {
    pub(crate) fn new(name: &str) -> Self {
        let ca = Ca::generate(&name.parse().unwrap()).unwrap();
        Self { ca, dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn id(&self, role: PeerRole, id: &str) -> SpiffeId {
        SpiffeId::new(self.ca.cluster().clone(), role, id).unwrap()
    }

    pub(crate) fn issued(&self, role: PeerRole, id: &str) -> Issued {
        self.ca.issue(&self.id(role, id), Validity::days(1)).unwrap()
    }

    /// Writes the files of a member into a directory of its own.
    pub(crate) fn save(&self, name: &str, issued: &Issued) -> TlsFiles {
        let dir = self.dir.path().join(name);
        std::fs::create_dir_all(&dir).unwrap();
        issued.save(&self.ca, &dir).unwrap()
    }

    pub(crate) fn member(&self, role: PeerRole, id: &str) -> Arc<Identity> {
        let files = self.save(&format!("{role}-{id}"), &self.issued(role, id));
        Identity::load(&files).unwrap()
    }
}

pub(crate) fn coordinator() -> Expect {
    Expect { role: PeerRole::Coordinator, id: None }
}

pub(crate) fn expired() -> Validity {
    let now = SystemTime::now();
    Validity { not_before: now - Duration::from_secs(7200), not_after: now - Duration::from_secs(60) }
}

pub(crate) fn not_yet() -> Validity {
    let now = SystemTime::now();
    Validity { not_before: now + Duration::from_secs(3600), not_after: now + Duration::from_secs(7200) }
}

/// A health server behind the listener and the access layer.
pub(crate) struct Serving {
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: tokio::task::JoinHandle<()>,
}

impl Serving {
    pub(crate) async fn start(identity: Arc<Identity>) -> Self {
        Self::with(identity, TIMEOUT, HandshakeLimits::default(), HEALTH).await
    }

    pub(crate) async fn with(
        identity: Arc<Identity>,
        handshake: Duration,
        limits: HandshakeLimits,
        grants: &'static [Grant],
    ) -> Self {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), identity, handshake).await.unwrap();
        let listener = listener.with_limits(limits);
        let address = listener.local_addr();
        let (_, health) = tonic_health::server::health_reporter();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            Server::builder()
                .layer(AccessLayer::new(grants))
                .add_service(health)
                .serve_with_incoming_shutdown(listener.into_stream(), async { drop(stopped.await) })
                .await
                .unwrap();
        });
        Self { address, stop: Some(stop), task }
    }

    pub(crate) async fn shutdown(mut self) {
        drop(self.stop.take());
        self.task.await.unwrap();
    }

    pub(crate) async fn connect(&self, identity: &Arc<Identity>) -> Result<Channel, ConnectError> {
        connect(self.address, identity).await
    }
}

pub(crate) use quorate_transport::ConnectError;

pub(crate) async fn connect(address: SocketAddr, identity: &Arc<Identity>) -> Result<Channel, ConnectError> {
    quorate_transport::connect(&address.to_string(), Arc::clone(identity), coordinator(), TIMEOUT).await
}

/// One health RPC; its gRPC code.
pub(crate) async fn check(channel: &Channel) -> Result<(), tonic::Code> {
    let mut client = HealthClient::new(channel.clone());
    let request = HealthCheckRequest { service: String::new() };
    let answer = tokio::time::timeout(TIMEOUT, client.check(request)).await.expect("an answer in time");
    answer.map(drop).map_err(|status| status.code())
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

pub(crate) fn chain(issued: &Issued) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let certificate = CertificateDer::from_pem_slice(issued.certificate_pem.as_bytes()).unwrap();
    (vec![certificate], PrivateKeyDer::from_pem_slice(issued.key_pem.as_bytes()).unwrap())
}

/// A client that believes any server and shows any certificate, or none.
pub(crate) fn lawless_client(issued: Option<&Issued>) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(BelieveAll));
    let mut config = match issued.map(chain) {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).unwrap(),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

/// A server that shows any certificate and asks for none.
pub(crate) fn lawless_server(issued: &Issued) -> ServerConfig {
    let (chain, key) = chain(issued);
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

#[derive(Debug)]
struct BelieveAll;

impl ServerCertVerifier for BelieveAll {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        unreachable!("TLS 1.3 only")
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
