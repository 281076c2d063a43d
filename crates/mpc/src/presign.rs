//! Presigning and the one message that turns a presignature into a signature.
//!
//! The interactive protocol is presigning followed at once by this message: the last contribution is always a separate
//! step that a guard stands in front of. It is so with raw digests too, which take a way of their own
//! ([`Prehashed`](crate::Prehashed)).

use cggmp24::signing::PresignaturePublicData;
use cggmp24::supported_curves::Secp256k1;
use cggmp24::{DataToSign, ExecutionId};
use generic_ec::coords::{AlwaysHasAffineX, HasAffineXAndParity};
use generic_ec::{NonZero, Scalar};
use quorate_intent::SigningDigest;
use quorate_types::{B256, PartyIndex, PublicKey, Signature};
use rand_core::OsRng;
use sha3::Keccak256;

use crate::blame;
use crate::error::MpcError;
use crate::protocol::{ProtocolKind, SignMsg};
use crate::range_proofs::RangeProofs;
use crate::share::SigningShare;
use crate::wire::{Party, Wire, connect};

/// One party's half of a presignature. Not `Clone`, `Debug` or `Serialize`: signing two digests with it reveals the
/// key, so it lives in memory only and is consumed by its one use.
pub struct Presignature {
    secret: cggmp24::Presignature<Secp256k1>,
    public: PresignaturePublicData<Secp256k1>,
    participants: Vec<PartyIndex>,
    public_key: PublicKey,
}

/// One party's contribution to one signature. Public once sent; whoever holds both has the signature.
pub struct PartialSignature(pub(crate) cggmp24::PartialSignature<Secp256k1>);

impl PartialSignature {
    /// Bytes of the encoding: one scalar.
    pub const LEN: usize = 32;

    /// The scalar, big-endian.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.sigma.to_be_bytes().to_vec()
    }

    /// Reads a peer's contribution.
    ///
    /// # Errors
    /// [`MpcError::Peer`] blaming `from` where it is not a canonical scalar.
    pub fn from_bytes(bytes: &[u8], from: PartyIndex) -> Result<Self, MpcError> {
        let malformed =
            || MpcError::Peer { party: Some(from), reason: "partial signature: malformed".to_owned() };
        if bytes.len() != Self::LEN {
            return Err(malformed());
        }
        let sigma = Scalar::from_be_bytes(bytes).map_err(|_| malformed())?;
        Ok(Self(cggmp24::PartialSignature { sigma }))
    }
}

/// Runs presigning with one other party: about 0.5 CPU-seconds a party with tables.
///
/// # Errors
/// [`MpcError`], blaming a party whose proofs fail.
pub async fn generate_presignature(
    party: Party<'_>,
    share: &SigningShare,
    wire: Wire,
) -> Result<Presignature, MpcError> {
    let (me, mut proofs) = ready(&party, share)?;
    let check = move |sender, message: &SignMsg| proofs.check(sender, message);
    let network = connect::<SignMsg>(wire, ProtocolKind::Sign, party.participants, check);
    let (secret, public) = cggmp24::signing(ExecutionId::new(party.eid), me, party.participants, &share.key)
        .enforce_reliable_broadcast(true)
        .generate_presignature(&mut OsRng, network)
        .await
        .map_err(|error| blame::classify(&error, party.participants, party.me))?;
    if public.commitments.len() != party.participants.len() {
        return Err(MpcError::Bug("presignature has the wrong number of commitments".to_owned()));
    }
    Ok(Presignature::from_parts(secret, public, (party.participants, share)))
}

/// This party's position in the session, and what checks its peers' range proofs.
pub(crate) fn ready(party: &Party<'_>, share: &SigningShare) -> Result<(u16, RangeProofs), MpcError> {
    let me = party.position(ProtocolKind::Sign)?;
    if share.party() != party.me {
        return Err(MpcError::Argument { field: "share", reason: "belongs to another party" });
    }
    let unfit = MpcError::Argument { field: "share", reason: "has no auxiliary info for a participant" };
    Ok((me, RangeProofs::of(party, share).ok_or(unfit)?))
}

impl Presignature {
    pub(crate) fn from_parts(
        secret: cggmp24::Presignature<Secp256k1>,
        public: PresignaturePublicData<Secp256k1>,
        (participants, share): (&[PartyIndex], &SigningShare),
    ) -> Self {
        Self { secret, public, participants: participants.to_vec(), public_key: share.public_key }
    }

