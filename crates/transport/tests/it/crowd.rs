//! Strangers that hold the door: slow handshakes are cut, and others come in meanwhile.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use quorate_transport::{HandshakeLimits, PeerRole};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

use crate::harness::{Cluster, HEALTH, Serving, TIMEOUT, check, lawless_client};

const DEADLINE: Duration = Duration::from_secs(2);

async fn serving(cluster: &Cluster, limits: HandshakeLimits) -> Serving {
    Serving::with(cluster.member(PeerRole::Coordinator, "c-1"), DEADLINE, limits, HEALTH).await
}

/// Waits until the server closes; how long that took.
async fn cut(mut tcp: TcpStream, since: Instant) -> Duration {
    let read = tokio::time::timeout(TIMEOUT, tcp.read_to_end(&mut Vec::new())).await;
    let _ = read.expect("the server cuts it");
    since.elapsed()
}

#[tokio::test]
async fn a_slow_handshake_is_cut_while_others_proceed() {
    let cluster = Cluster::new("demo");
    let serving = serving(&cluster, HandshakeLimits::default()).await;
    let started = Instant::now();
    let silent = TcpStream::connect(serving.address).await.unwrap();
    let dripping = TcpStream::connect(serving.address).await.unwrap();
    let (reader, mut writer) = dripping.into_split();
    let drip = tokio::spawn(async move {
        // The start of a record of 512 bytes, one byte at a time: never idle, never done.
        for byte in [0x16, 0x03, 0x01, 0x02, 0x00].into_iter().chain(std::iter::repeat_n(1, 400)) {
            if writer.write_all(&[byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let gateway = cluster.member(PeerRole::Gateway, "g-1");
    check(&serving.connect(&gateway).await.unwrap()).await.unwrap();
    assert!(started.elapsed() < DEADLINE, "the good client did not wait for the slow ones");

    let mut reader = reader;
    let dripped = async {
        let _ = tokio::time::timeout(TIMEOUT, reader.read_to_end(&mut Vec::new())).await.expect("cut");
        started.elapsed()
    };
    for took in [cut(silent, started).await, dripped.await] {
        assert!(took >= DEADLINE && took < DEADLINE * 4, "{took:?}");
    }
    drip.await.unwrap();
}

async fn from(source: &str, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(source.parse().unwrap()).unwrap();
    socket.connect(to).await.unwrap()
}

#[tokio::test]
async fn one_address_cannot_take_every_place() {
    let cluster = Cluster::new("demo");
    let serving = serving(&cluster, HandshakeLimits { total: 4, per_source: 2 }).await;
    let started = Instant::now();
    let _held = [
        TcpStream::connect(serving.address).await.unwrap(),
        TcpStream::connect(serving.address).await.unwrap(),
    ];
    let third = TcpStream::connect(serving.address).await.unwrap();
    assert!(cut(third, started).await < DEADLINE, "closed at once, not at the deadline");

    let other = from("127.0.0.2:0", serving.address).await;
    let config = lawless_client(Some(&cluster.issued(PeerRole::Gateway, "g-1")));
    let connector = TlsConnector::from(std::sync::Arc::new(config));
    let mut tls = connector.connect(ServerName::try_from("localhost").unwrap(), other).await.unwrap();
    tls.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut settings = [0; 9];
    tls.read_exact(&mut settings).await.unwrap();
    assert!(started.elapsed() < DEADLINE, "another address comes in meanwhile");
}

#[tokio::test]
async fn a_full_house_empties_by_itself() {
    let cluster = Cluster::new("demo");
    let serving = serving(&cluster, HandshakeLimits { total: 1, per_source: 1 }).await;
    let _held = TcpStream::connect(serving.address).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let started = Instant::now();
    let gateway = cluster.member(PeerRole::Gateway, "g-1");
    check(&serving.connect(&gateway).await.unwrap()).await.unwrap();
    assert!(started.elapsed() > DEADLINE / 2, "the bound held: it waited for the place");
}
