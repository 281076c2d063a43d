//! A cluster on disk with one node, and coordinators that do what a test tells them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use quorate_manifest::{
    CoordinatorDraft, GroupDraft, ManifestDraft, Namespace, NodeDraft, PersonDraft, sign,
};
use quorate_node::{App, Config, Running, StartError, identity};
use quorate_proto::v1::node_frame::Frame as FromNode;
use quorate_proto::v1::node_relay_server::{NodeRelay, NodeRelayServer};
use quorate_proto::v1::relay_frame::Frame;
use quorate_proto::v1::{Heartbeat, Hello, NodeFrame, RelayFrame, SignedDocument, Welcome};
use quorate_session::NodeKey;
use quorate_store::Kek;
use quorate_transport::pki::{Ca, Validity};
use quorate_transport::{Identity, Listener, PeerRole, SpiffeId};
use quorate_types::SystemClock;
use rand_core::OsRng;
use ssh_key::{Algorithm, PrivateKey};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Request, Response, Status, Streaming};

/// Longest any step of a test may take.
pub const SOON: Duration = Duration::from_secs(20);

/// The files of a cluster whose service node is real.
pub struct Cluster {
    pub dir: tempfile::TempDir,
    pub ca: Ca,
    pub operator: PrivateKey,
    pub draft: ManifestDraft,
}

impl Cluster {
    /// Makes the files. The node's identity is made as `init` makes it.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ca = Ca::generate(&"dev".parse().unwrap()).unwrap();
        let operator = PrivateKey::random(&mut OsRng, Algorithm::Ed25519).unwrap();
        let service = identity::create(&dir.path().join("data")).unwrap().to_string();
        let other = || NodeKey::generate(&mut OsRng).public().to_string();
        let node = |id: &str, role: &str, key| NodeDraft { id: id.into(), role: role.into(), key };
        let draft = ManifestDraft {
            dev: true,
            nodes: vec![
                node("agent-1", "agent", other()),
                node("service-1", "service", service),
                node("cold-1", "cold", other()),
            ],
            groups: vec![GroupDraft {
                id: "g".into(),
                agent: "agent-1".into(),
                service: "service-1".into(),
                cold: "cold-1".into(),
            }],
            approvers: Vec::new(),
            recovery: vec![age::x25519::Identity::generate().to_public().to_string()],
            coordinators: vec![CoordinatorDraft { id: "coordinator-1".into() }],
            ..ManifestDraft::new(
                "dev",
                vec![PersonDraft { name: "olga".into(), key: operator.public_key().to_openssh().unwrap() }],
            )
        };
        Kek::generate_file(&dir.path().join("kek")).unwrap();
        let cluster = Self { dir, ca, operator, draft };
        cluster.certificate(PeerRole::Node, "service-1", "tls");
        cluster.write_manifest(1);
        cluster
    }

    /// Where a file of the cluster is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Issues a certificate into a directory of its own.
    pub fn certificate(&self, role: PeerRole, id: &str, dir: &str) -> Arc<Identity> {
        let spiffe = SpiffeId::new("dev".parse().unwrap(), role, id).unwrap();
        let dir = self.path(dir);
        std::fs::create_dir_all(&dir).unwrap();
        let files = self.ca.issue(&spiffe, Validity::days(1)).unwrap().save(&self.ca, &dir).unwrap();
        Identity::load(&files).unwrap()
    }

    /// Signs a document.
    pub fn sign(&self, body: String, namespace: Namespace) -> SignedDocument {
        let signature = sign(body.as_bytes(), namespace, &self.operator).unwrap();
        SignedDocument { body: body.into_bytes(), signatures: vec![signature] }
    }

    /// The manifest of a version, signed.
    pub fn manifest(&self, version: u64) -> SignedDocument {
        let draft = ManifestDraft { version, ..self.draft.clone() };
        self.sign(draft.to_yaml().unwrap(), Namespace::Manifest)
    }

    /// Puts the manifest of a version where the configuration says it is.
    pub fn write_manifest(&self, version: u64) {
        let document = self.manifest(version);
        std::fs::write(self.path("manifest.yaml"), document.body).unwrap();
        std::fs::write(self.path("manifest.sig"), &document.signatures[0]).unwrap();
    }

    /// A policy, signed.
    pub fn policy(&self, wallet: &str, version: u64) -> SignedDocument {
        let body = format!(
            "policy: quorate/v1\ncluster: dev\nwallet: {wallet}\nversion: {version}\nrules:\n  chains: [base-sepolia]\n  \
             per_transaction: [{{asset: USDC, chain: base-sepolia, max: \"25.00\"}}]\n  \
             recipients: [{{address: \"0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf\", label: shop}}]\n"
        );
        self.sign(body, Namespace::Policy)
    }

    /// The node's configuration, as text.
    pub fn yaml(&self, coordinators: &[(&str, SocketAddr)]) -> String {
        let root = self.operator.public_key().to_openssh().unwrap();
        let list: Vec<_> = coordinators
            .iter()
            .map(|(id, address)| format!("{{id: {id}, address: \"{address}\"}}"))
            .collect();
        let list = list.join(", ");
        format!(
            "cluster: dev\nnode: service-1\nrole: service\ndata_dir: data\nkek: {{file: kek}}\n\
             coordinators: [{list}]\ntls: {{certificate: tls/certificate.pem, key: tls/key.pem, ca: tls/ca.pem}}\n\
             manifest: {{document: manifest.yaml, signatures: [manifest.sig]}}\nroots: [\"{root}\"]\n\
             health: 127.0.0.1:0\ndev: true\nconnect_timeout_ms: 3000\n"
        )
    }

    /// Starts the node from such a text.
    pub async fn start(&self, yaml: &str) -> Result<Running, StartError> {
        let config = Config::parse(yaml, self.dir.path()).unwrap();
        Box::pin(App::start(config, Arc::new(SystemClock))).await
    }
}

