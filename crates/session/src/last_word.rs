//! The message that uses what a presigning session made: one, one way, under a key of its own.

use chacha20poly1305::aead::AeadInPlace;
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use quorate_types::PartyIndex;
use zeroize::Zeroizing;

use crate::Eid;
use crate::envelope::{SealError, TAG_BYTES};

/// One end of the message that may follow a presigning session. It is used up by its use, so the key never seals a second
/// message, and a nonce need not be chosen. No Clone, Debug or Serialize: it lives and dies with the presignature.
pub struct LastWord {
    eid: Eid,
    from: PartyIndex,
    to: PartyIndex,
    sending: bool,
    cipher: ChaCha20Poly1305,
}

impl LastWord {
    pub(crate) const fn new(
        eid: Eid,
        (from, to): (PartyIndex, PartyIndex),
        sending: bool,
        cipher: ChaCha20Poly1305,
    ) -> Self {
        Self { eid, from, to, sending, cipher }
    }

    /// Seals the message.
    ///
    /// # Errors
    /// [`SealError::NotAPeer`] at the receiving end: two messages under one key would betray both.
    pub fn seal(self, body: &[u8]) -> Result<Vec<u8>, SealError> {
        if !self.sending {
            return Err(SealError::NotAPeer(self.to));
        }
        // Room for everything at once: growing would leave plaintext behind in freed memory.
        let mut bytes = Vec::with_capacity(body.len().saturating_add(TAG_BYTES));
        bytes.extend_from_slice(body);
        let head = self.head();
        self.cipher.encrypt_in_place(&Nonce::default(), &head, &mut bytes).map_err(|_| SealError::Cipher)?;
        Ok(bytes)
    }

    /// The message, where the other end, and nobody else, sealed it.
    pub fn open(self, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let mut text = Zeroizing::new(sealed.to_vec());
        self.cipher.decrypt_in_place(&Nonce::default(), &self.head(), &mut *text).ok()?;
        Some(text)
    }

    fn head(&self) -> Vec<u8> {
        [self.eid.as_bytes().as_slice(), &self.from.to_be_bytes(), &self.to.to_be_bytes()].concat()
    }
}
