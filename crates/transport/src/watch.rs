//! Telling whether the server took us. In TLS 1.3 the client's handshake ends before the server has looked at the
//! client's certificate: only the first bytes it sends, or the alert instead of them, say which.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

use crate::dial::Target;
use crate::error::ConnectError;

/// What the server's first answer turned out to be.
pub(crate) type Verdict = Result<(), ConnectError>;

/// A stream that reports the outcome of its first read, once.
pub(crate) struct Watched<S> {
    inner: S,
    target: Arc<Target>,
    verdict: Option<oneshot::Sender<Verdict>>,
}

impl<S> Watched<S> {
    pub(crate) fn new(inner: S, target: Arc<Target>) -> (Self, oneshot::Receiver<Verdict>) {
        let (verdict, receiver) = oneshot::channel();
        (Self { inner, target, verdict: Some(verdict) }, receiver)
    }

    fn tell(&mut self, verdict: impl FnOnce(&Target) -> Verdict) {
        if let Some(sender) = self.verdict.take() {
            // Nobody listens on a connection that replaces a broken one: the caller sees its RPC fail instead.
            let _ = sender.send(verdict(&self.target));
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = ready!(Pin::new(&mut self.inner).poll_read(cx, buf));
        match &result {
            Ok(()) if buf.filled().len() > before => self.tell(|_| Ok(())),
            Ok(()) => self.tell(|target| Err(target.closed())),
            Err(error) => self.tell(|target| Err(target.classify_ref(error))),
        }
        Poll::Ready(result)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
