//! The server's door: only peers with a name of our cluster come through it.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;

use crate::admission::{Admission, Place};
use crate::certificate::read_leaf;
use crate::error::ListenError;
use crate::expiry::Expiring;
use crate::identity::Identity;
use crate::spiffe::SpiffeId;

/// Pause after a failed accept: out of file descriptors is not cured by trying at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Connections handed over but not yet taken.
const READY: usize = 16;
/// How long and how much is read from a refused peer so that it gets to see why.
const FAREWELL: Duration = Duration::from_millis(500);
const FAREWELL_BYTES: u64 = 64 * 1024;

/// How many handshakes may be under way at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandshakeLimits {
    /// in all; further connections wait in the system's queue
    pub total: usize,
    /// from one IP address; further connections are closed
    pub per_source: usize,
}

impl Default for HandshakeLimits {
    fn default() -> Self {
        Self { total: 256, per_source: 64 }
    }
}

/// Who is at the other end of a connection, as proven in its handshake. Same cluster as ours, always.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// the peer's name
    pub id: SpiffeId,
    /// where it connects from
    pub address: SocketAddr,
}

/// The peer of a request: from `request.extensions()` of a tonic or an http request. `None` if the request did not
/// come through a [`Listener`].
pub fn peer(extensions: &http::Extensions) -> Option<&Peer> {
    extensions.get::<Peer>()
}

/// A bound TCP socket that accepts mutual TLS 1.3 from members of our cluster.
pub struct Listener {
    tcp: TcpListener,
    address: SocketAddr,
    identity: Arc<Identity>,
    handshake: Duration,
    limits: HandshakeLimits,
}

impl Listener {
    /// Binds; nothing is accepted before [`Listener::into_stream`]. `handshake` bounds each handshake.
    ///
    /// # Errors
    /// [`ListenError`], naming the address.
    pub async fn bind(
        address: SocketAddr,
        identity: Arc<Identity>,
        handshake: Duration,
    ) -> Result<Self, ListenError> {
        let failed = |source| ListenError { address, source };
        let tcp = TcpListener::bind(address).await.map_err(failed)?;
        let address = tcp.local_addr().map_err(failed)?;
        Ok(Self { tcp, address, identity, handshake, limits: HandshakeLimits::default() })
    }

    /// The address bound, with the port the system chose if 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Other bounds than the default ones.
    #[must_use]
    pub fn with_limits(self, limits: HandshakeLimits) -> Self {
        Self { limits, ..self }
    }

    /// Starts accepting. The stream never ends by itself and never yields an error: a peer that fails its handshake
    /// is logged and forgotten. Dropping the stream closes the socket. For tonic's `serve_with_incoming_shutdown`.
    /// Must be called inside a tokio runtime.
    pub fn into_stream(self) -> impl Stream<Item = io::Result<Connection>> + Send + Unpin + use<> {
        let (ready, connections) = mpsc::channel(READY);
        tokio::spawn(self.accept_all(ready));
        ReceiverStream::new(connections)
    }

    async fn accept_all(self, ready: mpsc::Sender<io::Result<Connection>>) {
        let admission = Admission::new(self.limits.total.max(1), self.limits.per_source.max(1));
        let door = Door { identity: self.identity, within: self.handshake, ready };
        loop {
            let next = async {
                let room = admission.room().await?;
                Some((self.tcp.accept().await, room))
            };
            let next = tokio::select! {
                () = door.ready.closed() => return,
                next = next => next,
            };
            let Some((accepted, room)) = next else { return };
            match accepted {
                Ok((tcp, address)) => match admission.admit(address.ip(), room) {
                    Some(place) => drop(tokio::spawn(door.clone().admit(tcp, address, place))),
                    None => {
                        count("crowded");
                        tracing::warn!(%address, "too many handshakes from this address, connection closed");
                    }
                },
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

fn count(result: &'static str) {
    metrics::counter!("quorate_handshakes_total", "result" => result).increment(1);
}

/// What every handshake needs.
#[derive(Clone)]
struct Door {
    identity: Arc<Identity>,
    within: Duration,
    ready: mpsc::Sender<io::Result<Connection>>,
}

impl Door {
    /// One handshake, from the bare socket to the server's hands. Holds its place until it is over.
    async fn admit(self, tcp: TcpStream, address: SocketAddr, _place: Place) {
        match tokio::time::timeout(self.within, handshake(tcp, address, &self.identity)).await {
            Ok(Ok(connection)) => {
                count("ok");
                tracing::debug!(%address, peer = %connection.peer.id, "connected");
                // Fails only when the server is shutting down: the connection is then closed.
                let _ = self.ready.send(Ok(connection)).await;
            }
            Ok(Err(Refused { error, tcp })) => {
                count("refused");
                tracing::info!(%address, %error, "handshake refused");
                if let Some(tcp) = tcp {
                    farewell(tcp).await;
                }
            }
            Err(_) => {
                count("timeout");
                tracing::info!(%address, within_ms = self.within.as_millis(), "handshake too slow, cut");
            }
        }
    }
}

/// A failed handshake, with the socket where it is still of use.
struct Refused {
    error: io::Error,
    tcp: Option<TcpStream>,
}

async fn handshake(tcp: TcpStream, address: SocketAddr, identity: &Identity) -> Result<Connection, Refused> {
    let unusable = |error| Refused { error, tcp: None };
    tcp.set_nodelay(true).map_err(unusable)?;
    let acceptor = TlsAcceptor::from(Arc::clone(&identity.material().server));
    let tls = acceptor.accept(tcp).into_fallible().await;
    let tls = tls.map_err(|(error, tcp)| Refused { error, tcp: Some(tcp) })?;
    // The handshake has checked chain, name and cluster; this reads the same certificate for the name.
    let leaf = tls.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let leaf = leaf.ok_or_else(|| unusable(io::Error::other("no client certificate")))?;
    let leaf = read_leaf(leaf).map_err(|e| unusable(io::Error::other(e)))?;
    let peer = Peer { id: leaf.id, address };
    Ok(Connection { stream: Expiring::new(tls, leaf.not_after), peer })
}

/// The alert has been written. Closing now, with unread bytes in the socket, would reset the connection and the peer
/// might never see the alert; so its side is read to the end first, briefly.
async fn farewell(mut tcp: TcpStream) {
    let _ = tokio::time::timeout(FAREWELL, async {
        tcp.shutdown().await?;
        tokio::io::copy(&mut tcp.take(FAREWELL_BYTES), &mut tokio::io::sink()).await
    })
    .await;
}

/// An authenticated connection; tonic puts its [`Peer`] into the extensions of each request. It ends when the peer's
/// certificate does.
pub struct Connection {
    stream: Expiring<TlsStream<TcpStream>>,
    peer: Peer,
}

impl Connection {
    /// Who is at the other end.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
