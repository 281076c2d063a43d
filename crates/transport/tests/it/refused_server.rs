//! The client's side: each server it must not talk to, and which error says so.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quorate_transport::pki::{Issued, Validity};
use quorate_transport::{ConnectError, Expect, PeerRole, connect};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::harness::{self, Cluster, Serving, TIMEOUT, expired, lawless_server, not_yet};

/// A TLS server that closes after the handshake.
async fn pretend(config: rustls::ServerConfig) -> SocketAddr {
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap();
    tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        while let Ok((stream, _)) = tcp.accept().await {
            if let Ok(mut tls) = acceptor.accept(stream).await {
                let _ = tls.shutdown().await;
            }
        }
    });
    address
}

#[tokio::test]
async fn every_bad_server_certificate_is_refused_with_its_reason() {
    let (cluster, foreign) = (Cluster::new("demo"), Cluster::new("demo"));
    // Two foreign authorities: one that bears our authority's name, one that does not.
    let stranger = Cluster::new("stranger");
    let uris = |uris: &[&str]| cluster.ca.issue_uris(uris, Validity::days(1)).unwrap();
    let id = cluster.id(PeerRole::Coordinator, "c-1");
    let timed = |validity| cluster.ca.issue(&id, validity).unwrap();
    let cases: Vec<(Issued, &str)> = vec![
        (uris(&[]), "no URI subject alternative name"),
        (uris(&[&id.to_string(), "spiffe://demo/coordinator/c-2"]), "2 URI subject alternative names"),
        (uris(&["https://demo/coordinator/c-1"]), "must be spiffe://<cluster>/<role>/<id>"),
        (uris(&["spiffe://demo/boss/c-1"]), "role must be"),
        (uris(&["spiffe://other/coordinator/c-1"]), "spiffe://other/coordinator/c-1 is not of cluster demo"),
        (uris(&["spiffe://demo/gateway/c-1"]), "spiffe://demo/gateway/c-1 is not the coordinator that"),
        (foreign.issued(PeerRole::Coordinator, "c-1"), "BadSignature"),
        (stranger.ca.issue_uris(&[&id.to_string()], Validity::days(1)).unwrap(), "UnknownIssuer"),
        (timed(expired()), "certificate expired"),
        (timed(not_yet()), "certificate not valid yet"),
    ];
    let gateway = cluster.member(PeerRole::Gateway, "g-1");
    for (issued, reason) in cases {
        let address = pretend(lawless_server(&issued)).await;
        let error = harness::connect(address, &gateway).await.unwrap_err();
        assert!(matches!(error, ConnectError::ServerRefused { .. }), "{reason}: {error}");
        assert!(error.is_identity() && error.to_string().contains(reason), "{reason}: {error}");
        assert!(error.to_string().contains(&address.to_string()), "{error}");
    }
    // The control: the same pretender with a good certificate passes the check, and then has nothing to say.
    let address = pretend(lawless_server(&timed(Validity::days(1)))).await;
    let error = harness::connect(address, &gateway).await.unwrap_err();
    assert!(matches!(error, ConnectError::Closed { .. }), "{error}");
    assert!(!error.is_identity());
}

#[tokio::test]
async fn the_id_dialled_is_the_id_that_must_answer() {
    let cluster = Cluster::new("demo");
    let serving = Serving::start(cluster.member(PeerRole::Coordinator, "c-1")).await;
    let gateway = cluster.member(PeerRole::Gateway, "g-1");
    let dial = |role, id: &str| {
        let expect = Expect { role, id: Some(id.to_owned()) };
        let (address, gateway) = (serving.address.to_string(), Arc::clone(&gateway));
        async move { connect(&address, gateway, expect, TIMEOUT).await }
    };
    dial(PeerRole::Coordinator, "c-1").await.unwrap();
    for (role, id) in [(PeerRole::Coordinator, "c-2"), (PeerRole::Node, "c-1")] {
        let error = dial(role, id).await.unwrap_err();
        assert!(matches!(error, ConnectError::ServerRefused { .. }), "{error}");
        let told = format!("spiffe://demo/coordinator/c-1 is not the {role}/{id} that was dialled");
        assert!(error.to_string().contains(&told), "{error}");
    }
}

#[tokio::test]
async fn a_server_without_http2_is_no_server_of_ours() {
    let cluster = Cluster::new("demo");
    let mut config = lawless_server(&cluster.issued(PeerRole::Coordinator, "c-1"));
    config.alpn_protocols.clear();
    let gateway = cluster.member(PeerRole::Gateway, "g-1");
    let error = harness::connect(pretend(config).await, &gateway).await.unwrap_err();
    assert!(matches!(error, ConnectError::Protocol { .. }), "{error}");
}

#[tokio::test]
async fn what_is_not_reachable_is_not_called_an_identity_problem() {
    let cluster = Cluster::new("demo");
    let gateway = cluster.member(PeerRole::Gateway, "g-1");
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap();

    // Accepts and says nothing: the timeout is kept.
    let started = Instant::now();
    let wait = Duration::from_millis(300);
    let expect = harness::coordinator();
    let silent = connect(&address.to_string(), Arc::clone(&gateway), expect, wait).await.unwrap_err();
    assert!(matches!(silent, ConnectError::Timeout { after, .. } if after == wait), "{silent}");
    assert!(started.elapsed() < TIMEOUT / 2);

    drop(tcp);
    let gone = harness::connect(address, &gateway).await.unwrap_err();
    assert!(matches!(gone, ConnectError::Unreachable { .. }), "{gone}");
    for error in [silent, gone] {
        assert!(!error.is_identity(), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_takes_the_handshake_but_never_speaks_is_timed_out() {
    let cluster = Cluster::new("demo");
    let config = lawless_server(&cluster.issued(PeerRole::Coordinator, "c-1"));
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (stream, _) = tcp.accept().await.unwrap();
        let _kept = TlsAcceptor::from(Arc::new(config)).accept(stream).await.unwrap();
        std::future::pending::<()>().await;
    });
    let gateway = cluster.member(PeerRole::Gateway, "g-1");
    let wait = Duration::from_millis(500);
    let error = connect(&address, gateway, harness::coordinator(), wait).await.unwrap_err();
    assert!(matches!(error, ConnectError::Timeout { .. }), "{error}");
}

#[tokio::test]
async fn an_address_is_host_and_port() {
    let cluster = Cluster::new("demo");
    let gateway = cluster.member(PeerRole::Gateway, "g-1");
    for address in ["", "localhost", ":80", "localhost:", "localhost:x", "localhost:65536", "::1:80", "a b:1"]
    {
        let dial = connect(address, Arc::clone(&gateway), harness::coordinator(), TIMEOUT);
        let error = dial.await.unwrap_err();
        assert!(matches!(error, ConnectError::Address { .. }), "{address}: {error}");
    }
}
