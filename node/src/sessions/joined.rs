//! An agreed session: the protocol on the maths threads, its messages through the sealed channel.

use std::future::Future;
use std::sync::Arc;

use futures::StreamExt;
use futures::channel::mpsc as wire;
use quorate_mpc::{Inbound, MpcError, Outbound, Recipient as WireRecipient, Wire};
use quorate_session::{Channel, Expired, LastWord, LogMark, Message, Opened, Participant, Recipient, Watch};
use quorate_store::Txn;
use quorate_types::{BootId, NodeId, PartyIndex};
use zeroize::Zeroizing;

use super::link::{Event, Link, PARTIAL_ROUND};
use super::{SessionError, commit};
use crate::maths::Maths;
use crate::node::Node;
use crate::watermarks;

/// Messages in flight between the channel and a protocol: more than one of any protocol's rounds from every peer.
const WIRE: usize = 32;

/// A session all participants agree on, and that this node has written down.
pub(crate) struct Joined<'a> {
    link: &'a mut Link,
    node: Arc<Node>,
    channel: Channel,
    watch: Watch,
    participants: Vec<Participant>,
    /// Where the peers say that their logs end.
    logs: Vec<(NodeId, LogMark)>,
    /// Envelopes that came before the channel could open them.
    early: std::vec::IntoIter<Vec<u8>>,
    /// Messages of the partial round that came while presigning was still running.
    held: Vec<Message>,
}

enum Step<T> {
    Result(T),
    Out(Outbound),
    In(Vec<u8>),
    Late,
}

