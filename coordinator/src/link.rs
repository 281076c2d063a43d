//! The way to one attached node: a queue bounded in frames and in bytes, and what was sent for it to put in force.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use prost::Message;
use quorate_freeze::Scope;
use quorate_proto::v1::{self, RelayFrame, relay_frame::Frame};
use quorate_types::{B256, NodeId, Role, UnixMillis, WalletId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use crate::questions::Questions;

/// Frames that may wait for one node.
const QUEUE_FRAMES: usize = 512;
/// Bytes that may wait for one node. One session's largest messages come to about 2 MB.
const QUEUE_BYTES: usize = 16 << 20;
/// Requests that are signed at once over one stream. A node runs 64 sessions: the others are for refilling pools and for
/// making wallets, and one that is over here may not be quite over there.
pub(crate) const SIGNING: usize = 40;
/// The places that one request takes at an agent node: an agent node that hangs leaves half of its service node's to others.
pub(crate) const AGENTS_SHARE: u32 = 2;
/// Documents remembered for one node's stream: a bound on memory, far above the wallets of a node.
const MAX_DOCUMENTS: usize = 1 << 20;

/// Why a frame was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The node does not read as fast as it is written to.
    Slow,
    /// The stream is gone.
    Gone,
}

/// What a node can be asked to put in force.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    Manifest,
    Policy(WalletId),
    /// The policy that is to take the place of the one in force.
    NextPolicy(WalletId),
    Activation(WalletId),
    Freeze(Scope),
}

/// One version of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) number: u64,
    pub(crate) hash: B256,
}

/// What a node said to a version it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    InForce,
    /// Noted: in force from this moment of the node's clock on, once it is shown again.
    Waits(UnixMillis),
    Refused(String),
    Silent,
}

impl Reply {
    /// From a node's acknowledgement.
    pub(crate) fn of(refused: &str, waits_until: UnixMillis) -> Self {
        match (refused.is_empty(), waits_until) {
            (true, 0) => Self::InForce,
            (true, until) => Self::Waits(until),
            (false, _) => Self::Refused(quoted(refused)),
        }
    }
}

/// A node's present stream. A node that attaches again gets another link, and this one ends.
#[derive(Clone)]
pub(crate) struct Link {
    node: NodeId,
    stream: u64,
    queue: mpsc::Sender<Queued>,
    room: Arc<Semaphore>,
    signing: Arc<Semaphore>,
    closed: CancellationToken,
    sent: watch::Sender<HashMap<Subject, (Version, Reply)>>,
    /// Checkpoints it was shown, by their text.
    cosigned: Arc<Questions<String, v1::Cosigned>>,
    /// What it was asked of its own log: where the proof begins and ends.
    logs: Arc<Questions<(u64, u64), v1::NodeLog>>,
    /// Lapses it was shown, by their hash.
    lapses: Arc<Questions<B256, v1::LapseAck>>,
}

struct Queued {
    frame: RelayFrame,
    // Given back when the frame is taken off the queue.
    _bytes: OwnedSemaphorePermit,
}

impl Link {
    /// A link, and the frames to write to its stream.
    pub(crate) fn new(
        node: NodeId,
        stream: u64,
    ) -> (Self, impl Stream<Item = Result<RelayFrame, tonic::Status>> + Send + 'static) {
        let (queue, frames) = mpsc::channel(QUEUE_FRAMES);
        let closed = CancellationToken::new();
        let room = Arc::new(Semaphore::new(QUEUE_BYTES));
        let signing = Arc::new(Semaphore::new(SIGNING));
        let (sent, _) = watch::channel(HashMap::new());
        let out = ReceiverStream::new(frames)
            .map(|queued: Queued| Ok(queued.frame))
            .take_until(closed.clone().cancelled_owned());
        let (cosigned, logs, lapses) = Default::default();
        (Self { node, stream, queue, room, signing, closed, sent, cosigned, logs, lapses }, out)
    }

    pub(crate) fn node(&self) -> &NodeId {
        &self.node
    }

