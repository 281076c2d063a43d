//! One party of the ceremony: a process that opens one share, reads what it is asked to sign itself, and talks through
//! its standard streams only.

use std::io::{Read, Write};
use std::thread;

use futures::channel::mpsc::{self, UnboundedReceiver};
use futures::future::{self, Either};
use futures::{FutureExt, StreamExt};
use quorate_intent::{DecodedDigest, SigningDigest};
use quorate_mpc::{
    Inbound, MpcError, Outbound, PartialSignature, Party, Presignature, Recipient, SigningShare, Wire,
    generate_presignature,
};
use quorate_types::{B256, PartyIndex, Payload, Transcript};
use rand_core::{OsRng, RngCore};
use zeroize::Zeroizing;

use crate::frame::{Frame, FrameError, Hello, read_frame, write_frame};
use crate::package::{AuxPackage, SharePackage};

/// Room for every message of a session.
const CHANNEL: usize = 64;

/// Why a party process ended early. The texts hold nothing secret.
#[derive(Debug, thiserror::Error)]
pub enum PartyError {
    /// Share and auxiliary info are not of one node and group.
    #[error("the share and the auxiliary info do not fit: {0}")]
    Unfit(String),
    /// The relay asked for something no honest relay asks for.
    #[error("asked to sign: {0}")]
    Refused(String),
    /// The protocol.
    #[error(transparent)]
    Protocol(#[from] MpcError),
    /// The pipe.
    #[error(transparent)]
    Pipe(#[from] FrameError),
    /// The other party is gone.
    #[error("the ceremony ended in the middle of a signature")]
    Ended,
}

/// What a session needs to know.
struct Order {
    participants: Vec<PartyIndex>,
    eid: B256,
    digest: SigningDigest,
}

struct PartyProcess<W> {
    hello: Hello,
    share: SigningShare,
    sequence: u64,
    frames: UnboundedReceiver<Frame>,
    out: W,
}

/// Serves one ceremony: says hello, then signs what it is asked until the pipe closes.
///
/// # Errors
/// [`PartyError`]; the relay was told the same words.
pub fn serve(
    package: SharePackage,
    aux: AuxPackage,
    from: impl Read + Send + 'static,
    mut to: impl Write,
) -> Result<(), PartyError> {
    let ready = join(package, aux);
    let (hello, share) = match ready {
        Ok(ready) => ready,
        Err(error) => {
            write_frame(&mut to, &Frame::Failed(error.to_string()))?;
            return Err(error);
        }
    };
    let words = serde_json::to_string(&hello).map_err(|error| PartyError::Unfit(error.to_string()))?;
    write_frame(&mut to, &Frame::Hello(words))?;
    let mut party = PartyProcess { hello, share, sequence: 0, frames: pump(from), out: to };
    let served = futures::executor::block_on(party.run());
    if let Err(error) = &served {
        // The relay may be gone already, which is then what ended this.
        let _gone = write_frame(&mut party.out, &Frame::Failed(error.to_string()));
    }
    served
}

fn join(package: SharePackage, aux: AuxPackage) -> Result<(Hello, SigningShare), PartyError> {
    let SharePackage { facts, wallet, share } = package;
    let theirs = &aux.facts;
    if facts.node != theirs.node || facts.group != theirs.group {
        let reason = format!("{} of {} and {} of {}", facts.node, facts.group, theirs.node, theirs.group);
        return Err(PartyError::Unfit(reason));
    }
    if facts.aux_hash != theirs.aux_hash {
        return Err(PartyError::Unfit("the share was made beside other auxiliary info".to_owned()));
    }
    let unfit = |error: &dyn std::fmt::Display| PartyError::Unfit(error.to_string());
    let aux = aux.aux.with_tables().map_err(|error| unfit(&error))?;
    let share = share.with_aux(&aux).map_err(|error| unfit(&error))?;
    let mut nonce = B256::ZERO;
    OsRng.fill_bytes(nonce.as_mut_slice());
    Ok((Hello { facts, wallet, nonce }, share))
}

/// Reads frames on a thread of their own: the channel closes with the pipe.
fn pump(mut from: impl Read + Send + 'static) -> UnboundedReceiver<Frame> {
    let (sender, frames) = mpsc::unbounded();
    // It ends with the pipe, or with the process.
    let _reader = thread::spawn(move || {
        loop {
            let (frame, last) = match read_frame(&mut from) {
                Ok(Some(frame)) => (frame, false),
                Ok(None) => return,
                // What cannot be read ends the ceremony, and not in silence.
                Err(error) => (Frame::Failed(error.to_string()), true),
            };
            if sender.unbounded_send(frame).is_err() || last {
                return;
            }
        }
    });
    frames
}

impl<W: Write> PartyProcess<W> {
    async fn run(&mut self) -> Result<(), PartyError> {
        while let Some(frame) = self.frames.next().await {
            let Frame::Sign { participants, nonces, sequence, payload } = frame else {
                return Err(PartyError::Refused("expected a request".to_owned()));
            };
            let payload: Payload =
                serde_json::from_str(&payload).map_err(|_| PartyError::Refused("no payload".to_owned()))?;
            let order = self.order(participants, &nonces, sequence, &payload)?;
            self.sign(&order).await?;
        }
        Ok(())
    }

    /// Reads the payload itself: no relay has a bare hash signed. The execution id is this party's to compute.
    fn order(
        &mut self,
        participants: Vec<PartyIndex>,
        nonces: &[B256],
        sequence: u64,
        payload: &Payload,
    ) -> Result<Order, PartyError> {
        let refuse = |reason: &str| PartyError::Refused(reason.to_owned());
        let me = self.share.party();
        let mine = participants.iter().position(|party| *party == me).and_then(|at| nonces.get(at));
        if mine != Some(&self.hello.nonce) || nonces.len() != participants.len() {
            return Err(refuse("not with this process's nonce"));
        }
        if sequence <= self.sequence {
            return Err(refuse("with a sequence number that was used"));
        }
        let decoded =
            quorate_intent::decode(payload).map_err(|error| PartyError::Refused(error.to_string()))?;
        if decoded.intent.signer.is_some_and(|signer| signer != self.hello.wallet.address) {
            return Err(refuse("a payload that names another signer"));
        }
        let DecodedDigest::Read(digest) = decoded.digest else {
            return Err(refuse("a raw digest: a ceremony signs nothing that people cannot read"));
        };
        self.sequence = sequence;
        let start = Transcript::new("quorate/recovery-session/v1")
            .field(self.hello.facts.cluster.as_str().as_bytes())
            .field(&self.hello.wallet.public_key.to_sec1())
            .number(sequence)
            .field(payload.hash().as_slice());
        let eid = nonces.iter().fold(start, |start, nonce| start.field(nonce.as_slice())).finish();
        Ok(Order { participants, eid, digest })
    }

    async fn sign(&mut self, order: &Order) -> Result<(), PartyError> {
        let me = self.share.party();
        let others: Vec<_> = order.participants.iter().copied().filter(|party| *party != me).collect();
        let &[other] = others.as_slice() else { return Err(PartyError::Refused("not of two".to_owned())) };
        let (presignature, early) = self.presign(order, other).await?;
        let (mine, combiner) = presignature.issue(&order.digest);
        write_frame(&mut self.out, &Frame::Partial(mine.to_bytes()))?;
        let theirs = match early {
            Some(partial) => partial,
            None => match self.frames.next().await {
                Some(Frame::Partial(partial)) => partial,
                Some(Frame::Failed(_)) | None => return Err(PartyError::Ended),
                Some(_) => return Err(PartyError::Refused("expected the other's half".to_owned())),
            },
        };
        let theirs = PartialSignature::from_bytes(&theirs, other)?;
        let mut halves = [(me, mine), (other, theirs)];
        halves.sort_by_key(|(party, _)| *party);
        let signature = combiner.combine(&halves)?;
        Ok(write_frame(&mut self.out, &Frame::Signature(signature.to_bytes().to_vec()))?)
    }

    /// Presigns while passing messages. The other party may be done first: its half is then kept.
    async fn presign(
        &mut self,
        order: &Order,
        other: PartyIndex,
    ) -> Result<(Presignature, Option<Vec<u8>>), PartyError> {
        let (mut inbox, incoming) = mpsc::channel(CHANNEL);
        let (outgoing, mut outbox) = mpsc::channel::<Outbound>(CHANNEL);
        let party = Party { eid: &order.eid.0, me: self.share.party(), participants: &order.participants };
        let wire = Wire { incoming, outgoing };
        let mut protocol = Box::pin(generate_presignature(party, &self.share, wire).fuse());
        let (mut done, mut early) = (None, None);
        loop {
            let traffic = future::select(self.frames.next(), outbox.next());
            let event = match &done {
                None => match future::select(&mut protocol, traffic).await {
                    Either::Left((result, _)) => {
                        done = Some(result?);
                        continue;
                    }
                    Either::Right((event, _)) => event,
                },
                // What the protocol still had to say, up to its end.
                Some(_) => match outbox.next().await {
                    None => break,
                    outbound => {
                        send(&mut self.out, outbound)?;
                        continue;
                    }
                },
            };
            match event {
                Either::Left((Some(Frame::Message { round, broadcast, body }), _)) => {
                    let inbound = Inbound { from: other, broadcast, round, body: Zeroizing::new(body) };
                    inbox
                        .try_send(inbound)
                        .map_err(|_| PartyError::Refused("too many messages".to_owned()))?;
                }
                Either::Left((Some(Frame::Partial(partial)), _)) => early = Some(partial),
                Either::Left((Some(Frame::Failed(_)), _)) => return Err(PartyError::Ended),
                Either::Left((Some(_), _)) => {
                    return Err(PartyError::Refused("in the middle of a signature".to_owned()));
                }
                Either::Left((None, _)) => return Err(PartyError::Ended),
                Either::Right((outbound, _)) => send(&mut self.out, outbound)?,
            }
        }
        drop(protocol);
        done.map(|done| (done, early)).ok_or(PartyError::Ended)
    }
}

fn send(out: &mut impl Write, outbound: Option<Outbound>) -> Result<(), PartyError> {
    let Some(Outbound { to, round, body }) = outbound else { return Ok(()) };
    let frame = Frame::Message { round, broadcast: to == Recipient::All, body: body.to_vec() };
    Ok(write_frame(out, &frame)?)
}
