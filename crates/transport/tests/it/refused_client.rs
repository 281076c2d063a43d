//! The server's side: each certificate it must not take, and that the next client is served all the same.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quorate_transport::pki::{Issued, Validity};
use quorate_transport::{ConnectError, Identity, Listener, PeerRole};
use rustls::AlertDescription as Alert;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_stream::StreamExt;

use crate::harness::{Cluster, Serving, TIMEOUT, check, expired, lawless_client, not_yet};

fn bad(cluster: &Cluster, foreign: &Cluster) -> Vec<(&'static str, Option<Issued>, Alert)> {
    let days = Validity::days(1);
    let uris = |uris: &[&str]| Some(cluster.ca.issue_uris(uris, days).unwrap());
    let stranger = Cluster::new("stranger");
    let id = cluster.id(PeerRole::Gateway, "g-1");
    let timed = |validity| Some(cluster.ca.issue(&id, validity).unwrap());
    vec![
        ("no certificate", None, Alert::CertificateRequired),
        ("no URI", uris(&[]), Alert::CertificateUnknown),
        ("two URIs", uris(&[&id.to_string(), "spiffe://demo/operator/o-1"]), Alert::CertificateUnknown),
        ("the same URI twice", uris(&[&id.to_string(), &id.to_string()]), Alert::CertificateUnknown),
        ("not SPIFFE", uris(&["https://demo/gateway/g-1"]), Alert::CertificateUnknown),
        ("no role", uris(&["spiffe://demo/g-1"]), Alert::CertificateUnknown),
        ("unknown role", uris(&["spiffe://demo/root/g-1"]), Alert::CertificateUnknown),
        ("upper case", uris(&["spiffe://demo/gateway/G-1"]), Alert::CertificateUnknown),
        ("empty id", uris(&["spiffe://demo/gateway/"]), Alert::CertificateUnknown),
        ("other cluster, our CA", uris(&["spiffe://other/gateway/g-1"]), Alert::CertificateUnknown),
        ("foreign CA of the same name", Some(foreign.issued(PeerRole::Gateway, "g-1")), Alert::DecryptError),
        ("foreign CA", Some(stranger.ca.issue_uris(&[&id.to_string()], days).unwrap()), Alert::UnknownCA),
        ("expired", timed(expired()), Alert::CertificateExpired),
        ("not yet valid", timed(not_yet()), Alert::CertificateExpired),
    ]
}

/// Shows a certificate and waits for the server's word.
async fn try_in(address: std::net::SocketAddr, issued: Option<&Issued>) -> std::io::Result<usize> {
    let tcp = TcpStream::connect(address).await.unwrap();
    let connector = TlsConnector::from(Arc::new(lawless_client(issued)));
    let mut tls = connector.connect(ServerName::try_from("localhost").unwrap(), tcp).await?;
    tls.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await?;
    let mut first = [0; 9];
    tokio::time::timeout(TIMEOUT, tls.read(&mut first)).await.expect("an answer in time")
}

#[tokio::test]
async fn every_bad_client_certificate_is_refused_in_the_handshake() {
    let (cluster, foreign) = (Cluster::new("demo"), Cluster::new("demo"));
    let server = cluster.member(PeerRole::Coordinator, "c-1");
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), server, TIMEOUT).await.unwrap();
    let address = listener.local_addr();
    let mut connections = listener.into_stream();
    for (what, issued, alert) in bad(&cluster, &foreign) {
        let error = try_in(address, issued.as_ref()).await.expect_err(what);
        let tls = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
        assert_eq!(tls, Some(&rustls::Error::AlertReceived(alert)), "{what}: {error}");
    }
    // The control: the same client with a good certificate is the first and only one to come through.
    let good = cluster.issued(PeerRole::Gateway, "g-1");
    let task = tokio::spawn(async move { try_in(address, Some(&good)).await });
    let connection = tokio::time::timeout(TIMEOUT, connections.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(connection.peer().id, cluster.id(PeerRole::Gateway, "g-1"));
    drop(connection);
    let _ = task.await.unwrap();
}

/// Clients write their HTTP/2 start before they read. A socket that is closed under them turns the second write into
/// a broken pipe, and the reason is never read.
#[tokio::test]
async fn a_refused_client_that_writes_first_still_reads_why() {
    let cluster = Cluster::new("demo");
    let serving = Serving::start(cluster.member(PeerRole::Coordinator, "c-1")).await;
    let tcp = TcpStream::connect(serving.address).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    let connector = TlsConnector::from(Arc::new(lawless_client(None)));
    let mut tls = connector.connect(ServerName::try_from("localhost").unwrap(), tcp).await.unwrap();
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        tls.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        tls.flush().await.unwrap();
    }
    let error = tls.read(&mut [0; 9]).await.unwrap_err();
    assert!(error.to_string().contains("CertificateRequired"), "{error}");
    // And it is not waited for longer than that.
    let started = Instant::now();
    let (mut tcp, _) = tls.into_inner();
    while tcp.write_all(b"more").await.is_ok() {
        assert!(started.elapsed() < TIMEOUT, "the server keeps the socket");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn the_server_goes_on_serving_and_the_good_certificate_gets_settings() {
    let (cluster, foreign) = (Cluster::new("demo"), Cluster::new("demo"));
    let serving = Serving::start(cluster.member(PeerRole::Coordinator, "c-1")).await;
    for (what, issued, _) in bad(&cluster, &foreign) {
        assert!(try_in(serving.address, issued.as_ref()).await.is_err(), "{what}");
    }
    let good = cluster.issued(PeerRole::Gateway, "g-1");
    assert!(try_in(serving.address, Some(&good)).await.unwrap() > 0, "HTTP/2 settings of the server");
    let channel = serving.connect(&cluster.member(PeerRole::Gateway, "g-2")).await.unwrap();
    check(&channel).await.unwrap();
}

#[tokio::test]
async fn our_own_client_says_that_the_server_refuses_it() {
    let (cluster, foreign) = (Cluster::new("demo"), Cluster::new("demo"));
    let serving = Serving::start(cluster.member(PeerRole::Coordinator, "c-1")).await;
    // Believes both authorities, so it takes the server; the server believes one.
    let files = foreign.save("both", &foreign.issued(PeerRole::Gateway, "g-1"));
    let both = format!("{}{}", foreign.ca.certificate_pem(), cluster.ca.certificate_pem());
    std::fs::write(&files.ca, both).unwrap();
    let gateway = Identity::load(&files).unwrap();
    for _ in 0..20 {
        let error = serving.connect(&gateway).await.unwrap_err();
        assert!(matches!(error, ConnectError::ClientRefused { .. }), "{error}");
        assert!(error.is_identity());
        assert!(error.to_string().contains("the server refuses our identity"), "{error}");
    }
}
