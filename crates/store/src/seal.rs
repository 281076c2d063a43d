//! Sealing bytes with XChaCha20-Poly1305. The 192-bit nonce is drawn at random, so no counter has to survive a crash.
//!
//! A sealed value is `version (1) || nonce (24) || ciphertext and tag`.

use chacha20poly1305::aead::AeadInPlace;
use chacha20poly1305::{KeyInit, Tag, XChaCha20Poly1305, XNonce};
use rand_core::{OsRng, RngCore};
use zeroize::Zeroizing;

use crate::Value;
use crate::kdf::Key;

const VERSION: u8 = 1;
const NONCE: usize = 24;
const TAG: usize = 16;
/// Bytes a sealed value has more than its plaintext.
#[cfg(test)]
const OVERHEAD: usize = 1 + NONCE + TAG;

/// Seals and opens under one key. Wiped when dropped (by the cipher's own drop).
pub(crate) struct Sealer(Box<XChaCha20Poly1305>);

/// The cipher refused: too much data to seal, or data that does not open.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused;

impl Sealer {
    pub(crate) fn new(key: &Key) -> Self {
        Self(Box::new(XChaCha20Poly1305::new(key.as_slice().into())))
    }

    /// Seals a value; only the caller's plaintext is left behind.
    pub(crate) fn seal(&self, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, Refused> {
        let mut nonce = [0; NONCE];
        OsRng.fill_bytes(&mut nonce);
        let mut body = Zeroizing::new(plain.to_vec());
        let tag =
            self.0.encrypt_in_place_detached(&XNonce::from(nonce), aad, &mut body).map_err(|_| Refused)?;
        Ok([&[VERSION], &nonce[..], &body, &tag].concat())
    }

    pub(crate) fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Value, Refused> {
        let (version, rest) = sealed.split_first().ok_or(Refused)?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE>().ok_or(Refused)?;
        let (body, tag) = rest.split_last_chunk::<TAG>().ok_or(Refused)?;
        if *version != VERSION {
            return Err(Refused);
        }
        let mut plain = Zeroizing::new(body.to_vec());
        self.0
            .decrypt_in_place_detached(&XNonce::from(*nonce), aad, &mut plain, &Tag::from(*tag))
            .map_err(|_| Refused)?;
        Ok(plain)
    }
}

/// Associated data: a domain and fields, each after its length, so that no two lists of fields look alike.
pub(crate) fn associated(domain: &str, fields: &[&[u8]]) -> Vec<u8> {
    let mut out =
        Vec::with_capacity(fields.iter().map(|field| 8 + field.len()).sum::<usize>() + 8 + domain.len());
    for field in std::iter::once(&domain.as_bytes()).chain(fields) {
        out.extend_from_slice(&(field.len() as u64).to_be_bytes());
        out.extend_from_slice(field);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(byte: u8) -> Sealer {
        Sealer::new(&Box::new(Zeroizing::new([byte; 32])))
    }

    #[test]
    fn opens_what_it_sealed_and_hides_it() {
        for plain in [&b""[..], b"x", &[9; 5000]] {
            let sealed = sealer(1).seal(b"aad", plain).unwrap();
            assert_eq!(sealed.len(), plain.len() + OVERHEAD);
            assert_eq!(sealer(1).open(b"aad", &sealed).unwrap().as_slice(), plain);
            assert_ne!(sealer(1).seal(b"aad", plain).unwrap(), sealed, "each sealing draws its nonce");
        }
    }

    #[test]
    fn every_flipped_bit_every_length_another_key_and_another_aad_are_refused() {
        let sealed = sealer(1).seal(b"aad", b"ten dollars").unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut bad = sealed.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(sealer(1).open(b"aad", &bad).unwrap_err(), Refused, "bit {bit}");
        }
        for len in 0..sealed.len() {
            assert_eq!(sealer(1).open(b"aad", &sealed[..len]).unwrap_err(), Refused, "length {len}");
        }
        assert_eq!(sealer(2).open(b"aad", &sealed).unwrap_err(), Refused);
        assert_eq!(sealer(1).open(b"aaD", &sealed).unwrap_err(), Refused);
    }

    #[test]
    fn fields_cannot_run_into_each_other() {
        assert_ne!(associated("d", &[b"ab", b"c"]), associated("d", &[b"a", b"bc"]));
        assert_ne!(associated("d", &[b"", b"a"]), associated("d", &[b"a", b""]));
        assert_ne!(associated("da", &[b"b"]), associated("d", &[b"ab"]));
        assert_ne!(associated("d", &[]), associated("d", &[b""]));
    }
}
