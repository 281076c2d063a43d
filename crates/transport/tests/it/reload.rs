//! New files come into use without a restart, bad ones do not.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quorate_transport::{ConnectError, Identity, PeerRole, TlsError};
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::harness::{Cluster, Serving, TIMEOUT, chain, check, lawless_client};

/// The certificate a server shows to a new connection.
async fn shown(address: SocketAddr, cluster: &Cluster) -> CertificateDer<'static> {
    let config = lawless_client(Some(&cluster.issued(PeerRole::Gateway, "probe")));
    let tcp = TcpStream::connect(address).await.unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let tls = connector.connect(ServerName::try_from("localhost").unwrap(), tcp).await.unwrap();
    tls.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

async fn until_shown(address: SocketAddr, cluster: &Cluster, wanted: &CertificateDer<'_>) {
    let started = Instant::now();
    while shown(address, cluster).await != *wanted {
        assert!(started.elapsed() < TIMEOUT, "the new certificate is not in use");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn reload_serves_the_new_certificate_and_keeps_old_connections() {
    let cluster = Cluster::new("demo");
    let old = cluster.issued(PeerRole::Coordinator, "c-1");
    let files = cluster.save("server", &old);
    let server = Identity::load(&files).unwrap();
    let serving = Serving::start(Arc::clone(&server)).await;
    let channel = serving.connect(&cluster.member(PeerRole::Gateway, "g-1")).await.unwrap();
    check(&channel).await.unwrap();
    assert_eq!(shown(serving.address, &cluster).await, chain(&old).0[0]);

    let new = cluster.issued(PeerRole::Coordinator, "c-1");
    cluster.save("server", &new);
    assert_eq!(shown(serving.address, &cluster).await, chain(&old).0[0], "files alone change nothing");
    server.reload().unwrap();
    assert_eq!(shown(serving.address, &cluster).await, chain(&new).0[0]);
    check(&channel).await.unwrap();
}

#[tokio::test]
async fn a_failed_reload_keeps_the_old_material() {
    let cluster = Cluster::new("demo");
    let old = cluster.issued(PeerRole::Coordinator, "c-1");
    let files = cluster.save("server", &old);
    let server = Identity::load(&files).unwrap();
    let serving = Serving::start(Arc::clone(&server)).await;

    cluster.save("server", &cluster.issued(PeerRole::Coordinator, "c-2"));
    let error = server.reload().unwrap_err();
    assert!(matches!(error, TlsError::Renamed { .. }), "{error}");
    assert!(error.to_string().contains("spiffe://demo/coordinator/c-2"), "{error}");
    fs::write(&files.certificate, "half a fi").unwrap();
    assert!(matches!(server.reload().unwrap_err(), TlsError::Malformed { .. }));
    assert_eq!(shown(serving.address, &cluster).await, chain(&old).0[0]);
    assert_eq!(server.id().id(), "c-1");
}

#[tokio::test]
async fn the_reload_task_follows_the_files() {
    let cluster = Cluster::new("demo");
    let old = cluster.issued(PeerRole::Coordinator, "c-1");
    let files = cluster.save("server", &old);
    let server = Identity::load(&files).unwrap();
    // Changed between loading and watching: must not be missed.
    let second = cluster.issued(PeerRole::Coordinator, "c-1");
    cluster.save("server", &second);
    let task = server.spawn_reload(Duration::from_millis(20));
    let serving = Serving::start(Arc::clone(&server)).await;
    until_shown(serving.address, &cluster, &chain(&second).0[0]).await;

    // A torn update: certificate of one pair, key of another. Kept out until the pair is whole.
    let third = cluster.issued(PeerRole::Coordinator, "c-1");
    fs::write(&files.certificate, &third.certificate_pem).unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(shown(serving.address, &cluster).await, chain(&second).0[0]);
    fs::write(&files.key, third.key_pem.as_bytes()).unwrap();
    until_shown(serving.address, &cluster, &chain(&third).0[0]).await;

    // A file that vanishes and comes back.
    fs::remove_file(&files.ca).unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!task.is_finished());
    fs::write(&files.ca, cluster.ca.certificate_pem()).unwrap();
    let fourth = cluster.issued(PeerRole::Coordinator, "c-1");
    cluster.save("server", &fourth);
    until_shown(serving.address, &cluster, &chain(&fourth).0[0]).await;
    task.abort();
}

#[tokio::test]
async fn the_reload_task_ends_with_its_identity() {
    let cluster = Cluster::new("demo");
    let member = cluster.member(PeerRole::Node, "n-1");
    let task = member.spawn_reload(Duration::from_millis(10));
    drop(member);
    tokio::time::timeout(TIMEOUT, task).await.expect("ends by itself").unwrap();
}

#[tokio::test]
async fn an_authority_is_changed_under_running_processes() {
    let (before, after) = (Cluster::new("demo"), Cluster::new("demo"));
    let server_files = before.save("server", &before.issued(PeerRole::Coordinator, "c-1"));
    let client_files = before.save("client", &before.issued(PeerRole::Gateway, "g-1"));
    let server = Identity::load(&server_files).unwrap();
    let client = Identity::load(&client_files).unwrap();
    let serving = Serving::start(Arc::clone(&server)).await;
    serving.connect(&client).await.unwrap();

    // Everyone believes both, then the client moves over, then the server drops the old one.
    let both = format!("{}{}", before.ca.certificate_pem(), after.ca.certificate_pem());
    for (files, identity) in [(&server_files, &server), (&client_files, &client)] {
        fs::write(&files.ca, &both).unwrap();
        identity.reload().unwrap();
    }
    let moved = after.issued(PeerRole::Gateway, "g-1");
    fs::write(&client_files.certificate, &moved.certificate_pem).unwrap();
    fs::write(&client_files.key, moved.key_pem.as_bytes()).unwrap();
    client.reload().unwrap();
    let stale = before.member(PeerRole::Gateway, "g-2");
    serving.connect(&stale).await.unwrap();
    check(&serving.connect(&client).await.unwrap()).await.unwrap();

    let moved = after.issued(PeerRole::Coordinator, "c-1");
    fs::write(&server_files.ca, after.ca.certificate_pem()).unwrap();
    fs::write(&server_files.certificate, &moved.certificate_pem).unwrap();
    fs::write(&server_files.key, moved.key_pem.as_bytes()).unwrap();
    server.reload().unwrap();
    check(&serving.connect(&client).await.unwrap()).await.unwrap();
    let error = serving.connect(&stale).await.unwrap_err();
    assert!(matches!(error, ConnectError::ServerRefused { .. }), "{error}");
}
