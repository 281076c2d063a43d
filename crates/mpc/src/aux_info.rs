//! Auxiliary info: Paillier and ring-Pedersen parameters, made once for a group and shared by all its wallets.

use std::sync::Arc;

use cggmp24::ExecutionId;
use cggmp24::key_share::{AuxInfo, DirtyAuxInfo, PedersenParams, Validate};
use paillier_zk::backend::Integer;
use quorate_types::{B256, PARTIES, PartyIndex, Transcript};
use rand_core::OsRng;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::blame;
use crate::error::MpcError;
use crate::primes::{Moduli, Primes, is_dev_modulus};
use crate::protocol::{AuxMsg, ProtocolKind};
use crate::tables;
use crate::wire::{Party, Progress, Stages, Wire, connect};

/// Bits of an honest modulus: two 1536-bit primes give 3071 or 3072.
const MODULUS_BITS: std::ops::RangeInclusive<u64> = 3071..=3072;

/// Why auxiliary info was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum AuxError {
    /// The stored bytes are not a record of this version.
    #[error("aux info: stored record is malformed")]
    Malformed,
    /// A number is outside its range, or two parties share a modulus.
    #[error("aux info: {0}")]
    Invalid(&'static str),
    /// A modulus is made from the built-in dev primes, on a node that is not in dev mode.
    #[error("aux info: party {0} uses a built-in dev modulus, which only a dev cluster may")]
    DevModulus(PartyIndex),
}

/// One party's auxiliary info for a group: its own secret primes and everyone's public parameters.
pub struct GroupAux {
    pub(crate) info: AuxInfo,
    me: PartyIndex,
}

/// The stored form: numbers as big-endian bytes, without tables, which are rebuilt.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct Record {
    version: u8,
    me: PartyIndex,
    p: Vec<u8>,
    q: Vec<u8>,
    parties: Vec<PublicRecord>,
}

#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct PublicRecord {
    paillier: Vec<u8>,
    pedersen: Vec<u8>,
    s: Vec<u8>,
    t: Vec<u8>,
}

/// Runs auxiliary info generation with the two other parties: about 11 CPU-seconds.
///
/// # Errors
/// [`MpcError`], blaming a party whose proofs fail or whose parameters are unusable.
pub async fn generate_aux(
    party: Party<'_>,
    primes: Primes,
    moduli: Moduli,
    wire: Wire,
    progress: Option<&mut dyn Progress>,
) -> Result<GroupAux, MpcError> {
    let me = party.position(ProtocolKind::Aux)?;
    let network = connect::<AuxMsg>(wire, ProtocolKind::Aux, party.participants, |_, _| Ok(()));
    let mut stages = Stages(progress);
    let info = cggmp24::aux_info_gen(ExecutionId::new(party.eid), me, PARTIES, primes.0)
        .set_progress_tracer(&mut stages)
        .start(&mut OsRng, network)
        .await
        .map_err(|error| blame::classify(&error, party.participants, party.me))?;
    let aux = GroupAux { info, me: party.me };
    aux.check(moduli).map_err(|error| MpcError::Peer { party: None, reason: error.to_string() })?;
    Ok(aux)
}

impl GroupAux {
    /// Whose secret primes these are.
    pub const fn party(&self) -> PartyIndex {
        self.me
    }

    /// Names the group's public parameters: equal on all honest parties.
    pub fn hash(&self) -> B256 {
        let start = Transcript::new("quorate/aux/v1").number(self.info.N.len() as u64);
        let keys = self.info.N.iter().fold(start, |hash, n| hash.field(&n.to_bytes_msf()));
        self.info
            .pedersen_params
            .iter()
            .fold(keys, |hash, params| {
                hash.field(&params.hat_N.to_bytes_msf())
                    .field(&params.s.to_bytes_msf())
                    .field(&params.t.to_bytes_msf())
            })
            .finish()
    }

    /// Builds the multi-exponentiation tables (0.9 MB, once per group), which halve the cost of signing.
    ///
    /// # Errors
    /// [`AuxError::Invalid`] where a generator is not invertible.
    pub fn with_tables(self) -> Result<Self, AuxError> {
        let mut dirty = self.info.into_inner();
        for params in &mut dirty.pedersen_params {
            let table = tables::build(params).ok_or(AuxError::Invalid("tables cannot be built"))?;
            params.multiexp = Some(Arc::new(table));
        }
        let info = dirty.validate().map_err(|_| AuxError::Invalid("tables do not fit"))?;
        Ok(Self { info, me: self.me })
    }

