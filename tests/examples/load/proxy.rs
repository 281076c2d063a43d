//! A slow network: a proxy that passes everything on, later.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// Chunks under way in one direction: far more than a delay lets pile up here.
const UNDER_WAY: usize = 4096;

/// Where to go through, and how slow it is.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    /// Microseconds each way.
    delay: Arc<AtomicU64>,
}

impl Proxy {
    /// Passes everything on to `to`.
    pub(crate) async fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let delay = Arc::new(AtomicU64::new(0));
        let slow = Arc::clone(&delay);
        tokio::spawn(async move {
            while let Ok((from, _)) = listener.accept().await {
                // The coordinator may be starting again: whoever dialled tries again too.
                if let Ok(to) = TcpStream::connect(to).await {
                    pass(from, to, &slow);
                }
            }
        });
        Self { address, delay }
    }

    /// The round trip takes so much longer from now on.
    pub(crate) fn round_trip(&self, delay: Duration) {
        self.delay.store(u64::try_from(delay.as_micros() / 2).unwrap(), Ordering::Relaxed);
    }
}

fn pass(from: TcpStream, to: TcpStream, delay: &Arc<AtomicU64>) {
    for stream in [&from, &to] {
        stream.set_nodelay(true).unwrap();
    }
    let ((from_reader, from_writer), (to_reader, to_writer)) = (from.into_split(), to.into_split());
    one_way(from_reader, to_writer, Arc::clone(delay));
    one_way(to_reader, from_writer, Arc::clone(delay));
}

fn one_way(
    mut from: impl AsyncRead + Unpin + Send + 'static,
    mut to: impl AsyncWrite + Unpin + Send + 'static,
    delay: Arc<AtomicU64>,
) {
    let (queue, mut due) = mpsc::channel::<(Instant, Vec<u8>)>(UNDER_WAY);
    tokio::spawn(async move {
        let mut chunk = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from.read(&mut chunk).await {
            let at = Instant::now() + Duration::from_micros(delay.load(Ordering::Relaxed));
            let bytes = chunk.get(..read).unwrap_or_default().to_vec();
            if queue.send((at, bytes)).await.is_err() {
                return;
            }
        }
    });
    tokio::spawn(async move {
        while let Some((at, bytes)) = due.recv().await {
            if at > Instant::now() {
                sleep_until(at).await;
            }
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
        let _closed_already = to.shutdown().await;
    });
}
