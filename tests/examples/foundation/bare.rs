//! The library by itself: one task a party, channels between them, no session, no disk, no TLS.

use std::pin::Pin;

use cggmp24::supported_curves::Secp256k1;
use cggmp24::{DataToSign, ExecutionId, KeyShare};
use futures::channel::mpsc;
use futures::{Sink, Stream, StreamExt, future};
use quorate_mpc::fixtures;
use rand_core::OsRng;
use round_based::{Incoming, MessageDestination, MessageType, MpcParty, Outgoing};
use sha2::Sha256;
use sha3::Keccak256;

type Dkg = cggmp24::keygen::ThresholdMsg<Secp256k1, cggmp24::security_level::SecurityLevel128, Sha256>;
type Sign = cggmp24::signing::msg::Msg<Secp256k1, Sha256>;

/// Key generation, two of three.
pub(crate) async fn keygen(number: u64) -> Vec<cggmp24::IncompleteKeyShare<Secp256k1>> {
    let tasks = connect::<Dkg>(3).into_iter().zip(0..).map(|(ends, me)| {
        let party = MpcParty::connected(ends);
        tokio::spawn(async move {
            let eid = number.to_be_bytes();
            let builder = cggmp24::keygen::<Secp256k1>(ExecutionId::new(&eid), me, 3).set_threshold(2);
            builder.enforce_reliable_broadcast(true).start(&mut OsRng, party).await.unwrap()
        })
    });
    join(tasks.collect()).await
}

type Inbox<M> = Pin<Box<dyn Stream<Item = Result<Incoming<M>, mpsc::SendError>> + Send>>;
type Outbox<M> = Pin<Box<dyn Sink<Outgoing<M>, Error = mpsc::SendError> + Send>>;

/// Both ends of each party: it hears what is for it, and every broadcast of the others.
fn connect<M: Clone + Send + 'static>(count: u16) -> Vec<(Inbox<M>, Outbox<M>)> {
    let (inboxes, incoming): (Vec<_>, Vec<_>) = (0..count).map(|_| mpsc::unbounded()).unzip();
    let ends = |(incoming, sender): (mpsc::UnboundedReceiver<Incoming<M>>, u16)| {
        let start = (inboxes.clone(), 0_u64);
        let send = futures::sink::unfold(start, move |(inboxes, id), out: Outgoing<M>| {
            deliver(&inboxes, (sender, id), &out);
            future::ready(Ok::<_, mpsc::SendError>((inboxes, id + 1)))
        });
        let (inbox, outbox): (Inbox<M>, Outbox<M>) = (Box::pin(incoming.map(Ok)), Box::pin(send));
        (inbox, outbox)
    };
    incoming.into_iter().zip(0..count).map(ends).collect()
}

fn deliver<M: Clone>(
    inboxes: &[mpsc::UnboundedSender<Incoming<M>>],
    (sender, id): (u16, u64),
    out: &Outgoing<M>,
) {
    for (inbox, to) in inboxes.iter().zip(0..) {
        let (msg_type, heard) = match out.recipient {
            MessageDestination::AllParties => (MessageType::Broadcast, to != sender),
            MessageDestination::OneParty(only) => (MessageType::P2P, to == only),
        };
        if heard {
            // A party that has finished no longer listens.
            let _finished = inbox.unbounded_send(Incoming { id, sender, msg_type, msg: out.msg.clone() });
        }
    }
}

async fn join<T>(tasks: Vec<tokio::task::JoinHandle<T>>) -> Vec<T> {
    futures::future::join_all(tasks).await.into_iter().map(Result::unwrap).collect()
}

/// Agent's and service's shares of one key, with the committed test group's auxiliary info and its tables.
pub(crate) struct Shares(Vec<KeyShare<Secp256k1>>);

impl Shares {
    /// Makes a key.
    pub(crate) async fn new() -> Self {
        let shares = keygen(u64::MAX).await.into_iter().zip(0..2);
        Self(shares.map(|(share, party)| fixtures::library_share(share, party).unwrap()).collect())
    }

    /// An interactive signature.
    pub(crate) async fn sign(&self, number: u64) -> Vec<cggmp24::Signature<Secp256k1>> {
        let parties = connect::<Sign>(2).into_iter().zip(0..);
        let tasks = self.0.iter().cloned().zip(parties).map(|(share, (ends, me))| {
            let party = MpcParty::connected(ends);
            tokio::spawn(async move {
                let eid = number.to_be_bytes();
                let data = DataToSign::digest::<Keccak256>(&eid);
                let signing = cggmp24::signing(ExecutionId::new(&eid), me, &[0, 1], &share);
                signing.enforce_reliable_broadcast(true).sign(&mut OsRng, party, &data).await.unwrap()
            })
        });
        join(tasks.collect()).await
    }

    /// A presignature, both halves.
    pub(crate) async fn presign(&self, number: u64) -> Vec<Half> {
        let parties = connect::<Sign>(2).into_iter().zip(0..);
        let tasks = self.0.iter().cloned().zip(parties).map(|(share, (ends, me))| {
            let party = MpcParty::connected(ends);
            tokio::spawn(async move {
                let eid = number.to_be_bytes();
                let signing = cggmp24::signing(ExecutionId::new(&eid), me, &[0, 1], &share);
                signing
                    .enforce_reliable_broadcast(true)
                    .generate_presignature(&mut OsRng, party)
                    .await
                    .unwrap()
            })
        });
        join(tasks.collect()).await
    }

    /// A signature with it: both partial signatures, combined and verified.
    pub(crate) fn online(&self, halves: Vec<Half>) {
        let data = DataToSign::digest::<Keccak256>(b"online");
        let (halves, public): (Vec<_>, Vec<_>) = halves.into_iter().unzip();
        let partials: Vec<_> = halves.into_iter().map(|half| half.issue_partial_signature(data)).collect();
        let signature = cggmp24::PartialSignature::combine(&partials, public.first().unwrap(), data).unwrap();
        let key = self.0.first().unwrap().core.shared_public_key;
        signature.verify(&key, &data).unwrap();
    }
}

/// One party's part of a presignature.
pub(crate) type Half =
    (cggmp24::Presignature<Secp256k1>, cggmp24::signing::PresignaturePublicData<Secp256k1>);
