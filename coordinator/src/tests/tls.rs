//! The real edge: a whole coordinator on a port, certificates, roles and a node's stream.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use quorate_proto::v1;
use quorate_proto::v1::node_frame::Frame;
use quorate_proto::v1::node_relay_client::NodeRelayClient;
use quorate_proto::v1::relay_frame::Frame as FromCoordinator;
use quorate_proto::v1::signing_service_client::SigningServiceClient;
use quorate_store::Kek;
use quorate_transport::pki::{Ca, Validity};
use quorate_transport::{AccessLayer, Expect, Identity, PeerRole, SpiffeId, connect};
use quorate_types::SystemClock;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};

use super::rig::{manifest, root};
use crate::access::GRANTS;
use crate::{App, Config, Running, StartError, Stopped};

struct Edge {
    running: Running,
    ca: Ca,
    dir: tempfile::TempDir,
}

fn issue(ca: &Ca, dir: &Path, role: PeerRole, id: &str) -> quorate_transport::TlsFiles {
    let id = SpiffeId::new("demo".parse().unwrap(), role, id).unwrap();
    let place = dir.join(format!("{}-{}", id.role(), id.id()));
    std::fs::create_dir_all(&place).unwrap();
    ca.issue(&id, Validity::days(1)).unwrap().save(ca, &place).unwrap()
}

fn write_config(ca: &Ca, dir: &Path) -> Config {
    issue(ca, dir, PeerRole::Coordinator, "coordinator-1");
    let document = manifest(1);
    std::fs::write(dir.join("manifest.yaml"), &document.body).unwrap();
    std::fs::write(dir.join("manifest.sig"), &document.signatures[0]).unwrap();
    let kek = dir.join("kek");
    if !kek.exists() {
        Kek::generate_file(&kek).unwrap();
    }
    let text = format!(
        "cluster: demo\ncoordinator: coordinator-1\nlisten: 127.0.0.1:0\ndata_dir: data\nkek: {{file: kek}}\n\
         tls: {{certificate: coordinator-coordinator-1/certificate.pem, key: coordinator-coordinator-1/key.pem, \
         ca: coordinator-coordinator-1/ca.pem}}\n\
         manifest: {{document: manifest.yaml, signatures: [manifest.sig]}}\nroots: ['{}']\nhealth: 127.0.0.1:0\n",
        root()
    );
    let path = dir.join("coordinator.yaml");
    std::fs::write(&path, text).unwrap();
    Config::load(&path).unwrap()
}

