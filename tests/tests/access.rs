//! Who may call what, cell by cell over real TLS; and certificates that open nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::time::{Duration, SystemTime};

use quorate_proto::v1::cluster_service_client::ClusterServiceClient;
use quorate_proto::v1::failure::Kind;
use quorate_proto::{failure_of, v1};
use quorate_tests::{CLUSTER, COORDINATOR, Cluster, World};
use quorate_transport::pki::{Ca, Validity};
use quorate_transport::{Expect, Identity, PeerRole, SpiffeId, connect};
use tonic::codec::Streaming;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use PeerRole::{Approver, Auditor, Coordinator, Gateway, Node, Operator};

/// Every RPC, and the roles that may call it. Everyone else is refused before the request is read.
const TABLE: &[(&str, &[PeerRole])] = &[
    ("/quorate.v1.SigningService/Sign", &[Gateway, Operator]),
    ("/quorate.v1.SigningService/SignBatch", &[Gateway, Operator]),
    ("/quorate.v1.SigningService/GetSigning", &[Gateway, Operator, Approver, Auditor]),
    ("/quorate.v1.WalletService/CreateWallet", &[Operator]),
    ("/quorate.v1.WalletService/GetWallet", &[Gateway, Operator, Approver, Auditor]),
    ("/quorate.v1.WalletService/ListWallets", &[Gateway, Operator, Approver, Auditor]),
    ("/quorate.v1.ClusterService/EnrolGroup", &[Operator]),
    ("/quorate.v1.ClusterService/ListNodes", &[Operator, Approver, Auditor]),
    ("/quorate.v1.ClusterService/ListGroups", &[Operator, Approver, Auditor]),
    ("/quorate.v1.ClusterService/ApplyManifest", &[Operator]),
    ("/quorate.v1.PolicyService/ApplyPolicy", &[Operator]),
    ("/quorate.v1.PolicyService/GetPolicy", &[Operator, Approver, Auditor]),
    ("/quorate.v1.FreezeService/ApplyFreeze", &[Operator, Approver]),
    ("/quorate.v1.FreezeService/ListFreezes", &[Operator, Approver, Auditor]),
    ("/quorate.v1.CeremonyService/RecordDrill", &[Operator]),
    ("/quorate.v1.CeremonyService/RecordTranscript", &[Operator]),
    ("/quorate.v1.AuditService/Head", &[Operator, Auditor]),
    ("/quorate.v1.AuditService/List", &[Operator, Auditor]),
    ("/quorate.v1.NodeRelay/Attach", &[Node]),
    ("/grpc.health.v1.Health/Check", &[Gateway, Operator, Approver, Auditor, Node, Coordinator]),
    ("/quorate.v1.SigningService/Nothing", &[]),
    ("/nothing.v1.Nothing/Nothing", &[]),
];

/// Calls `path` with an empty message and returns how it ended.
async fn call(channel: Channel, path: &'static str) -> Code {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let request = Request::new(tokio_stream::once(()));
    let path = tonic::codegen::http::uri::PathAndQuery::from_static(path);
    let answer: Result<tonic::Response<Streaming<()>>, Status> = client.streaming(request, path, codec).await;
    match answer {
        Err(status) => status.code(),
        Ok(response) => {
            let next = tokio::time::timeout(Duration::from_secs(5), response.into_inner().message()).await;
            next.map_or(Code::Ok, |message| message.err().map_or(Code::Ok, |status| status.code()))
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_cell_of_the_role_table() {
    let cluster = Cluster::coordinator_only(World::new()).await;
    for role in PeerRole::ALL {
        let channel = cluster.channel(role).await;
        for (path, allowed) in TABLE {
            let code = call(channel.clone(), path).await;
            assert_eq!(
                code != Code::PermissionDenied,
                allowed.contains(&role),
                "{role} calling {path}: {code:?}"
            );
        }
    }
    cluster.stop().await;
}

/// A refused role is told so in the same words as every other failure: kind, field and reason.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_role_is_told_as_a_failure() {
    let cluster = Cluster::coordinator_only(World::new()).await;
    let mut client = ClusterServiceClient::new(cluster.channel(Gateway).await);
    let status = client.list_nodes(v1::ListNodesRequest {}).await.unwrap_err();
    let failure = failure_of(&status).unwrap();
    assert_eq!((status.code(), failure.kind()), (Code::PermissionDenied, Kind::Forbidden));
    assert_eq!(failure.field, "role");
    assert!(failure.reason.contains("role gateway may not call"), "{}", failure.reason);
    cluster.stop().await;
}

async fn attempt(cluster: &Cluster, ca: &Ca, id: &SpiffeId, validity: Validity) -> Result<Channel, String> {
    let directory = tempfile::TempDir::new().unwrap();
    // Trust the cluster's authority, show this certificate.
    let files = ca.issue(id, validity).unwrap().save(ca, directory.path()).unwrap();
    std::fs::write(&files.ca, cluster.world.ca().certificate_pem()).unwrap();
    let identity = Identity::load(&files).map_err(|error| error.to_string())?;
    let expect = Expect { role: Coordinator, id: Some(COORDINATOR.to_owned()) };
    let address = cluster.address().to_string();
    connect(&address, identity, expect, Duration::from_secs(5)).await.map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expired_and_foreign_certificates_open_nothing() {
    let cluster = Cluster::coordinator_only(World::new()).await;
    let id = SpiffeId::new(CLUSTER.parse().unwrap(), Operator, "olga").unwrap();
    let ours = cluster.world.ca();
    attempt(&cluster, &ours, &id, Validity::days(1)).await.unwrap();

    let foreign = Ca::generate(&CLUSTER.parse().unwrap()).unwrap();
    assert!(
        attempt(&cluster, &foreign, &id, Validity::days(1)).await.is_err(),
        "a foreign authority was believed"
    );

    let hour = Duration::from_secs(3_600);
    let now = SystemTime::now();
    let expired = Validity { not_before: now - 2 * hour, not_after: now - hour };
    assert!(attempt(&cluster, &ours, &id, expired).await.is_err(), "an expired certificate was believed");
    let early = Validity { not_before: now + hour, not_after: now + 2 * hour };
    assert!(
        attempt(&cluster, &ours, &id, early).await.is_err(),
        "a certificate from the future was believed"
    );
    cluster.stop().await;
}