impl<'a> Joined<'a> {
    pub(super) fn new(
        (link, node): (&'a mut Link, &Arc<Node>),
        channel: Channel,
        watch: Watch,
        (participants, logs): (Vec<Participant>, Vec<(NodeId, LogMark)>),
        early: Vec<Vec<u8>>,
    ) -> Self {
        let (node, early) = (Arc::clone(node), early.into_iter());
        Self { link, node, channel, watch, participants, logs, early, held: Vec::new() }
    }

    /// The execution id, which nobody chose.
    pub(crate) const fn eid(&self) -> [u8; 32] {
        *self.channel.eid().as_bytes()
    }

    /// The one peer of a session of two, with the boot it signed.
    pub(crate) fn peer(&self) -> Option<(NodeId, BootId)> {
        let mut peers = self.channel.peers();
        match (peers.next(), peers.next()) {
            (Some((index, boot)), None) => Some((self.node(index)?.clone(), boot)),
            _ => None,
        }
    }

    /// Ends a presigning session: what is left is for one message `from` one party `to` another.
    pub(crate) fn into_last_word(self, from: PartyIndex, to: PartyIndex) -> Option<LastWord> {
        self.channel.into_last_word(from, to)
    }

    /// Every participant's index, ascending.
    pub(crate) fn indices(&self) -> Vec<PartyIndex> {
        self.participants.iter().map(|party| party.index).collect()
    }

    /// The line to the coordinator, for progress and the release mark.
    pub(crate) const fn link(&mut self) -> &mut Link {
        self.link
    }

    /// Runs a protocol to its result on the maths threads.
    ///
    /// # Errors
    /// The protocol's own, or the channel's, or the deadline's.
    pub(crate) async fn run<T, F>(
        &mut self,
        maths: &Maths,
        protocol: impl FnOnce(Wire) -> F,
    ) -> Result<T, SessionError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, MpcError>> + Send + 'static,
    {
        let (mut to_protocol, incoming) = wire::channel(WIRE);
        let (outgoing, mut from_protocol) = wire::channel(WIRE);
        let mut running = maths.start(protocol(Wire { incoming, outgoing }));
        loop {
            let deadline = self.link.at(self.watch.deadline());
            let step = tokio::select! {
                biased;
                Some(outbound) = from_protocol.next() => Step::Out(outbound),
                result = running.result() => Step::Result(result?),
                sealed = next_envelope(&mut self.early, self.link) => Step::In(sealed?),
                () = tokio::time::sleep_until(deadline) => Step::Late,
            };
            match step {
                Step::Result(result) => {
                    // What the protocol sent last may still be queued: a peer waits for it.
                    while let Ok(outbound) = from_protocol.try_recv() {
                        self.post(&outbound).await?;
                    }
                    let result = result?;
                    self.keep_logs().await?;
                    return Ok(result);
                }
                Step::Late => return Err(self.expired()),
                Step::Out(outbound) => self.post(&outbound).await?,
                Step::In(sealed) => self.take(&sealed, &mut to_protocol)?,
            }
        }
    }

    /// Every peer took part to the end, so each has found in its own log what was seen of it before.
    async fn keep_logs(&mut self) -> Result<(), SessionError> {
        let logs = std::mem::take(&mut self.logs);
        let write = move |_: &Node, txn: &mut dyn Txn| {
            logs.iter().try_for_each(|(peer, log)| watermarks::saw(txn, peer, log))
        };
        let ((), _synced) = commit(&self.node, write).await?;
        Ok(())
    }

    async fn post(&mut self, outbound: &Outbound) -> Result<(), SessionError> {
        let to = match outbound.to {
            WireRecipient::One(party) => Recipient::One(party),
            WireRecipient::All => Recipient::All,
        };
        self.send(outbound.round, to, &outbound.body).await
    }

    /// Seals and sends one message.
    ///
    /// # Errors
    /// [`SessionError`] where it cannot be sealed, or the stream is gone or stuck.
    pub(crate) async fn send(&mut self, round: u8, to: Recipient, body: &[u8]) -> Result<(), SessionError> {
        self.watch.progress(self.link.now(), round);
        let deadline = self.link.at(self.watch.deadline());
        for sealed in self.channel.seal(round, to, body)? {
            let sent = tokio::time::timeout_at(deadline, self.link.envelope(sealed.to, sealed.bytes)).await;
            sent.map_err(|_| self.expired())??;
        }
        Ok(())
    }

    /// Waits for `from`'s message of the partial round.
    ///
    /// # Errors
    /// [`SessionError`] where it does not come in time, or anything but it comes.
    pub(crate) async fn receive_partial(
        &mut self,
        from: PartyIndex,
    ) -> Result<Zeroizing<Vec<u8>>, SessionError> {
        self.watch.progress(self.link.now(), PARTIAL_ROUND);
        loop {
            if let Some(message) = self.held.pop() {
                return if message.from == from && message.broadcast.is_none() {
                    Ok(message.body)
                } else {
                    let reason = "an unexpected partial signature".to_owned();
                    Err(SessionError::Peer { party: message.from, reason })
                };
            }
            let deadline = self.link.at(self.watch.deadline());
            let sealed = tokio::time::timeout_at(deadline, next_envelope(&mut self.early, self.link)).await;
            let sealed = sealed.map_err(|_| self.expired())??;
            if let Some(message) = self.open(&sealed)? {
                match message.round {
                    PARTIAL_ROUND => self.held.push(message),
                    // A peer's last echo may come after our protocol has all it needs.
                    _ => tracing::debug!(
                        from = message.from,
                        round = message.round,
                        "message after its protocol"
                    ),
                }
            }
        }
    }

    fn open(&mut self, sealed: &[u8]) -> Result<Option<Message>, SessionError> {
        match self.channel.open(sealed)? {
            Opened::Message(message) => {
                self.watch.heard(message.from, message.round);
                Ok(Some(message))
            }
            Opened::Duplicate(party) => {
                tracing::debug!(party, "duplicate envelope");
                Ok(None)
            }
            Opened::Dropped(stray) => {
                metrics::counter!("quorate_node_stray_envelopes").increment(1);
                tracing::debug!(?stray, "stray envelope");
                Ok(None)
            }
        }
    }

    /// Hands a message to the protocol, or keeps it where it belongs to the step after.
    fn take(&mut self, sealed: &[u8], protocol: &mut wire::Sender<Inbound>) -> Result<(), SessionError> {
        let Some(message) = self.open(sealed)? else { return Ok(()) };
        let party = message.from;
        if message.round == PARTIAL_ROUND {
            if !self.held.is_empty() {
                return Err(SessionError::Peer { party, reason: "two partial signatures".to_owned() });
            }
            self.held.push(message);
            return Ok(());
        }
        let broadcast = message.broadcast.is_some();
        let inbound = Inbound { from: party, broadcast, round: message.round, body: message.body };
        match protocol.try_send(inbound) {
            Ok(()) => Ok(()),
            // The protocol has its result and listens no more; its result is next.
            Err(error) if error.is_disconnected() => Ok(()),
            Err(_) => {
                Err(SessionError::Peer { party, reason: "more messages than the protocol has".to_owned() })
            }
        }
    }

    fn expired(&self) -> SessionError {
        let now = self.link.now().max(self.watch.deadline());
        let waiting = self.watch.expired(now).map(|Expired { waiting, .. }| waiting).unwrap_or_default();
        let node = |index: &PartyIndex| self.participants.iter().find(|party| party.index == *index);
        let names: Vec<_> = waiting.iter().filter_map(node).map(|party| party.node.to_string()).collect();
        SessionError::Waiting { names: names.join(" and "), parties: waiting }
    }

    /// The node that plays `party`.
    pub(crate) fn node(&self, party: PartyIndex) -> Option<&NodeId> {
        self.participants.iter().find(|participant| participant.index == party).map(|found| &found.node)
    }
}

/// Cancel-safe: an early envelope is taken only when it is returned, and a channel's `recv` loses nothing.
async fn next_envelope(
    early: &mut std::vec::IntoIter<Vec<u8>>,
    link: &mut Link,
) -> Result<Vec<u8>, SessionError> {
    if let Some(sealed) = early.next() {
        return Ok(sealed);
    }
    loop {
        match link.events.recv().await {
            Some(Event::Envelope(sealed)) => return Ok(sealed),
            // Opens are read once; a second set changes nothing.
            Some(Event::Opens(_)) => {}
            None => return Err(SessionError::Network("the session was given up".to_owned())),
        }
    }
}