impl Edge {
    async fn start() -> Self {
        let ca = Ca::generate(&"demo".parse().unwrap()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let running = App::start(write_config(&ca, dir.path()), Arc::new(SystemClock)).await.unwrap();
        Self { running, ca, dir }
    }

    async fn channel(&self, role: PeerRole, id: &str) -> Channel {
        let identity = Identity::load(&issue(&self.ca, self.dir.path(), role, id)).unwrap();
        let expect = Expect { role: PeerRole::Coordinator, id: Some("coordinator-1".to_owned()) };
        let address = self.running.local_addr().to_string();
        connect(&address, identity, expect, Duration::from_secs(10)).await.unwrap()
    }

    /// A node's stream that has said `hello`.
    async fn attach(
        &self,
        id: &str,
        node: &str,
    ) -> Result<(mpsc::Sender<v1::NodeFrame>, Streaming<v1::RelayFrame>), Status> {
        let (frames, out) = mpsc::channel(8);
        let hello = v1::Hello { node: node.to_owned(), boot_id: vec![1; 16], ..Default::default() };
        frames.send(v1::NodeFrame { frame: Some(Frame::Hello(hello)) }).await.unwrap();
        let mut client = NodeRelayClient::new(self.channel(PeerRole::Node, id).await);
        let stream = client.attach(ReceiverStream::new(out)).await?.into_inner();
        Ok((frames, stream))
    }
}

/// What each role may call, as the documentation says it: g(ateway), o(perator), p (approver), a(uditor), n(ode).
const TABLE: [(&str, &str); 32] = [
    ("/quorate.v1.SigningService/Sign", "go"),
    ("/quorate.v1.SigningService/SignBatch", "go"),
    ("/quorate.v1.SigningService/Evaluate", "go"),
    ("/quorate.v1.SigningService/GetSigning", "gopa"),
    ("/quorate.v1.SigningService/WatchSigning", "gopa"),
    ("/quorate.v1.SigningService/RecordTransaction", "go"),
    ("/quorate.v1.SigningService/ApplyLapse", "o"),
    ("/quorate.v1.WalletService/CreateWallet", "o"),
    ("/quorate.v1.WalletService/GetWallet", "gopa"),
    ("/quorate.v1.WalletService/ListWallets", "gopa"),
    ("/quorate.v1.PolicyService/ApplyPolicy", "o"),
    ("/quorate.v1.PolicyService/GetPolicy", "opa"),
    ("/quorate.v1.ClusterService/EnrolGroup", "o"),
    ("/quorate.v1.ClusterService/ListNodes", "opa"),
    ("/quorate.v1.ClusterService/ListGroups", "opa"),
    ("/quorate.v1.ClusterService/ApplyManifest", "o"),
    ("/quorate.v1.FreezeService/ApplyFreeze", "op"),
    ("/quorate.v1.FreezeService/ListFreezes", "opa"),
    ("/quorate.v1.CeremonyService/RecordDrill", "o"),
    ("/quorate.v1.CeremonyService/RecordTranscript", "o"),
    ("/quorate.v1.ApprovalService/ListApprovals", "opa"),
    ("/quorate.v1.ApprovalService/GetApproval", "opa"),
    ("/quorate.v1.ApprovalService/Approve", "op"),
    ("/quorate.v1.ApprovalService/Refuse", "op"),
    ("/quorate.v1.AuditService/Head", "oa"),
    ("/quorate.v1.AuditService/List", "oa"),
    ("/quorate.v1.AuditService/Checkpoint", "oa"),
    ("/quorate.v1.AuditService/Prove", "oa"),
    ("/quorate.v1.AuditService/WatchEvents", "oa"),
    ("/quorate.v1.AlertService/ListDeadLetters", "oa"),
    ("/quorate.v1.AlertService/RetryDeadLetters", "o"),
    ("/quorate.v1.NodeRelay/Attach", "n"),
];

fn letter(role: PeerRole) -> char {
    match role {
        PeerRole::Gateway => 'g',
        PeerRole::Operator => 'o',
        PeerRole::Approver => 'p',
        PeerRole::Auditor => 'a',
        PeerRole::Node => 'n',
        PeerRole::Coordinator => 'c',
    }
}

#[tokio::test]
async fn every_role_is_let_into_its_methods_and_no_other() {
    let edge = Edge::start().await;
    let table = AccessLayer::new(GRANTS);
    for role in PeerRole::ALL {
        let channel = edge.channel(role, "someone").await;
        for (path, allowed) in TABLE {
            let mut client = tonic::client::Grpc::new(channel.clone());
            client.ready().await.unwrap();
            let codec = tonic_prost::ProstCodec::<v1::GetWalletRequest, v1::Wallet>::default();
            let request = tonic::Request::new(v1::GetWalletRequest::default());
            let called = client.server_streaming(request, path.parse().unwrap(), codec);
            let code = called.await.err().map(|status| status.code());
            let denied = code == Some(Code::PermissionDenied);
            assert_eq!(denied, !allowed.contains(letter(role)), "{role} {path}: {code:?}");
            assert_eq!(table.allows(role, path), !denied);
            assert_ne!(code, Some(Code::Unimplemented), "{path} is not served");
        }
        let mut client = tonic::client::Grpc::new(channel);
        client.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<v1::GetWalletRequest, v1::Wallet>::default();
        let request = tonic::Request::new(v1::GetWalletRequest { wallet: "SERVING".to_owned() });
        let health = client.unary(request, "/grpc.health.v1.Health/Check".parse().unwrap(), codec).await;
        assert_eq!(
            health.unwrap_err().code(),
            Code::NotFound,
            "{role}: it answers, for a service it does not know"
        );
    }
    edge.running.shutdown().await;
}

/// As much of a file descriptor set as names its methods.
#[derive(prost::Message)]
struct Files {
    #[prost(message, repeated, tag = "1")]
    file: Vec<File>,
}

#[derive(prost::Message)]
struct File {
    #[prost(string, tag = "2")]
    package: String,
    #[prost(message, repeated, tag = "6")]
    service: Vec<Service>,
}

#[derive(prost::Message)]
struct Service {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    method: Vec<Method>,
}

#[derive(prost::Message)]
struct Method {
    #[prost(string, tag = "1")]
    name: String,
}

#[test]
fn every_method_there_is_stands_in_the_table() {
    let files = <Files as prost::Message>::decode(quorate_proto::DESCRIPTORS).unwrap();
    let mut paths = Vec::new();
    for file in &files.file {
        for service in &file.service {
            let path = |method: &Method| format!("/{}.{}/{}", file.package, service.name, method.name);
            paths.extend(service.method.iter().map(path));
        }
    }
    assert_eq!(paths.len(), TABLE.len());
    for path in paths {
        assert!(GRANTS.iter().any(|grant| grant.0 == path), "{path} is granted to nobody");
        assert!(TABLE.iter().any(|(tested, _)| *tested == path), "{path} is not tested");
    }
}

#[tokio::test]
async fn a_node_attaches_as_itself_and_once() {
    let edge = Edge::start().await;
    let stranger = edge.attach("service-1", "agent-1").await.unwrap_err();
    assert_eq!(stranger.code(), Code::PermissionDenied);
    let (_frames, mut first) = edge.attach("agent-1", "agent-1").await.unwrap();
    let Some(FromCoordinator::Welcome(welcome)) = first.message().await.unwrap().unwrap().frame else {
        panic!("not welcomed first")
    };
    assert_eq!(welcome.heartbeat_ms, 5000);
    // It came with manifest version 0: it is told the one in force. A heartbeat may come before it.
    let manifest = loop {
        match first.message().await.unwrap().unwrap().frame.unwrap() {
            FromCoordinator::Manifest(manifest) => break manifest,
            FromCoordinator::Heartbeat(_) => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(manifest.body, self::manifest(1).body);
    let (_frames, mut second) = edge.attach("agent-1", "agent-1").await.unwrap();
    while first.message().await.unwrap().is_some() {}
    assert!(second.message().await.unwrap().is_some(), "the latest stream is the node's");
    edge.running.shutdown().await;
    while let Ok(Some(_)) = second.message().await {}
}

#[tokio::test]
async fn errors_carry_their_field_over_the_wire() {
    let edge = Edge::start().await;
    let mut client = SigningServiceClient::new(edge.channel(PeerRole::Gateway, "shop").await);
    let empty = client.sign(v1::SignRequest::default()).await.unwrap_err();
    let failure = quorate_proto::failure_of(&empty).unwrap();
    assert_eq!((empty.code(), failure.field.as_str()), (Code::InvalidArgument, "wallet"));
    let payload = v1::Payload { kind: Some(v1::payload::Kind::Message(vec![1])) };
    let request = v1::SignRequest {
        agent: None,
        wallet: "w".to_owned(),
        payload: Some(payload),
        idempotency_key: "k".to_owned(),
        ..Default::default()
    };
    assert_eq!(client.sign(request.clone()).await.unwrap_err().code(), Code::NotFound);
    let huge = v1::payload::Kind::Message(vec![0; 600 * 1024]);
    let huge = v1::SignRequest { payload: Some(v1::Payload { kind: Some(huge) }), ..request };
    assert_eq!(client.sign(huge).await.unwrap_err().code(), Code::OutOfRange);
    edge.running.shutdown().await;
}

#[tokio::test]
async fn it_starts_again_on_its_own_store_and_refuses_what_does_not_fit() {
    let edge = Edge::start().await;
    let (ca, dir) = (edge.ca, edge.dir);
    edge.running.shutdown().await;
    let again = App::start(write_config(&ca, dir.path()), Arc::new(SystemClock)).await.unwrap();
    again.shutdown().await;
    let refused = |change: fn(&mut Config)| {
        let mut config = write_config(&ca, dir.path());
        change(&mut config);
        async move { App::start(config, Arc::new(SystemClock)).await.err().map(|error| error.to_string()) }
    };
    let dev = refused(|config| config.dev = true).await.unwrap();
    assert!(dev.starts_with("dev: "), "{dev}");
    let name = refused(|config| config.coordinator = "coordinator-2".to_owned()).await.unwrap();
    assert!(name.starts_with("tls.certificate: "), "{name}");
    let roots = refused(|config| config.roots = vec!["nonsense".to_owned()]).await.unwrap();
    assert!(roots.starts_with("roots: "), "{roots}");
    let missing = refused(|config| config.manifest.document = "nowhere".into()).await.unwrap();
    assert!(missing.starts_with("nowhere: "), "{missing}");
    let kek = dir.path().join("kek");
    std::fs::remove_file(&kek).unwrap();
    Kek::generate_file(&kek).unwrap();
    let error = App::start(write_config(&ca, dir.path()), Arc::new(SystemClock)).await.err().unwrap();
    assert!(matches!(error, StartError::Store(_)), "{error}");
}

#[tokio::test]
async fn a_store_that_failed_ends_it_and_every_stream() {
    let edge = Edge::start().await;
    let (_frames, mut stream) = edge.attach("agent-1", "agent-1").await.unwrap();
    edge.running.core.db.broken().cancel();
    let stopped = tokio::time::timeout(Duration::from_secs(5), edge.running.wait()).await;
    assert_eq!(stopped, Ok(Stopped::Store));
    let ended = async { while let Ok(Some(_)) = stream.message().await {} };
    tokio::time::timeout(Duration::from_secs(5), ended).await.unwrap();
}
