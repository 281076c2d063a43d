//! What is kept for one peer: its keys, and which of its messages have arrived.

use chacha20poly1305::aead::{AeadInPlace, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use hkdf::Hkdf;
use quorate_types::{BootId, PartyIndex};
use sha2::Sha256;
use x25519_dalek::SharedSecret;
use zeroize::Zeroizing;

use crate::envelope::{HEADER_BYTES, Header, MAX_MESSAGES, SealError, TAG_BYTES};
use crate::{Eid, NodePublicKey, PeerLogs};

/// What a key is for. No key is for two things.
#[derive(Clone, Copy)]
pub(crate) enum Use {
    /// The envelopes of the session.
    Envelopes,
    /// The one message that follows a presigning session.
    LastWord,
}

impl Use {
    const fn info(self) -> &'static [u8] {
        match self {
            Use::Envelopes => b"quorate/pair-key/v1",
            Use::LastWord => b"quorate/last-word-key/v1",
        }
    }
}

/// The key for messages `from` one party `to` another: HKDF-SHA256 (RFC 5869) of the X25519 secret, salted with the
/// execution id. Each direction has its own, so a nonce counted up by its only sender is never used twice, and an
/// envelope thrown back at its sender does not open.
pub(crate) fn direction_key(
    shared: &SharedSecret,
    eid: Eid,
    (from, to): (PartyIndex, PartyIndex),
    purpose: Use,
) -> Option<ChaCha20Poly1305> {
    let info = [purpose.info(), &from.to_be_bytes(), &to.to_be_bytes()].concat();
    let mut key = Zeroizing::new([0_u8; 32]);
    Hkdf::<Sha256>::new(Some(eid.as_bytes()), shared.as_bytes()).expand(&info, &mut *key).ok()?;
    ChaCha20Poly1305::new_from_slice(&*key).ok()
}

/// One key for each direction between this node and a peer. The ciphers wipe their keys on drop.
pub(crate) struct Keys {
    pub(crate) sending: ChaCha20Poly1305,
    pub(crate) receiving: ChaCha20Poly1305,
}

impl Keys {
    pub(crate) fn derive(
        shared: &SharedSecret,
        eid: Eid,
        (me, peer): (PartyIndex, PartyIndex),
        purpose: Use,
    ) -> Option<Self> {
        let sending = direction_key(shared, eid, (me, peer), purpose)?;
        let receiving = direction_key(shared, eid, (peer, me), purpose)?;
        Some(Self { sending, receiving })
    }
}

/// The pair keys and counters towards one peer.
pub(crate) struct Line {
    pub(crate) key: NodePublicKey,
    pub(crate) boot: BootId,
    pub(crate) logs: PeerLogs,
    keys: Keys,
    /// Only of a presigning session.
    pub(crate) last_word: Option<Keys>,
    next: u16,
    pub(crate) messages: Seen,
    pub(crate) broadcasts: Seen,
}

impl Line {
    pub(crate) fn new(
        key: NodePublicKey,
        (boot, logs): (BootId, PeerLogs),
        (keys, last_word): (Keys, Option<Keys>),
    ) -> Self {
        let (messages, broadcasts) = (Seen::default(), Seen::default());
        Self { key, boot, logs, keys, last_word, next: 0, messages, broadcasts }
    }

    /// The number of the next message to this peer. It is taken before anything is sealed under it, so an error later
    /// on cannot lead to its second use.
    pub(crate) fn take_number(&mut self) -> Result<u16, SealError> {
        let number = self.next;
        if number >= MAX_MESSAGES {
            return Err(SealError::Exhausted);
        }
        self.next = number.saturating_add(1);
        Ok(number)
    }

    /// The whole envelope: header, then body and trailer sealed under it.
    pub(crate) fn seal(&self, header: &Header, body: &[u8], trailer: &[u8]) -> Result<Vec<u8>, SealError> {
        // Room for everything at once: growing would leave plaintext behind in freed memory.
        let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len() + trailer.len() + TAG_BYTES);
        bytes.extend_from_slice(&header.encode());
        bytes.extend_from_slice(body);
        bytes.extend_from_slice(trailer);
        let (head, text) = bytes.split_at_mut_checked(HEADER_BYTES).ok_or(SealError::Cipher)?;
        let tag = self
            .keys
            .sending
            .encrypt_in_place_detached(&nonce(header.number), head, text)
            .map_err(|_| SealError::Cipher)?;
        bytes.extend_from_slice(&tag);
        Ok(bytes)
    }

    /// The plaintext, where the peer, and nobody else, sealed it under this header.
    pub(crate) fn unseal(&self, number: u16, head: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let mut text = Zeroizing::new(sealed.to_vec());
        self.keys.receiving.decrypt_in_place(&nonce(number), head, &mut *text).ok()?;
        Some(text)
    }
}

fn nonce(number: u16) -> Nonce {
    let mut nonce = Nonce::default();
    for (to, from) in nonce.iter_mut().rev().zip(number.to_le_bytes()) {
        *to = from;
    }
    nonce
}

/// Which numbers have been seen, of messages or of rounds. They may come in any order.
pub(crate) struct Seen([bool; MAX_MESSAGES as usize]);

/// What [`Seen::mark`] found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    New,
    Again,
    /// A number no honest node counts up to.
    Beyond,
}

impl Default for Seen {
    fn default() -> Self {
        Self([false; MAX_MESSAGES as usize])
    }
}

impl Seen {
    pub(crate) fn mark(&mut self, number: u16) -> Mark {
        match self.0.get_mut(usize::from(number)) {
            None => Mark::Beyond,
            Some(true) => Mark::Again,
            Some(seen) => {
                *seen = true;
                Mark::New
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_new_once() {
        let mut seen = Seen::default();
        for number in (0..MAX_MESSAGES).rev() {
            assert_eq!(seen.mark(number), Mark::New);
            assert_eq!(seen.mark(number), Mark::Again);
        }
        assert_eq!(seen.mark(MAX_MESSAGES), Mark::Beyond);
        assert_eq!(seen.mark(u16::MAX), Mark::Beyond);
    }

    #[test]
    fn nonces_differ() {
        let nonces: std::collections::BTreeSet<_> = (0..=u16::MAX).map(nonce).collect();
        assert_eq!(nonces.len(), 1 << 16);
    }
}
