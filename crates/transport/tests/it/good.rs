//! What must work: members of one cluster talk, and each request knows its peer.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, SystemTime};

use quorate_transport::pki::Validity;
use quorate_transport::{ConnectError, Expect, Identity, Listener, Peer, PeerRole, connect, peer};
use tonic::transport::Server;
use tonic::{Request, Status};

use crate::harness::{self, Cluster, Serving, TIMEOUT};

#[tokio::test]
async fn every_role_connects_and_is_known_by_name() {
    let cluster = Cluster::new("demo");
    let server = cluster.member(PeerRole::Coordinator, "c-1");
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), server, TIMEOUT).await.unwrap();
    let address = listener.local_addr();
    let (seen, peers) = mpsc::channel::<Option<Peer>>();
    let note = move |request: Request<()>| {
        seen.send(peer(request.extensions()).cloned()).unwrap();
        Ok::<_, Status>(request)
    };
    let (_, health) = tonic_health::server::health_reporter();
    let service = tonic::service::interceptor::InterceptedService::new(health, note);
    tokio::spawn(Server::builder().add_service(service).serve_with_incoming(listener.into_stream()));
    for role in PeerRole::ALL {
        let member = cluster.member(role, "m-1");
        let channel = harness::connect(address, &member).await.unwrap();
        harness::check(&channel).await.unwrap();
        let seen = peers.recv_timeout(TIMEOUT).unwrap().expect("a peer in the extensions");
        assert_eq!(seen.id.to_string(), format!("spiffe://demo/{role}/m-1"));
        assert!(seen.address.ip().is_loopback());
    }
}

#[tokio::test]
async fn a_server_is_found_by_name_of_its_host_too() {
    let cluster = Cluster::new("demo");
    let serving = Serving::start(cluster.member(PeerRole::Coordinator, "c-1")).await;
    let gateway = cluster.member(PeerRole::Gateway, "g-1");
    let expect = Expect { role: PeerRole::Coordinator, id: Some("c-1".to_owned()) };
    let address = format!("localhost:{}", serving.address.port());
    // "localhost" may resolve to ::1 first; the dial tries each address.
    let channel = connect(&address, gateway, expect, TIMEOUT).await.unwrap();
    harness::check(&channel).await.unwrap();
}

#[tokio::test]
async fn shutdown_closes_the_port_and_the_client_finds_the_next_server() {
    let cluster = Cluster::new("demo");
    let server = cluster.member(PeerRole::Coordinator, "c-1");
    let gateway = cluster.member(PeerRole::Gateway, "g-1");
    let first = Serving::start(Arc::clone(&server)).await;
    let address = first.address;
    let channel = first.connect(&gateway).await.unwrap();
    harness::check(&channel).await.unwrap();
    first.shutdown().await;
    assert_eq!(harness::check(&channel).await, Err(tonic::Code::Unavailable));
    let gone = harness::connect(address, &gateway).await.unwrap_err();
    assert!(matches!(gone, ConnectError::Unreachable { .. }), "{gone}");

    // The same port again: the old channel reconnects by itself.
    let listener = Listener::bind(address, server, TIMEOUT).await.unwrap();
    let (_, health) = tonic_health::server::health_reporter();
    tokio::spawn(Server::builder().add_service(health).serve_with_incoming(listener.into_stream()));
    harness::check(&channel).await.unwrap();
}

#[tokio::test]
async fn a_connection_ends_with_its_peers_certificate() {
    let cluster = Cluster::new("demo");
    let serving = Serving::start(cluster.member(PeerRole::Coordinator, "c-1")).await;
    let now = SystemTime::now();
    let validity = Validity { not_before: now - TIMEOUT, not_after: now + Duration::from_secs(5) };
    let issued = cluster.ca.issue(&cluster.id(PeerRole::Node, "n-1"), validity).unwrap();
    let node = Identity::load(&cluster.save("short", &issued)).unwrap();
    let channel = serving.connect(&node).await.unwrap();
    harness::check(&channel).await.unwrap();
    tokio::time::sleep(Duration::from_secs(7)).await;
    // The old connection is gone, and the expired certificate gets no new one.
    let code = harness::check(&channel).await.unwrap_err();
    assert!(matches!(code, tonic::Code::Unavailable | tonic::Code::Unknown), "{code:?}");
    let refused = serving.connect(&node).await.unwrap_err();
    assert!(matches!(refused, ConnectError::ClientRefused { .. }), "{refused}");
}
