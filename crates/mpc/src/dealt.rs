//! Presignatures without a protocol, to measure what comes after it. **Their nonces are public**: whoever knows the execution
//! id and one signature knows the wallet's key. Only in builds with the built-in primes, whose clusters hold nothing of worth.

use cggmp24::signing::{PresignatureCommitment, PresignaturePublicData};
use cggmp24::supported_curves::Secp256k1;
use generic_ec::{NonZero, Point, Scalar, SecretScalar};
use quorate_types::{PartyIndex, Transcript};

use crate::error::MpcError;
use crate::presign::{Presignature, ready};
use crate::share::SigningShare;
use crate::wire::Party;

/// This party's half of the presignature that follows from `party.eid`. The other party makes the other half from its own
/// share by itself, and nothing needs to be sent.
///
/// # Errors
/// [`MpcError`] where the share or the list of participants does not fit.
pub fn deal_presignature(party: &Party<'_>, share: &SigningShare) -> Result<Presignature, MpcError> {
    let (me, _) = ready(party, share)?;
    let nonces = Nonces::of(party)?;
    let secret = |scalar: &mut Scalar<Secp256k1>| SecretScalar::new(scalar);
    let (mut own, mut masked) = (nonces.part(me), Scalar::zero());
    let mut commitments = Vec::new();
    for (position, index) in (0..).zip(party.participants) {
        let weight = weight(*index, party.participants)?;
        let public = share.key.core.public_shares.get(usize::from(*index)).ok_or_else(unfit)?;
        // The nonce times the key, in the parts that the shares of the key are.
        commitments.push(PresignatureCommitment {
            tilde_Delta: nonces.point * nonces.part(position),
            tilde_S: public * weight,
        });
        if position == me {
            let key: &Scalar<Secp256k1> = share.key.core.x.as_ref();
            masked = nonces.whole * weight * key;
        }
    }
    let drawn = cggmp24::Presignature {
        Gamma: nonces.point,
        tilde_k: secret(&mut own),
        tilde_chi: secret(&mut masked),
    };
    let public = PresignaturePublicData { Gamma: nonces.point, commitments };
    Ok(Presignature::from_parts(drawn, public, (party.participants, share)))
}

/// The nonce and its two parts.
struct Nonces {
    whole: NonZero<Scalar<Secp256k1>>,
    first: Scalar<Secp256k1>,
    /// The inverse of the whole, times the generator.
    point: NonZero<Point<Secp256k1>>,
}

impl Nonces {
    fn of(party: &Party<'_>) -> Result<Self, MpcError> {
        let whole = NonZero::from_scalar(scalar(party, b"whole")).ok_or_else(unfit)?;
        Ok(Self { whole, first: scalar(party, b"first"), point: Point::generator() * whole.invert() })
    }

    fn part(&self, position: u16) -> Scalar<Secp256k1> {
        if position == 0 { self.first } else { self.whole.as_ref() - self.first }
    }
}

fn scalar(party: &Party<'_>, what: &[u8]) -> Scalar<Secp256k1> {
    let digest = Transcript::new("quorate/dealt-presignature/v1").field(party.eid).field(what).finish();
    Scalar::from_be_bytes_mod_order(digest.as_slice())
}

/// What this party's share counts in the key, with just these participants.
fn weight(me: PartyIndex, participants: &[PartyIndex]) -> Result<Scalar<Secp256k1>, MpcError> {
    let at = |index: PartyIndex| Scalar::from(index.saturating_add(1));
    let mut weight = Scalar::one();
    for other in participants.iter().filter(|other| **other != me) {
        let apart = (at(*other) - at(me)).invert().ok_or_else(unfit)?;
        weight = weight * at(*other) * apart;
    }
    Ok(weight)
}

fn unfit() -> MpcError {
    MpcError::Argument { field: "share", reason: "does not fit the participants" }
}
