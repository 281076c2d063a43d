//! The table of roles and RPCs, cell by cell, by itself and in front of a real server.

use std::convert::Infallible;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use quorate_transport::PeerRole::{self, Approver, Auditor, Coordinator, Gateway, Node, Operator};
use quorate_transport::{AccessLayer, Grant, HandshakeLimits, Peer, SpiffeId};
use tower::{Layer, ServiceExt};

use crate::harness::{Cluster, Serving, TIMEOUT, check};

const TABLE: &[Grant] = &[
    Grant("/quorate.v1.SigningService/Sign", &[Gateway]),
    Grant("/quorate.v1.SigningService/*", &[Gateway, Operator, Auditor]),
    Grant("/quorate.v1.WalletService/CreateWallet", &[Operator]),
    Grant("/quorate.v1.NodeRelay/Attach", &[Node]),
    Grant("/quorate.v1.Nobody/Call", &[]),
    Grant("/grpc.health.v1.Health/*", &PeerRole::ALL),
];

/// Each path with exactly the roles that may call it; every other cell is a denial.
const CELLS: &[(&str, &[PeerRole])] = &[
    ("/quorate.v1.SigningService/Sign", &[Gateway]),
    ("/quorate.v1.SigningService/GetSignature", &[Gateway, Operator, Auditor]),
    ("/quorate.v1.WalletService/CreateWallet", &[Operator]),
    ("/quorate.v1.WalletService/ListWallets", &[]),
    ("/quorate.v1.NodeRelay/Attach", &[Node]),
    ("/quorate.v1.Nobody/Call", &[]),
    ("/grpc.health.v1.Health/Check", &[Gateway, Operator, Approver, Auditor, Node, Coordinator]),
    // near misses
    ("", &[]),
    ("/", &[]),
    ("*", &[]),
    ("/*", &[]),
    ("/grpc.health.v1.Health", &[]),
    ("/grpc.health.v1.Health/", &[]),
    ("/grpc.health.v1.Health/Check/more", &[]),
    ("/grpc.health.v1.HealthX/Check", &[]),
    ("/grpc.health.v1.health/Check", &[]),
    ("//grpc.health.v1.Health/Check", &[]),
    ("/x/grpc.health.v1.Health/Check", &[]),
    ("/quorate.v1.SigningService/sign", &[Gateway, Operator, Auditor]),
    ("/quorate.v1.WalletService/CreateWallet/", &[]),
    ("/quorate.v1.WalletService/%43reateWallet", &[]),
    ("/quorate.v1.WalletService/CreateWalletX", &[]),
];

fn peer(role: PeerRole) -> Peer {
    let id = SpiffeId::new("demo".parse().unwrap(), role, "p-1").unwrap();
    Peer { id, address: "127.0.0.1:1".parse().unwrap() }
}

/// Sends one request through the layer; `None` if it reached the service, else the gRPC status and body size.
async fn send(table: &'static [Grant], path: &str, peer: Option<Peer>) -> Option<(String, String, usize)> {
    let inner = tower::service_fn(|_: http::Request<()>| async {
        let body = Full::new(Bytes::from_static(b"reached"));
        Ok::<_, Infallible>(http::Response::new(body))
    });
    let uri = if path.is_empty() { "http://host".to_owned() } else { path.to_owned() };
    let mut request = http::Request::builder().uri(uri).body(()).unwrap();
    request.extensions_mut().extend({
        let mut extensions = http::Extensions::new();
        peer.map(|peer| extensions.insert(peer));
        extensions
    });
    let response = AccessLayer::new(table).layer(inner).oneshot(request).await.unwrap();
    let header =
        |name: &str| response.headers().get(name).map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default();
    let (status, message, kind) = (header("grpc-status"), header("grpc-message"), header("content-type"));
    assert_eq!(response.status(), 200, "gRPC errors are HTTP 200");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    if body == "reached" {
        return None;
    }
    assert_eq!(kind, "application/grpc");
    Some((status, message, body.len()))
}

#[tokio::test]
async fn every_cell_of_the_table() {
    for (path, allowed) in CELLS {
        for role in PeerRole::ALL {
            let denial = send(TABLE, path, Some(peer(role))).await;
            assert_eq!(denial.is_none(), allowed.contains(&role), "{role} {path}");
            if let Some((status, message, body)) = denial {
                assert_eq!((status.as_str(), body), ("7", 0), "{role} {path}");
                assert!(message.contains(role.as_str()), "{message}");
            }
        }
    }
}

#[tokio::test]
async fn without_a_peer_nothing_is_reached() {
    for (path, _) in CELLS {
        let (status, _, body) = send(TABLE, path, None).await.expect("denied");
        assert_eq!((status.as_str(), body), ("7", 0), "{path}");
    }
}

#[tokio::test]
async fn an_empty_table_denies_everything() {
    for role in PeerRole::ALL {
        assert!(send(&[], "/grpc.health.v1.Health/Check", Some(peer(role))).await.is_some(), "{role}");
    }
}

#[tokio::test]
async fn in_front_of_a_server_the_certificate_decides() {
    const CHECK: &[Grant] = &[Grant("/grpc.health.v1.Health/Check", &[Gateway, Node])];
    let cluster = Cluster::new("demo");
    let server = cluster.member(Coordinator, "c-1");
    let serving = Serving::with(server, TIMEOUT, HandshakeLimits::default(), CHECK).await;
    for role in PeerRole::ALL {
        let channel = serving.connect(&cluster.member(role, "p-1")).await.unwrap();
        let expected = match role {
            Gateway | Node => Ok(()),
            _ => Err(tonic::Code::PermissionDenied),
        };
        assert_eq!(check(&channel).await, expected, "{role}");
    }
}