/// A coordinator that hands each stream to the test.
pub struct Coordinator {
    pub address: SocketAddr,
    streams: mpsc::Receiver<Attachment>,
    _stop: DropGuard,
}

/// A node's stream, seen from the coordinator.
pub struct Attachment {
    frames: Streaming<NodeFrame>,
    relay: mpsc::Sender<Result<RelayFrame, Status>>,
}

struct Relay(mpsc::Sender<Attachment>);

#[tonic::async_trait]
impl NodeRelay for Relay {
    type AttachStream = ReceiverStream<Result<RelayFrame, Status>>;

    async fn attach(
        &self,
        request: Request<Streaming<NodeFrame>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let (relay, frames) = mpsc::channel(1024);
        let attachment = Attachment { frames: request.into_inner(), relay };
        self.0.send(attachment).await.map_err(|_| Status::unavailable("the test is over"))?;
        Ok(Response::new(ReceiverStream::new(frames)))
    }
}

impl Coordinator {
    /// Listens as `id`.
    pub async fn start(cluster: &Cluster, id: &str) -> Self {
        let identity = cluster.certificate(PeerRole::Coordinator, id, id);
        let listener = Listener::bind(([127, 0, 0, 1], 0).into(), identity, SOON).await.unwrap();
        let address = listener.local_addr();
        let (sender, streams) = mpsc::channel(8);
        let stop = CancellationToken::new();
        let serving = tonic::transport::Server::builder().serve_with_incoming_shutdown(
            NodeRelayServer::new(Relay(sender)),
            listener.into_stream(),
            stop.clone().cancelled_owned(),
        );
        tokio::spawn(serving);
        Self { address, streams, _stop: stop.drop_guard() }
    }

    /// The next stream a node opens.
    pub async fn next(&mut self) -> Attachment {
        tokio::time::timeout(SOON, self.streams.recv()).await.expect("no node attached in time").unwrap()
    }

    /// Whether no node opens a stream for so long.
    pub async fn alone(&mut self, so_long: Duration) -> bool {
        tokio::time::timeout(so_long, self.streams.recv()).await.is_err()
    }

    /// The next stream, welcomed.
    pub async fn welcome(&mut self, heartbeat_ms: u32) -> (Attachment, Hello) {
        let mut attachment = self.next().await;
        let Some(FromNode::Hello(hello)) = attachment.frame().await else { panic!("expected hello") };
        attachment.send(Frame::Welcome(Welcome { heartbeat_ms })).await;
        (attachment, hello)
    }
}

impl Attachment {
    /// The node's next frame; none where it ended the stream.
    pub async fn frame(&mut self) -> Option<FromNode> {
        let frame = tokio::time::timeout(SOON, self.frames.message()).await.expect("no frame in time");
        frame.ok().flatten().map(|frame| frame.frame.expect("an empty frame"))
    }

    /// The node's next frame that is not a heartbeat. Answers heartbeats meanwhile.
    pub async fn answer(&mut self) -> Option<FromNode> {
        loop {
            match self.frame().await {
                Some(FromNode::Heartbeat(_)) => self.beat().await,
                other => return other,
            }
        }
    }

    /// Sends the node a frame.
    pub async fn send(&self, frame: Frame) {
        self.relay.send(Ok(RelayFrame { frame: Some(frame) })).await.expect("the stream ended");
    }

    /// Sends a heartbeat.
    pub async fn beat(&self) {
        self.send(Frame::Heartbeat(Heartbeat { primes_ready: 0 })).await;
    }
}

/// Waits until `what` holds.
pub async fn until(what: impl Fn() -> bool) {
    for _ in 0..1000 {
        if what() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("timed out");
}

/// What `/readyz` answers.
pub fn readyz(address: SocketAddr) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Every file below a directory.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