    /// Whether both are the same stream of the same node.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.stream == other.stream && self.node == other.node
    }

    /// Ends the stream.
    pub(crate) fn close(&self) {
        self.closed.cancel();
    }

    pub(crate) async fn closed(&self) {
        self.closed.cancelled().await;
    }

    /// Waits for one of the places in which requests are signed, first come first served.
    pub(crate) async fn signing_place(&self, role: Role) -> Result<OwnedSemaphorePermit, Refused> {
        let places = if role == Role::Agent { AGENTS_SHARE } else { 1 };
        self.signing.clone().acquire_many_owned(places).await.map_err(|_| Refused::Gone)
    }

    /// Queues a frame, or refuses: it never waits, so one slow node cannot hold up the others.
    pub(crate) fn offer(&self, frame: Frame) -> Result<(), Refused> {
        let frame = RelayFrame { frame: Some(frame) };
        let room = self.room.clone().try_acquire_many_owned(weight(&frame)).map_err(|_| Refused::Slow)?;
        if self.closed.is_cancelled() {
            return Err(Refused::Gone);
        }
        self.queue.try_send(Queued { frame, _bytes: room }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Refused::Slow,
            mpsc::error::TrySendError::Closed(_) => Refused::Gone,
        })
    }

    /// Queues a frame, waiting for room while the stream lives.
    async fn send(&self, frame: Frame) -> Result<(), Refused> {
        let frame = RelayFrame { frame: Some(frame) };
        let queue = async {
            let room = self.room.clone().acquire_many_owned(weight(&frame)).await;
            let room = room.map_err(|_| Refused::Gone)?;
            self.queue.send(Queued { frame, _bytes: room }).await.map_err(|_| Refused::Gone)
        };
        tokio::select! {
            sent = queue => sent,
            () = self.closed.cancelled() => Err(Refused::Gone),
        }
    }

    /// Sends one version of a document, unless a later one was sent already.
    pub(crate) async fn push(&self, subject: Subject, version: Version, frame: Frame) -> Result<(), Refused> {
        let mut fresh = true;
        self.sent.send_modify(|sent| {
            fresh = match sent.get(&subject) {
                Some((before, _)) => before.number <= version.number,
                None => sent.len() < MAX_DOCUMENTS,
            };
            if fresh {
                sent.insert(subject, (version, Reply::Silent));
            }
        });
        if fresh { self.send(frame).await } else { Ok(()) }
    }

    /// Takes note of the node's word on a version it was sent. A word on anything else is ignored.
    pub(crate) fn replied(&self, subject: &Subject, hash: Option<B256>, said: Reply) {
        self.sent.send_if_modified(|sent| {
            let Some((version, reply)) = sent.get_mut(subject) else { return false };
            if hash.is_some_and(|hash| hash != version.hash) {
                return false;
            }
            *reply = said;
            true
        });
    }

    /// Waits for the node's word on a version, at most so long.
    pub(crate) async fn reply(&self, subject: &Subject, hash: B256, at_most: Duration) -> Reply {
        let mut sent = self.sent.subscribe();
        let answered = |sent: &HashMap<Subject, (Version, Reply)>| {
            sent.get(subject).is_some_and(|(version, reply)| version.hash == hash && *reply != Reply::Silent)
        };
        tokio::select! {
            _ = tokio::time::timeout(at_most, sent.wait_for(answered)) => {}
            () = self.closed.cancelled() => {}
        }
        self.standing(subject, hash)
    }

    /// The wallets whose policy waited on the node, and has waited long enough by `now`.
    pub(crate) fn due(&self, now: UnixMillis) -> Vec<WalletId> {
        let sent = self.sent.borrow();
        let due = sent.iter().filter_map(|(subject, (_, reply))| match (subject, reply) {
            (Subject::Policy(wallet), Reply::Waits(until)) if *until <= now => Some(wallet.clone()),
            _ => None,
        });
        due.collect()
    }

    /// Takes note of the node's word on a checkpoint. A word on one it was not shown is ignored.
    pub(crate) fn cosigned(&self, answer: v1::Cosigned) {
        self.cosigned.answer(&answer.checkpoint.clone(), answer);
    }

    /// Shows the node a checkpoint and waits for its word, at most so long.
    pub(crate) async fn cosign(&self, asked: v1::Cosign, at_most: Duration) -> Option<v1::Cosigned> {
        let checkpoint = asked.checkpoint.clone();
        self.cosigned.ask(checkpoint, at_most, || self.offer(Frame::Cosign(asked)).is_ok()).await
    }

    /// Takes note of the node's word on its own log. A word nobody asked for is ignored.
    pub(crate) fn showed_log(&self, answer: v1::NodeLog) {
        self.logs.answer(&(answer.from, answer.size), answer);
    }

    /// Asks the node for its own log and waits for its word, at most so long.
    pub(crate) async fn ask_log(&self, asked: v1::AskLog, at_most: Duration) -> Option<v1::NodeLog> {
        self.logs.ask((asked.from, asked.size), at_most, || self.offer(Frame::Log(asked)).is_ok()).await
    }

    /// Takes note of the node's word on a lapse. A word on one it was not shown is ignored.
    pub(crate) fn lapsed(&self, answer: v1::LapseAck) {
        if let Ok(hash) = B256::try_from(answer.hash.as_slice()) {
            self.lapses.answer(&hash, answer);
        }
    }

    /// Shows the node a lapse, named by its hash, and waits for its word, at most so long.
    pub(crate) async fn lapse(
        &self,
        (hash, lapse): (B256, v1::SignedDocument),
        at_most: Duration,
    ) -> Option<v1::LapseAck> {
        self.lapses.ask(hash, at_most, || self.offer(Frame::Lapse(lapse)).is_ok()).await
    }

    /// The node's word so far.
    pub(crate) fn standing(&self, subject: &Subject, hash: B256) -> Reply {
        match self.sent.borrow().get(subject) {
            Some((version, reply)) if version.hash == hash => reply.clone(),
            _ => Reply::Silent,
        }
    }
}

