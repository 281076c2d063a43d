//! One attached stream: hello and welcome, heartbeats both ways, and frames to whom they are for.

use std::sync::Arc;
use std::time::Duration;

use quorate_proto::v1::node_relay_client::NodeRelayClient;
use quorate_proto::v1::relay_frame::Frame;
use quorate_proto::v1::{self, node_frame};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;

use super::AttachError;
use super::paperwork::{Paper, Paperwork};
use super::stock;
use crate::node::Node;
use crate::sessions::Sessions;

/// Frames that may wait to be sent. Sessions wait for room; nothing grows without bound.
const QUEUE: usize = 256;

/// Largest frame read. An envelope of aux generation, the largest, is below 300 kB; a document is below 512 kB.
const MAX_FRAME: usize = 1 << 20;

/// Heartbeat periods this node keeps.
const HEARTBEAT_MS: std::ops::RangeInclusive<u32> = 50..=60_000;

/// Heartbeats that may be missed before the other side counts as gone.
const MISSED: u32 = 3;

/// A stream after the welcome.
pub(super) struct Stream {
    frames: Streaming<v1::RelayFrame>,
    out: mpsc::Sender<v1::NodeFrame>,
    heartbeat: Duration,
}

impl Stream {
    /// Says hello and waits for the welcome.
    pub(super) async fn open(node: &Node, channel: Channel) -> Result<Self, AttachError> {
        let (out, queue) = mpsc::channel(QUEUE);
        // Queued before the call: the coordinator answers the stream when it has read it.
        out.try_send(hello(node)).map_err(|_| AttachError::Stuck)?;
        let mut client = NodeRelayClient::new(channel).max_decoding_message_size(MAX_FRAME);
        let mut frames = client.attach(ReceiverStream::new(queue)).await?.into_inner();
        let first = frames.message().await?.ok_or(AttachError::Closed)?;
        let Some(Frame::Welcome(welcome)) = first.frame else {
            return Err(AttachError::Welcome("expected as the first frame"));
        };
        if !HEARTBEAT_MS.contains(&welcome.heartbeat_ms) {
            return Err(AttachError::Welcome("heartbeats must be 50 to 60000 ms apart"));
        }
        let heartbeat = Duration::from_millis(welcome.heartbeat_ms.into());
        Ok(Self { frames, out, heartbeat })
    }

    /// Serves the stream to its end. Its sessions end with it.
    pub(super) async fn serve(mut self, node: &Arc<Node>, coordinator: &str) -> AttachError {
        let mut sessions = Sessions::new(coordinator);
        let _stock = stock::keep_told(Arc::clone(node), coordinator, self.out.clone());
        let paperwork = Paperwork::start(Arc::clone(node), self.out.clone());
        let mut beats = interval_at(Instant::now() + self.heartbeat, self.heartbeat);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let silence = self.heartbeat * MISSED;
        let mut heard = Instant::now();
        let mut waiting = None;
        loop {
            let reading = waiting.is_none();
            tokio::select! {
                frame = self.frames.message(), if reading => {
                    heard = Instant::now();
                    match frame {
                        Ok(Some(frame)) => waiting = self.dispatch(node, (&mut sessions, &paperwork), frame),
                        Ok(None) => return AttachError::Closed,
                        Err(status) => return status.into(),
                    }
                }
                () = paperwork.room(), if !reading => {
                    // Nothing was read meanwhile, so nothing was missed.
                    heard = Instant::now();
                    waiting = waiting.and_then(|paper| paperwork.offer(paper));
                }
                _ = beats.tick() => {
                    // A coordinator that stops reading fills the queue, and cannot be told so.
                    let beat = self.out.send(heartbeat(node));
                    if !matches!(timeout(silence, beat).await, Ok(Ok(()))) {
                        return AttachError::Stuck;
                    }
                }
                () = sleep_until(heard + silence), if reading => return AttachError::Lost(silence),
            }
        }
    }

    /// Nothing here blocks: what has to wait for the disk or for peers does so in a task of its own. Returns a paper
    /// there was no room for.
    fn dispatch(
        &self,
        node: &Arc<Node>,
        (sessions, paperwork): (&mut Sessions, &Paperwork),
        frame: v1::RelayFrame,
    ) -> Option<Paper> {
        let paper = match frame.frame? {
            Frame::Start(start) => {
                sessions.start(Arc::clone(node), start, self.out.clone());
                return None;
            }
            Frame::Opens(opens) => {
                sessions.opens(opens);
                return None;
            }
            Frame::Envelope(envelope) => {
                sessions.envelope(envelope);
                return None;
            }
            Frame::Abort(abort) => {
                sessions.abort(&abort);
                return None;
            }
            Frame::Heartbeat(_) | Frame::Welcome(_) => return None,
            Frame::Policy(document) => Paper::Policy(document),
            Frame::Manifest(document) => Paper::Manifest(document),
            Frame::Freeze(document) => Paper::Freeze(document),
            Frame::Lapse(document) => Paper::Lapse(document),
            Frame::Activation(activation) => Paper::Activation(activation),
            Frame::Hold(start) => Paper::Hold(start),
            Frame::EndHold(ended) => Paper::EndHold(ended),
            Frame::Cosign(asked) => Paper::Cosign(asked),
            Frame::Log(asked) => Paper::AskLog(asked),
            Frame::Witnessed(brought) => Paper::Witnessed(brought),
        };
        paperwork.offer(paper)
    }
}

fn hello(node: &Node) -> v1::NodeFrame {
    let pinned = node.documents.manifest();
    let hello = v1::Hello {
        node: node.me.to_string(),
        boot_id: node.boot.as_bytes().to_vec(),
        software_version: env!("CARGO_PKG_VERSION").to_owned(),
        manifest_version: pinned.manifest().version(),
        manifest_hash: pinned.hash().to_vec(),
        primes_ready: node.primes.ready(),
    };
    v1::NodeFrame { frame: Some(node_frame::Frame::Hello(hello)) }
}

fn heartbeat(node: &Node) -> v1::NodeFrame {
    let heartbeat = v1::Heartbeat { primes_ready: node.primes.ready() };
    v1::NodeFrame { frame: Some(node_frame::Frame::Heartbeat(heartbeat)) }
}
