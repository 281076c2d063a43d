//! The one request a local health endpoint understands.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longest wait for an answer on loopback.
const WAIT: Duration = Duration::from_secs(2);

/// Longest answer read, in bytes.
const MAX_ANSWER: u64 = 4096;

/// Whether `GET /readyz` answers 200; the reason where it does not.
pub(crate) async fn ready(address: SocketAddr) -> Result<(), String> {
    let answer = timeout(WAIT, get(address, "/readyz")).await.map_err(|_| "no answer in time".to_owned())?;
    let answer = answer.map_err(|error| format!("health endpoint {address}: {error}"))?;
    let status = answer.split_whitespace().nth(1).unwrap_or("no status");
    if status == "200" {
        return Ok(());
    }
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).trim();
    Err(format!("not ready (HTTP {status}) {body}").trim_end().to_owned())
}

async fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    async fn answering(text: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            stream.write_all(text.as_bytes()).await.unwrap();
        });
        address
    }

    #[tokio::test]
    async fn ready_is_200_and_nothing_else() {
        let good = answering("HTTP/1.1 200 OK\r\n\r\nready").await;
        assert_eq!(ready(good).await, Ok(()));
        let bad = answering("HTTP/1.1 503 Service Unavailable\r\n\r\nno coordinator").await;
        assert_eq!(ready(bad).await, Err("not ready (HTTP 503) no coordinator".to_owned()));
        let empty = answering("").await;
        assert!(ready(empty).await.is_err());
    }
}
