//! Safe primes for auxiliary info: slow to find (10 to 110 s a party), used once.

use cggmp24::PregeneratedPrimes;
use paillier_zk::backend::Integer;
use rand_core::{CryptoRng, RngCore};
use zeroize::Zeroizing;

use crate::dev_primes::DEV_PRIMES;

/// Bytes of one prime: 1536 bits.
const PRIME_BYTES: usize = 192;

/// Stored primes were not readable.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PrimesError {
    /// Not four primes of the security level's size.
    #[error("primes: stored record is malformed")]
    Malformed,
    /// No such built-in set.
    #[error("primes: no built-in set for this party")]
    NoSuchSet,
}

/// Which moduli a node accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moduli {
    /// Only ones nobody else could know the factors of.
    Production,
    /// Also those of the built-in dev primes: worth nothing, for demonstrations and tests.
    Dev,
}

/// Four safe primes, the secret start of a party's auxiliary info. Moved into [`crate::generate_aux`] and gone.
pub struct Primes(pub(crate) PregeneratedPrimes);

impl Primes {
    /// Draws four fresh safe primes of 1536 bits. Takes 10 to 110 seconds of one core.
    pub fn generate(rng: &mut (impl RngCore + CryptoRng)) -> Self {
        Self(PregeneratedPrimes::generate(rng))
    }

    /// The built-in set of `party`. Public, so worth nothing: see [`Moduli::Dev`].
    ///
    /// # Errors
    /// [`PrimesError::NoSuchSet`] where there is none for that index.
    #[cfg(feature = "dev-primes")]
    pub fn dev(party: quorate_types::PartyIndex) -> Result<Self, PrimesError> {
        let set = DEV_PRIMES.get(usize::from(party)).ok_or(PrimesError::NoSuchSet)?;
        let primes = set.map(|hex| Integer::from_str_radix(hex, 16).unwrap_or_else(Integer::zero));
        PregeneratedPrimes::try_from(primes).map(Self).map_err(|_| PrimesError::Malformed)
    }

    /// The primes as bytes, to be sealed at once.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(4 * PRIME_BYTES));
        for prime in self.0.primes_ref() {
            let digits = Zeroizing::new(prime.to_bytes_msf());
            bytes.extend(std::iter::repeat_n(0, PRIME_BYTES.saturating_sub(digits.len())));
            bytes.extend_from_slice(&digits);
        }
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`PrimesError::Malformed`] where the length or a prime's size is wrong.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PrimesError> {
        if bytes.len() != 4 * PRIME_BYTES {
            return Err(PrimesError::Malformed);
        }
        let mut chunks = bytes.chunks_exact(PRIME_BYTES).map(Integer::from_bytes_msf);
        let mut next = || chunks.next().ok_or(PrimesError::Malformed);
        let primes = [next()?, next()?, next()?, next()?];
        PregeneratedPrimes::try_from(primes).map(Self).map_err(|_| PrimesError::Malformed)
    }
}

/// Whether any built-in prime divides `modulus`.
pub(crate) fn is_dev_modulus(modulus: &Integer) -> bool {
    DEV_PRIMES.iter().flatten().any(|hex| {
        Integer::from_str_radix(hex, 16).is_none_or(|prime| modulus.modulo_ref(&prime) == Integer::zero())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_as_bytes() {
        let primes = Primes::dev(0).unwrap();
        let bytes = primes.to_bytes();
        assert_eq!(bytes.len(), 4 * PRIME_BYTES);
        let again = Primes::from_bytes(&bytes).unwrap();
        assert!(again.0.primes_ref() == primes.0.primes_ref());
        assert_eq!(Primes::from_bytes(&bytes[1..]).err(), Some(PrimesError::Malformed));
        assert_eq!(Primes::from_bytes(&[0; 4 * PRIME_BYTES]).err(), Some(PrimesError::Malformed));
    }

    #[test]
    fn every_dev_modulus_is_known_and_others_are_not() {
        for set in &DEV_PRIMES {
            let prime = |i: usize| Integer::from_str_radix(set[i], 16).unwrap();
            assert!(is_dev_modulus(&(prime(0) * prime(1))));
            assert!(is_dev_modulus(&(prime(2) * prime(3))));
            // Mixed with a prime of one's own it is still half public.
            assert!(is_dev_modulus(&(prime(0) * Integer::from(65_537))));
        }
        assert!(!is_dev_modulus(&Integer::from(65_537)));
        assert!(Primes::dev(4).is_err());
    }
}