    /// Makes this party's contribution to a signature over `digest`, consuming the presignature. What remains can
    /// check a peer's contribution and combine, and nothing else.
    pub fn issue(self, digest: &SigningDigest) -> (PartialSignature, Combiner) {
        let data = data_to_sign(digest);
        let partial = PartialSignature(self.secret.issue_partial_signature(data));
        let Self { public, participants, public_key, .. } = self;
        (partial, Combiner { public, participants, public_key, data, digest: digest.digest() })
    }

    /// Checks a peer's contribution before this party makes its own: a guard may refuse without having spent the
    /// presignature.
    ///
    /// # Errors
    /// [`MpcError::Peer`] naming the party whose contribution does not match its commitments.
    pub fn check(
        &self,
        from: PartyIndex,
        partial: &PartialSignature,
        digest: &SigningDigest,
    ) -> Result<(), MpcError> {
        check_partial(&self.public, &self.participants, from, partial, data_to_sign(digest))
    }
}

#[cfg(feature = "fixtures")]
impl Presignature {
    /// The same once more. Only in a world of its own: two digests under one presignature give the key away.
    pub(crate) fn twin(&self) -> Self {
        Self {
            secret: self.secret.clone(),
            public: self.public.clone(),
            participants: self.participants.clone(),
            public_key: self.public_key,
        }
    }
}

/// What is left of a presignature after its use: public data to check and combine contributions to one digest.
pub struct Combiner {
    public: PresignaturePublicData<Secp256k1>,
    participants: Vec<PartyIndex>,
    public_key: PublicKey,
    data: DataToSign<Secp256k1>,
    digest: B256,
}

impl Combiner {
    /// Combines the contributions of all participants, in ascending order of party, and verifies the result against
    /// the wallet's public key: low-s, with its recovery id. Where it verifies, every contribution was right; each is looked
    /// at by itself where it does not ([CGGMP24] figure 10: output, or else the identification of who is at fault).
    ///
    /// # Errors
    /// [`MpcError::Peer`] naming the first party whose contribution is wrong.
    pub fn combine(&self, partials: &[(PartyIndex, PartialSignature)]) -> Result<Signature, MpcError> {
        if !partials.iter().map(|(party, _)| party).eq(&self.participants) {
            return Err(MpcError::Argument {
                field: "partials",
                reason: "must be one per participant, in order",
            });
        }
        let sum = self.sum(partials);
        let verified = sum.and_then(|sum| Signature::from_bytes(&sum, self.digest, self.public_key).ok());
        verified.ok_or_else(|| self.wrong(partials))
    }

    /// The signature as 65 bytes, if they are all right.
    fn sum(&self, partials: &[(PartyIndex, PartialSignature)]) -> Option<[u8; 65]> {
        let (x, parity) = self.public.Gamma.x_and_parity()?;
        let r = NonZero::from_scalar(x.to_scalar())?;
        let s: Scalar<_> = partials.iter().map(|(_, partial)| partial.0.sigma).sum();
        let s = NonZero::from_scalar(s)?;
        let sum = cggmp24::Signature::<Secp256k1>::from_raw_parts(r, s).normalize_s();
        let odd = parity.is_odd() ^ (sum.s != s);
        let mut bytes = [27 + u8::from(odd); 65];
        sum.write_to_slice(bytes.get_mut(..64)?);
        Some(bytes)
    }

    fn wrong(&self, partials: &[(PartyIndex, PartialSignature)]) -> MpcError {
        let check = |(party, partial)| {
            check_partial(&self.public, &self.participants, party, partial, self.data).err()
        };
        let wrong = partials.iter().map(|(party, partial)| (*party, partial)).find_map(check);
        wrong.unwrap_or_else(|| MpcError::Bug("valid partial signatures do not combine".to_owned()))
    }
}

fn data_to_sign(digest: &SigningDigest) -> DataToSign<Secp256k1> {
    DataToSign::digest::<Keccak256>(digest.preimage())
}

/// sigma_j * Gamma = m * Delta_j + r * S_j ([CGGMP24] figure 10, with the library's presignature commitments).
fn check_partial(
    public: &PresignaturePublicData<Secp256k1>,
    participants: &[PartyIndex],
    from: PartyIndex,
    partial: &PartialSignature,
    data: DataToSign<Secp256k1>,
) -> Result<(), MpcError> {
    let position = participants.iter().position(|index| *index == from);
    let commitment = position
        .and_then(|position| public.commitments.get(position))
        .ok_or(MpcError::Argument { field: "partials", reason: "not from a participant" })?;
    let r = public.Gamma.x().to_scalar();
    let expected = data.to_scalar() * commitment.tilde_Delta + r * commitment.tilde_S;
    if partial.0.sigma * public.Gamma == expected {
        Ok(())
    } else {
        let reason = "partial signature does not match its commitment".to_owned();
        Err(MpcError::Peer { party: Some(from), reason })
    }
}