fn weight(frame: &RelayFrame) -> u32 {
    u32::try_from(frame.encoded_len().clamp(256, QUEUE_BYTES)).unwrap_or(u32::MAX)
}

/// A node's words, short and on one line.
pub(crate) fn quoted(words: &str) -> String {
    words.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(bytes: usize) -> Frame {
        Frame::Envelope(v1::SessionEnvelope { session: vec![], to: 0, sealed: vec![0; bytes] })
    }

    fn link() -> (Link, impl Stream<Item = Result<RelayFrame, tonic::Status>>) {
        Link::new("agent-1".parse().unwrap(), 1)
    }

    const SUBJECT: Subject = Subject::Manifest;
    const SOON: Duration = Duration::from_millis(30);

    fn version(number: u8) -> Version {
        Version { number: number.into(), hash: B256::repeat_byte(number) }
    }

    #[tokio::test]
    async fn is_bounded_in_frames_and_in_bytes() {
        let (small, _out) = link();
        let queued = (0..QUEUE_FRAMES + 10).filter(|_| small.offer(frame(1)).is_ok()).count();
        assert_eq!(queued, QUEUE_FRAMES);
        let (large, out) = link();
        let queued = (0..64).filter(|_| large.offer(frame(1 << 20)).is_ok()).count();
        assert_eq!(queued, 15, "16 MiB hold 15 frames of a little more than 1 MiB");
        assert_eq!(large.offer(frame(1 << 20)), Err(Refused::Slow));
        let mut out = std::pin::pin!(out);
        assert!(out.next().await.is_some());
        assert_eq!(large.offer(frame(1 << 20)), Ok(()), "reading makes room");
        large.close();
        assert_eq!(large.offer(frame(1)), Err(Refused::Gone));
        assert!(out.next().await.is_none(), "a closed link ends its stream");
    }

    #[tokio::test]
    async fn knows_what_is_in_force_and_never_goes_back() {
        let (link, _out) = link();
        link.replied(&SUBJECT, None, Reply::InForce);
        assert_eq!(link.standing(&SUBJECT, version(2).hash), Reply::Silent, "nothing was sent");
        link.push(SUBJECT, version(2), frame(1)).await.unwrap();
        link.push(SUBJECT, version(1), frame(1)).await.unwrap();
        link.replied(&SUBJECT, Some(version(1).hash), Reply::InForce);
        assert_eq!(
            link.reply(&SUBJECT, version(2).hash, SOON).await,
            Reply::Silent,
            "a word on another version"
        );
        link.replied(&SUBJECT, Some(version(2).hash), Reply::of("no\n way", 0));
        let said = link.reply(&SUBJECT, version(2).hash, SOON).await;
        assert_eq!(said, Reply::Refused("no way".to_owned()));
        link.push(SUBJECT, version(3), frame(1)).await.unwrap();
        assert_eq!(link.standing(&SUBJECT, version(3).hash), Reply::Silent);
    }
}
