//! What the processes count themselves, from their health endpoints.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The sum of a metric over all labels that contain `label`; 0 where nothing was counted yet.
pub(crate) async fn scrape(address: SocketAddr, name: &str, label: &str) -> f64 {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#') && line.contains(label));
    let values = lines.filter_map(|line| {
        let (key, value) = line.rsplit_once(' ')?;
        let of = key.split('{').next()?;
        (of == name).then(|| value.parse::<f64>().ok())?
    });
    values.sum()
}
