//! What is told to a caller as it happens: a bounded queue that a slow reader loses, and a last word that says where to go on.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{Stream, StreamExt};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::access::Caller;
use crate::error::OpError;
use crate::places::{Place, Places};

/// Messages that wait for one reader.
const QUEUE: usize = 2;
/// How long a reader may leave the queue full.
const SLOW: Duration = Duration::from_secs(10);
/// Between two messages, where nothing happens.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(15);
/// Longest feed: whoever follows for longer begins again where it ended.
pub(crate) const LONGEST: Duration = Duration::from_secs(3600);

/// The places for feeds of one kind.
pub(crate) struct Feeds(Places);

/// The writing end. Dropped, it ends the feed.
pub(crate) struct Feed<T> {
    queue: mpsc::Sender<T>,
    end: Arc<OnceLock<OpError>>,
    _place: Arc<Place>,
}

/// The reading end: the messages, and the last word where there is one.
pub(crate) struct Reading<T> {
    queue: ReceiverStream<T>,
    end: Arc<OnceLock<OpError>>,
    ended: bool,
    /// What waits for a reader that was let go takes memory until it is gone.
    _place: Arc<Place>,
}

/// The reader is gone, or does not keep up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lost {
    Gone,
    Slow,
}

impl Feeds {
    /// So many, of which one caller gets `each` at most.
    pub(crate) fn new(all: usize, each: usize) -> Self {
        Self(Places::new("streams", all, each))
    }

    /// A feed, where there is a place for one more of this caller.
    ///
    /// # Errors
    /// [`OpError::Unavailable`].
    pub(crate) fn open<T>(&self, caller: &Caller) -> Result<(Feed<T>, Reading<T>), OpError> {
        let place = Arc::new(self.0.take(caller)?);
        let (queue, reader) = mpsc::channel(QUEUE);
        let end = Arc::new(OnceLock::new());
        let reading = Reading {
            queue: ReceiverStream::new(reader),
            end: Arc::clone(&end),
            ended: false,
            _place: Arc::clone(&place),
        };
        Ok((Feed { queue, end, _place: place }, reading))
    }
}

impl<T> Feed<T> {
    /// Tells the reader; waits a while for room.
    pub(crate) async fn tell(&self, message: T) -> Result<(), Lost> {
        self.tell_within(message, SLOW).await
    }

    async fn tell_within(&self, message: T, slow: Duration) -> Result<(), Lost> {
        match self.queue.send_timeout(message, slow).await {
            Ok(()) => Ok(()),
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => Err(Lost::Slow),
            Err(mpsc::error::SendTimeoutError::Closed(_)) => Err(Lost::Gone),
        }
    }

    /// Ends with a last word. The reader hears it after what waits for it.
    pub(crate) fn end(self, why: OpError) {
        let _said_once = self.end.set(why);
    }

    /// Once nobody reads any more.
    pub(crate) async fn closed(&self) {
        self.queue.closed().await;
    }
}

impl<T> Stream for Reading<T> {
    type Item = Result<T, OpError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        match self.queue.poll_next_unpin(context) {
            Poll::Ready(Some(message)) => Poll::Ready(Some(Ok(message))),
            Poll::Ready(None) => {
                self.ended = true;
                Poll::Ready(self.end.get().cloned().map(Err))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_transport::{PeerRole, SpiffeId};

    fn caller() -> Caller {
        Caller(SpiffeId::new("demo".parse().unwrap(), PeerRole::Gateway, "shop").unwrap())
    }

    #[tokio::test]
    async fn a_slow_reader_is_let_go_and_told_where_to_go_on() {
        let feeds = Feeds::new(1, 1);
        let (feed, mut reading) = feeds.open::<usize>(&caller()).unwrap();
        for n in 0..QUEUE {
            feed.tell(n).await.unwrap();
        }
        assert_eq!(feed.tell_within(QUEUE, Duration::from_millis(20)).await, Err(Lost::Slow));
        feed.end(OpError::invalid("from", "go on from 2"));
        for n in 0..QUEUE {
            assert_eq!(reading.next().await.unwrap().unwrap(), n, "what was queued arrives first");
        }
        assert!(matches!(reading.next().await, Some(Err(OpError::Invalid { .. }))));
        assert!(reading.next().await.is_none());
    }

    #[tokio::test]
    async fn places_are_bounded_and_come_back() {
        let feeds = Feeds::new(3, 3);
        let mut open: Vec<_> = (0..3).map(|_| feeds.open::<()>(&caller()).unwrap()).collect();
        assert!(matches!(feeds.open::<()>(&caller()), Err(OpError::Unavailable { .. })));
        let (feed, reading) = open.pop().unwrap();
        drop(reading);
        feed.closed().await;
        assert_eq!(feed.tell(()).await, Err(Lost::Gone));
        drop(feed);
        assert!(feeds.open::<()>(&caller()).is_ok());
        // What still waits for a reader keeps its place.
        let (feed, reading) = open.pop().unwrap();
        drop(feed);
        assert!(feeds.open::<()>(&caller()).map(|again| open.push(again)).is_ok());
        assert!(feeds.open::<()>(&caller()).is_err());
        drop(reading);
        assert!(feeds.open::<()>(&caller()).is_ok());
    }
}
