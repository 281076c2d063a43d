//! A signature over a digest nobody can read: the library's whole protocol, held before its last message.
//!
//! Such a digest must be fixed before the nonce point is known. Whoever knows the point first can choose 32 bytes whose
//! signature is one over a message of their own (Groth and Shoup, "On the Security of ECDSA with Additive Key Derivation
//! and Presignatures", [ia.cr/2021/1330](https://ia.cr/2021/1330), 1.1.2); the proof of [CGGMP24] for presignatures is for
//! messages that are hashed, too. The library takes a raw digest into its whole protocol only and never with a
//! presignature, and so does this: there is no way from here to a pool, and none from a pool to here.

use std::sync::Arc;

use cggmp24::signing::PrehashedDataToSign;
use cggmp24::signing::msg::MsgRound4;
use cggmp24::supported_curves::Secp256k1;
use cggmp24::{ExecutionId, PartialSignature as RawPartial, Signature as RawSignature};
use futures::channel::{mpsc, oneshot};
use futures::future::{self, BoxFuture, Either};
use futures::{FutureExt, SinkExt, sink, stream};
use generic_ec::Scalar;
use quorate_intent::RawDigest;
use quorate_types::{B256, PartyIndex, PublicKey, Signature};
use rand_core::OsRng;
use round_based::{Incoming, MessageType, MpcParty, Outgoing};

use crate::blame;
use crate::error::MpcError;
use crate::presign::{PartialSignature, ready};
use crate::protocol::{ProtocolKind, SignMsg};
use crate::share::SigningShare;
use crate::wire::{Incomings, Outgoings, Party, Wire, WireError, ends};

/// One party's half of the signature over one raw digest, which was fixed before the half was made. Not `Clone`, `Debug` or
/// `Serialize`; it lives in memory only and is consumed by its one use.
pub struct Prehashed {
    partial: PartialSignature,
    /// The library's protocol. It waits for the other party's half.
    protocol: BoxFuture<'static, Result<RawSignature<Secp256k1>, MpcError>>,
    feed: mpsc::Sender<Result<Incoming<SignMsg>, WireError>>,
    /// The other party, and its position in the session.
    peer: (PartyIndex, u16),
    public_key: PublicKey,
    digest: B256,
}

/// Runs the protocol with one other party up to the halves, which stay where they were made: a guard stands in front of
/// them. As dear as a presignature, and as many messages.
///
/// # Errors
/// [`MpcError`], blaming a party whose proofs fail.
pub async fn generate_prehashed(
    party: Party<'_>,
    share: Arc<SigningShare>,
    digest: RawDigest,
    wire: Wire,
) -> Result<Prehashed, MpcError> {
    let (me, mut proofs) = ready(&party, &share)?;
    let check = move |sender, message: &SignMsg| proofs.check(sender, message);
    let (incoming, outgoing) = ends::<SignMsg>(wire, ProtocolKind::Sign, party.participants, check);
    let (feed, fed) = mpsc::channel(1);
    let incoming: Incomings<SignMsg> = Box::pin(stream::select(incoming, fed));
    let (outgoing, half) = hold_back(outgoing);

    let digest = digest.digest();
    let (public_key, eid, index) = (share.public_key, *party.eid, party.me);
    let parties = party.participants.to_vec();
    let peer = party.participants.iter().copied().zip(0..).find(|(other, _)| *other != index);
    let peer = peer.ok_or_else(|| MpcError::Bug("a session of one".to_owned()))?;
    let protocol = async move {
        let data = PrehashedDataToSign::from_scalar(Scalar::from_be_bytes_mod_order(digest));
        cggmp24::signing(ExecutionId::new(&eid), me, &parties, &share.key)
            .enforce_reliable_broadcast(true)
            .sign(&mut OsRng, MpcParty::connected((incoming, outgoing)), &data)
            .await
            .map_err(|error| blame::classify(&error, &parties, index))
    };
    match future::select(protocol.boxed(), half).await {
        Either::Right((Ok(half), protocol)) => {
            let partial = PartialSignature(half);
            Ok(Prehashed { partial, protocol, feed, peer, public_key, digest })
        }
        Either::Left((Err(error), _)) => Err(error),
        Either::Left((Ok(_), _)) | Either::Right((Err(_), _)) => {
            Err(MpcError::Bug("the protocol did not stop before its last message".to_owned()))
        }
    }
}

/// Lets every message out but the last one, this party's half, and closes the way out in its place.
fn hold_back(outgoing: Outgoings<SignMsg>) -> (Outgoings<SignMsg>, oneshot::Receiver<RawPartial<Secp256k1>>) {
    let (held, half) = oneshot::channel();
    let pass = |open: Option<(Outgoings<SignMsg>, oneshot::Sender<_>)>, message: Outgoing<SignMsg>| async move {
        let (mut outgoing, held) = open.ok_or(WireError::Closed)?;
        if let SignMsg::Round4(MsgRound4 { partial_sig }) = &message.msg {
            // Nobody waits for it where the session was given up.
            let _gone = held.send(*partial_sig);
            return Ok(None);
        }
        outgoing.send(message).await?;
        Ok(Some((outgoing, held)))
    };
    (Box::pin(sink::unfold(Some((outgoing, held)), pass)), half)
}

impl Prehashed {
    /// This party's contribution. Nothing of the rest is left.
    pub fn issue(self) -> PartialSignature {
        self.partial
    }

    /// Completes the signature with the other party's contribution, and verifies it against the wallet's public key: low-s,
    /// with its recovery id.
    ///
    /// # Errors
    /// [`MpcError::Peer`] naming the other party where its contribution is wrong.
    pub async fn combine(
        self,
        (from, theirs): (PartyIndex, PartialSignature),
    ) -> Result<Signature, MpcError> {
        let Self { protocol, mut feed, peer: (peer, sender), public_key, digest, .. } = self;
        if from != peer {
            return Err(MpcError::Argument { field: "partials", reason: "not from the other participant" });
        }
        let msg = SignMsg::Round4(MsgRound4 { partial_sig: theirs.0 });
        let last = Incoming { id: u64::MAX, sender, msg_type: MessageType::Broadcast, msg };
        let waits_no_more = |_| MpcError::Bug("the protocol does not wait for its last message".to_owned());
        feed.try_send(Ok(last)).map_err(waits_no_more)?;
        // Nothing else is to come: whatever it waits for now is an error, and no waiting.
        drop(feed);
        let signature = protocol.await?;
        let (r, s) = (signature.r.to_be_bytes(), signature.s.to_be_bytes());
        Signature::verified(B256::from_slice(&r), B256::from_slice(&s), digest, public_key)
            .map_err(|error| MpcError::Bug(error.to_string()))
    }
}
