//! Key shares. They leave memory only as bytes that the caller seals at once.

use cggmp24::key_share::{DirtyIncompleteKeyShare, DirtyKeyInfo, Validate, VssSetup};
use cggmp24::supported_curves::Secp256k1;
use cggmp24::{IncompleteKeyShare, KeyShare};
use generic_ec::{NonZero, Point, Scalar, SecretScalar};
use quorate_types::{PARTIES, PartyIndex, PublicKey, THRESHOLD};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::aux_info::GroupAux;

/// Why a share was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ShareError {
    /// The stored bytes are not a record of this version.
    #[error("share: stored record is malformed")]
    Malformed,
    /// The share does not match its public key or its group.
    #[error("share: {0}")]
    Invalid(&'static str),
}

/// One party's share of one wallet's key.
pub struct CoreShare(IncompleteKeyShare<Secp256k1>);

/// The stored form. The evaluation points are always 1, 2, 3 and the threshold 2, so they are not stored.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct Record {
    version: u8,
    me: PartyIndex,
    public_key: Vec<u8>,
    public_shares: Vec<Vec<u8>>,
    secret: [u8; 32],
}

impl CoreShare {
    pub(crate) fn new(share: IncompleteKeyShare<Secp256k1>) -> Result<Self, ShareError> {
        let setup = share.vss_setup.as_ref().ok_or(ShareError::Invalid("not a threshold share"))?;
        if setup.min_signers != THRESHOLD || setup.I != evaluation_points()? {
            return Err(ShareError::Invalid("unexpected threshold or evaluation points"));
        }
        if share.public_shares.len() != usize::from(PARTIES) {
            return Err(ShareError::Invalid("wrong number of parties"));
        }
        Ok(Self(share))
    }

    /// Whose share it is.
    pub fn party(&self) -> PartyIndex {
        self.0.i
    }

    /// The wallet's public key.
    ///
    /// # Errors
    /// [`ShareError::Invalid`] where the point has no address; it cannot happen to a valid share.
    pub fn public_key(&self) -> Result<PublicKey, ShareError> {
        let point = self.0.shared_public_key.to_bytes(true);
        PublicKey::from_sec1(&point).map_err(|_| ShareError::Invalid("public key is not a point"))
    }

    /// Each party's public share, compressed, by index.
    pub fn public_shares(&self) -> Vec<Vec<u8>> {
        self.0.public_shares.iter().map(|point| point.to_bytes(true).to_vec()).collect()
    }

    /// The record to seal. It holds the secret share.
    ///
    /// # Errors
    /// [`ShareError::Malformed`] where it cannot be encoded.
    pub fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, ShareError> {
        let mut secret = [0; 32];
        let scalar: &Scalar<Secp256k1> = self.0.x.as_ref();
        let digits = Zeroizing::new(scalar.to_be_bytes().to_vec());
        secret.copy_from_slice(digits.get(..32).ok_or(ShareError::Malformed)?);
        let record = Record {
            version: 1,
            me: self.0.i,
            public_key: self.0.shared_public_key.to_bytes(true).to_vec(),
            public_shares: self.public_shares(),
            secret,
        };
        secret.zeroize();
        postcard::to_allocvec(&record).map(Zeroizing::new).map_err(|_| ShareError::Malformed)
    }

    /// Reads what [`Self::to_bytes`] wrote, and checks the share against its public share and the public key.
    ///
    /// # Errors
    /// [`ShareError`] where it is malformed or inconsistent.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ShareError> {
        let (record, rest) = postcard::take_from_bytes::<Record>(bytes).map_err(|_| ShareError::Malformed)?;
        if record.version != 1 || !rest.is_empty() {
            return Err(ShareError::Malformed);
        }
        let mut scalar =
            Scalar::<Secp256k1>::from_be_bytes(record.secret).map_err(|_| ShareError::Malformed)?;
        let secret = SecretScalar::new(&mut scalar);
        let share = DirtyIncompleteKeyShare {
            i: record.me,
            key_info: DirtyKeyInfo {
                curve: Default::default(),
                shared_public_key: point(&record.public_key)?,
                public_shares: record.public_shares.iter().map(|p| point(p)).collect::<Result<_, _>>()?,
                vss_setup: Some(VssSetup { min_signers: THRESHOLD, I: evaluation_points()? }),
            },
            x: NonZero::from_secret_scalar(secret).ok_or(ShareError::Malformed)?,
        };
        let share = share.validate().map_err(|_| ShareError::Invalid("does not match its public key"))?;
        Self::new(share)
    }

    /// The wallet's whole secret key, from shares of two parties: what every other line of this house is there to avoid.
    ///
    /// # Errors
    /// [`ShareError::Invalid`] where they are not of one key, or what comes out is not its secret.
    #[cfg(feature = "spof")]
    pub fn reconstruct(shares: &[Self; 2]) -> Result<Zeroizing<[u8; 32]>, ShareError> {
        let [one, two] = shares;
        let secret = key_share::reconstruct_secret_key(&[&one.0, &two.0])
            .map_err(|_| ShareError::Invalid("not of one key"))?;
        let scalar: &Scalar<Secp256k1> = secret.as_ref();
        if generic_ec::Point::generator() * scalar != *one.0.shared_public_key {
            return Err(ShareError::Invalid("do not make the wallet's key"));
        }
        let digits = Zeroizing::new(scalar.to_be_bytes().to_vec());
        let mut bytes = Zeroizing::new([0; 32]);
        bytes.copy_from_slice(digits.get(..32).ok_or(ShareError::Malformed)?);
        Ok(bytes)
    }

    /// Joins the share with its group's auxiliary info. The tables are shared, not copied.
    ///
    /// # Errors
    /// [`ShareError::Invalid`] where they belong to different parties.
    pub fn with_aux(self, aux: &GroupAux) -> Result<SigningShare, ShareError> {
        if self.0.i != aux.party() {
            return Err(ShareError::Invalid("share and aux info belong to different parties"));
        }
        let public_key = self.public_key()?;
        let key = KeyShare::from_parts((self.0, aux.info.clone()))
            .map_err(|_| ShareError::Invalid("share and aux info do not fit"))?;
        Ok(SigningShare { key, public_key })
    }
}

/// A share together with its group's auxiliary info: all a party needs to sign.
pub struct SigningShare {
    pub(crate) key: KeyShare<Secp256k1>,
    pub(crate) public_key: PublicKey,
}

impl SigningShare {
    /// The wallet's public key.
    pub const fn public_key(&self) -> PublicKey {
        self.public_key
    }

    /// Whose share it is.
    pub fn party(&self) -> PartyIndex {
        self.key.core.i
    }
}

fn evaluation_points() -> Result<Vec<NonZero<Scalar<Secp256k1>>>, ShareError> {
    (1..=PARTIES)
        .map(|i| NonZero::from_scalar(Scalar::from(i)))
        .collect::<Option<_>>()
        .ok_or(ShareError::Invalid("evaluation point is zero"))
}

fn point(bytes: &[u8]) -> Result<NonZero<Point<Secp256k1>>, ShareError> {
    let point = Point::from_bytes(bytes).map_err(|_| ShareError::Malformed)?;
    NonZero::from_point(point).ok_or(ShareError::Malformed)
}
