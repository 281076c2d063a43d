//! Bytes that are not our TLS: an old version, garbage, and a server that answers in an old version.

use std::time::Duration;

use quorate_transport::{ConnectError, HandshakeLimits, PeerRole};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{self, Cluster, HEALTH, Serving, TIMEOUT, check};

/// A ClientHello as TLS 1.2 has it: well-formed, with suites and groups a TLS 1.2 server would take, and without the
/// supported_versions extension (RFC 5246, section 7.4.1.2).
fn client_hello_tls12() -> Vec<u8> {
    let extensions: &[u8] = &[
        0x00, 0x0a, 0x00, 0x06, 0x00, 0x04, 0x00, 0x1d, 0x00,
        0x17, // supported_groups: x25519, secp256r1
        0x00, 0x0b, 0x00, 0x02, 0x01, 0x00, // ec_point_formats: uncompressed
        0x00, 0x0d, 0x00, 0x06, 0x00, 0x04, 0x04, 0x03, 0x08, 0x04, // signature_algorithms
    ];
    let mut hello = vec![0x03, 0x03];
    hello.extend([0x5a; 32]); // random
    hello.push(0); // no session id
    hello.extend([0x00, 0x04, 0xc0, 0x2b, 0xc0, 0x2f]); // ECDHE-ECDSA and ECDHE-RSA with AES-128-GCM
    hello.extend([0x01, 0x00]); // no compression
    hello.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
    hello.extend(extensions);
    let mut message = vec![0x01, 0x00];
    message.extend(u16::try_from(hello.len()).unwrap().to_be_bytes());
    message.extend(hello);
    record(0x0303, &message)
}

fn record(version: u16, message: &[u8]) -> Vec<u8> {
    let mut record = vec![0x16];
    record.extend(version.to_be_bytes());
    record.extend(u16::try_from(message.len()).unwrap().to_be_bytes());
    record.extend(message);
    record
}

async fn answer(address: std::net::SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut tcp = TcpStream::connect(address).await.unwrap();
    tcp.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(TIMEOUT, tcp.read_to_end(&mut answer)).await;
    let _ = read.expect("the server closes");
    answer
}

#[tokio::test]
async fn tls_1_2_is_refused_as_a_version() {
    let cluster = Cluster::new("demo");
    let serving = Serving::start(cluster.member(PeerRole::Coordinator, "c-1")).await;
    let answer = answer(serving.address, &client_hello_tls12()).await;
    // alert record, fatal (2), protocol_version (70)
    assert_eq!(answer, [0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x46]);
}

#[tokio::test]
async fn garbage_to_the_port_stops_nothing() {
    let cluster = Cluster::new("demo");
    let limits = HandshakeLimits::default();
    let server = cluster.member(PeerRole::Coordinator, "c-1");
    let serving = Serving::with(server, Duration::from_millis(500), limits, HEALTH).await;
    let hello = client_hello_tls12();
    let huge = [&[0x16, 0x03, 0x01, 0x40, 0x00][..], &vec![0x01; 0x4000]].concat();
    let cases: Vec<Vec<u8>> = vec![
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        b"SSH-2.0-OpenSSH_9.9\r\n".to_vec(),
        vec![0; 4096],
        vec![0xff; 65_536],
        hello[..hello.len() / 2].to_vec(),
        huge,
        vec![0x16],
        Vec::new(),
    ];
    for bytes in cases {
        let answer = answer(serving.address, &bytes).await;
        // An alert, or nothing: never a byte of anything else.
        assert!(answer.is_empty() || answer[0] == 0x15, "{:02x?}", &answer[..answer.len().min(16)]);
    }
    let gateway = cluster.member(PeerRole::Gateway, "g-1");
    check(&serving.connect(&gateway).await.unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_server_that_answers_tls_1_2_or_plain_text_is_not_ours() {
    let mut hello = vec![0x03, 0x03];
    hello.extend([0xa5; 32]);
    hello.extend([0x00, 0xc0, 0x2b, 0x00, 0x00, 0x00]); // no session, ECDHE-ECDSA, no compression, no extensions
    let mut message = vec![0x02, 0x00];
    message.extend(u16::try_from(hello.len()).unwrap().to_be_bytes());
    message.extend(hello);
    let cluster = Cluster::new("demo");
    let gateway = cluster.member(PeerRole::Gateway, "g-1");
    for reply in [record(0x0303, &message), b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()] {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = tcp.accept().await.unwrap();
            let mut hello = [0; 64];
            stream.read_exact(&mut hello).await.unwrap();
            stream.write_all(&reply).await.unwrap();
            let _ = stream.read_to_end(&mut Vec::new()).await;
        });
        let error = harness::connect(address, &gateway).await.unwrap_err();
        assert!(matches!(error, ConnectError::Protocol { .. }), "{error}");
        assert!(!error.is_identity());
    }
}