    /// The record to seal. It holds the party's secret primes.
    ///
    /// # Errors
    /// [`AuxError::Malformed`] where it cannot be encoded.
    pub fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, AuxError> {
        let parties = self.info.N.iter().zip(&self.info.pedersen_params).map(|(n, params)| PublicRecord {
            paillier: n.to_bytes_msf(),
            pedersen: params.hat_N.to_bytes_msf(),
            s: params.s.to_bytes_msf(),
            t: params.t.to_bytes_msf(),
        });
        let record = Record {
            version: 1,
            me: self.me,
            p: self.info.p.to_bytes_msf(),
            q: self.info.q.to_bytes_msf(),
            parties: parties.collect(),
        };
        postcard::to_allocvec(&record).map(Zeroizing::new).map_err(|_| AuxError::Malformed)
    }

    /// Reads and checks what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`AuxError`] where it is malformed, inconsistent, or not allowed by `moduli`.
    pub fn from_bytes(bytes: &[u8], moduli: Moduli) -> Result<Self, AuxError> {
        let (record, rest) = postcard::take_from_bytes::<Record>(bytes).map_err(|_| AuxError::Malformed)?;
        if record.version != 1 || !rest.is_empty() {
            return Err(AuxError::Malformed);
        }
        let dirty = DirtyAuxInfo {
            p: Integer::from_bytes_msf(&record.p),
            q: Integer::from_bytes_msf(&record.q),
            N: record.parties.iter().map(|party| Integer::from_bytes_msf(&party.paillier)).collect(),
            pedersen_params: record.parties.iter().map(PublicRecord::pedersen).collect(),
            security_level: std::marker::PhantomData,
        };
        let info = dirty.validate().map_err(|_| AuxError::Invalid("a number is outside its range"))?;
        let aux = Self { info, me: record.me };
        aux.check(moduli)?;
        Ok(aux)
    }

    /// What the library does not check: sizes have an upper bound, moduli are distinct and odd, generators are below
    /// their modulus and not trivial, my primes are my modulus, and no modulus is publicly factored.
    fn check(&self, moduli: Moduli) -> Result<(), AuxError> {
        let parties = usize::from(PARTIES);
        if self.info.N.len() != parties || self.info.pedersen_params.len() != parties {
            return Err(AuxError::Invalid("wrong number of parties"));
        }
        let mine = self.info.N.get(usize::from(self.me)).ok_or(AuxError::Invalid("no such party"))?;
        if *mine != &self.info.p * &self.info.q {
            return Err(AuxError::Invalid("own primes do not match own modulus"));
        }
        let mut seen = Vec::with_capacity(2 * parties);
        for (party, (n, params)) in (0..).zip(self.info.N.iter().zip(&self.info.pedersen_params)) {
            for modulus in [n, &params.hat_N] {
                check_modulus(modulus, &seen)?;
                if moduli == Moduli::Production && is_dev_modulus(modulus) {
                    return Err(AuxError::DevModulus(party));
                }
                seen.push(modulus);
            }
            if [&params.s, &params.t].iter().any(|g| **g <= Integer::one() || **g >= params.hat_N) {
                return Err(AuxError::Invalid("a ring-Pedersen generator is outside its group"));
            }
        }
        Ok(())
    }
}

fn check_modulus(modulus: &Integer, seen: &[&Integer]) -> Result<(), AuxError> {
    // The bits are the magnitude's: a negative number has as many.
    if modulus.cmp0().is_le() || !MODULUS_BITS.contains(&modulus.significant_bits()) || modulus.is_even() {
        return Err(AuxError::Invalid("a modulus has the wrong size"));
    }
    if seen.iter().any(|other| !modulus.gcd_ref(other).is_one()) {
        return Err(AuxError::Invalid("two moduli share a factor"));
    }
    Ok(())
}

impl PublicRecord {
    fn pedersen(&self) -> PedersenParams {
        PedersenParams {
            hat_N: Integer::from_bytes_msf(&self.pedersen),
            s: Integer::from_bytes_msf(&self.s),
            t: Integer::from_bytes_msf(&self.t),
            multiexp: None,
            crt: None,
        }
    }
}
