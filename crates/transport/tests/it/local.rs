//! The endpoint for the machine itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use quorate_transport::local::{LocalEndpoint, LocalError, Readiness, Running};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const ANY: &str = "127.0.0.1:0";

async fn start(ready: impl Fn() -> Readiness + Send + Sync + 'static) -> Running {
    LocalEndpoint::start(ANY.parse().unwrap(), ready).await.unwrap()
}

async fn send(address: SocketAddr, request: &str) -> String {
    let mut tcp = TcpStream::connect(address).await.unwrap();
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let read = tokio::time::timeout(Duration::from_secs(20), tcp.read_to_string(&mut answer)).await;
    let _ = read.expect("the endpoint closes");
    answer
}

async fn get(address: SocketAddr, path: &str) -> (u16, String, String) {
    let answer = send(address, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_ascii_lowercase(), body.to_owned())
}

#[tokio::test]
async fn it_tells_alive_ready_and_why_not() {
    let flag = Arc::new(AtomicBool::new(false));
    let shared = Arc::clone(&flag);
    let running = start(move || match shared.load(Ordering::SeqCst) {
        true => Readiness::Ready,
        false => Readiness::NotReady { reason: "waits for \"node-1\"\n".to_owned() },
    })
    .await;
    let address = running.local_addr();
    assert_eq!(get(address, "/healthz").await.0, 200);
    let (status, head, body) = get(address, "/readyz").await;
    assert_eq!(status, 503);
    assert!(head.contains("content-type: application/json"), "{head}");
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body, serde_json::json!({ "ready": false, "reason": "waits for \"node-1\"\n" }));
    flag.store(true, Ordering::SeqCst);
    assert_eq!(get(address, "/readyz").await.0, 200);
    for path in ["/", "/healthz/", "/healthzz", "/readyz/x", "/../healthz", "/debug"] {
        assert_eq!(get(address, path).await.0, 404, "{path}");
    }
    let answer = send(address, "POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
    running.shutdown().await;
    assert!(TcpStream::connect(address).await.is_err(), "the port is closed");
}

#[tokio::test]
async fn every_endpoint_of_a_process_shows_the_same_metrics() {
    let first = start(|| Readiness::Ready).await;
    metrics::counter!("quorate_test_total", "kind" => "local").increment(3);
    metrics::histogram!("quorate_test_seconds").record(0.02);
    let second = start(|| Readiness::Ready).await;
    for running in [&first, &second] {
        let (status, head, body) = get(running.local_addr(), "/metrics").await;
        assert_eq!(status, 200);
        assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
        assert!(body.contains("quorate_test_total{kind=\"local\"} 3"), "{body}");
        assert!(body.contains("quorate_test_seconds_bucket{le=\"0.025\"} 1"), "{body}");
        assert!(body.contains("quorate_test_seconds_bucket{le=\"0.01\"} 0"), "{body}");
    }
}

#[tokio::test]
async fn only_loopback_addresses_are_served() {
    for address in ["0.0.0.0:0", "192.0.2.1:0", "[::]:0", "[2001:db8::1]:0"] {
        let refused = LocalEndpoint::start(address.parse().unwrap(), || Readiness::Ready).await.unwrap_err();
        assert!(matches!(refused, LocalError::NotLoopback { .. }), "{refused}");
        assert!(refused.to_string().contains(address.trim_end_matches(":0")), "{refused}");
    }
    let running = start(|| Readiness::Ready).await;
    let taken = LocalEndpoint::start(running.local_addr(), || Readiness::Ready).await.unwrap_err();
    assert!(matches!(taken, LocalError::Bind { .. }), "{taken}");
}

#[tokio::test]
async fn idle_and_slow_clients_are_cut_and_do_not_stop_probes() {
    let running = start(|| Readiness::Ready).await;
    let address = running.local_addr();
    let started = Instant::now();
    // More than the endpoint serves at once, all silent after half a request.
    let mut idle = Vec::new();
    for _ in 0..20 {
        let mut tcp = TcpStream::connect(address).await.unwrap();
        tcp.write_all(b"GET /healthz HTTP/1.1\r\nHo").await.unwrap();
        idle.push(tcp);
    }
    // Comes through when the first ones are cut.
    assert_eq!(get(address, "/healthz").await.0, 200);
    let waited = started.elapsed();
    assert!(waited > Duration::from_secs(3), "the bound held: {waited:?}");
    let mut rest = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), idle[0].read_to_end(&mut rest)).await;
    let _ = read.expect("cut");
    assert!(!String::from_utf8_lossy(&rest).contains("200 OK"));
}

#[tokio::test]
async fn oversized_and_broken_requests_are_refused() {
    let running = start(|| Readiness::Ready).await;
    let address = running.local_addr();
    let long = format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "a".repeat(64 * 1024));
    for request in [long.as_str(), "\0\0\0\0\r\n\r\n", "GET\r\n\r\n", "\x16\x03\x01\0\x05hello\r\n\r\n"] {
        let mut tcp = TcpStream::connect(address).await.unwrap();
        let _ = tcp.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = tcp.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(get(address, "/healthz").await.0, 200);
}

#[tokio::test]
async fn dropping_it_closes_the_port_and_shutdown_does_not_wait_for_idlers() {
    let running = start(|| Readiness::Ready).await;
    let _idle = TcpStream::connect(running.local_addr()).await.unwrap();
    let started = Instant::now();
    running.shutdown().await;
    assert!(started.elapsed() < Duration::from_secs(2));

    let running = start(|| Readiness::Ready).await;
    let address = running.local_addr();
    drop(running);
    while TcpStream::connect(address).await.is_ok() {
        assert!(started.elapsed() < Duration::from_secs(10), "the port stays open");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
