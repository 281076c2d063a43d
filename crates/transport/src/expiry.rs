//! A connection is authenticated once, at its start, and lives for weeks. It ends here with the peer's certificate.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// The wall clock may be corrected meanwhile, so it is asked again at least this often.
const LOOK_EVERY: Duration = Duration::from_secs(3600);

/// A stream whose reads fail once `until` has passed.
pub(crate) struct Expiring<S> {
    inner: S,
    until: SystemTime,
    timer: Pin<Box<Sleep>>,
}

impl<S> Expiring<S> {
    pub(crate) fn new(inner: S, until: SystemTime) -> Self {
        let timer = Box::pin(sleep(left(until)));
        Self { inner, until, timer }
    }

    fn over(&mut self, cx: &mut Context<'_>) -> bool {
        while self.timer.as_mut().poll(cx).is_ready() {
            if SystemTime::now() > self.until {
                return true;
            }
            let next = Instant::now() + left(self.until);
            self.timer.as_mut().reset(next);
        }
        false
    }
}

/// Until the next look: never zero before the end, so a look never spins.
fn left(until: SystemTime) -> Duration {
    let left = until.duration_since(SystemTime::now()).unwrap_or_default();
    left.saturating_add(Duration::from_millis(1)).min(LOOK_EVERY)
}

impl<S: AsyncRead + Unpin> AsyncRead for Expiring<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.over(cx) {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the peer's certificate expired while it was connected",
            )));
        }
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Expiring<S> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn reads_end_with_the_certificate_and_not_before() {
        let (mut near, far) = tokio::io::duplex(16);
        let mut far = Expiring::new(far, SystemTime::now() + Duration::from_millis(200));
        near.write_all(b"ok").await.unwrap();
        let mut two = [0; 2];
        far.read_exact(&mut two).await.unwrap();
        assert_eq!(&two, b"ok");
        // A read that is already waiting is woken.
        let waited = tokio::time::timeout(Duration::from_secs(5), far.read(&mut two)).await;
        assert_eq!(waited.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(SystemTime::now() > far.until);
    }

    #[test]
    fn a_look_is_at_least_hourly_and_never_at_once() {
        let now = SystemTime::now();
        assert_eq!(left(now + LOOK_EVERY * 100), LOOK_EVERY);
        assert_eq!(left(now - LOOK_EVERY), Duration::from_millis(1));
    }
}
