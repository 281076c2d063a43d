//! The signed open, and agreeing on a session from one open per participant.

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_types::{BootId, NodeId, PARTIES, PartyIndex, Transcript};
use rand_core::CryptoRngCore;
use x25519_dalek::{PublicKey as EphemeralKey, SharedSecret, StaticSecret};

use crate::channel::Channel;
use crate::line::{Keys, Line, Use};
use crate::standing::MARK_BYTES;
use crate::{
    BadSignature, Caps, Eid, LogMark, NodeKey, NodePublicKey, OpenError, PeerLogs, Protocol, Standing, Terms,
    TermsError,
};

/// Largest signed open accepted, in bytes. The longest honest one is smaller.
pub const MAX_OPEN_BYTES: usize = 1280;

/// This node's side of a session that is not agreed yet: its signed open, and the secret behind the open's ephemeral key.
/// Used once; the secret is wiped when the channel's keys are made, or on drop.
pub struct Opening {
    terms: Terms,
    me: PartyIndex,
    key: Arc<NodeKey>,
    secret: StaticSecret,
    signed: Vec<u8>,
}

impl Opening {
    /// Draws a nonce and an ephemeral key, and signs `terms` and `standing` with them as party `me`. `rng` is the operating system's
    /// outside tests.
    ///
    /// # Errors
    /// [`TermsError`] where the terms make no sense, or `me` is not in them.
    pub fn new(
        terms: Terms,
        me: PartyIndex,
        standing: &Standing,
        key: Arc<NodeKey>,
        rng: &mut impl CryptoRngCore,
    ) -> Result<Self, TermsError> {
        terms.check(me)?;
        Ok(Self::draw(terms, me, standing, key, rng))
    }

    pub(crate) fn draw(
        terms: Terms,
        me: PartyIndex,
        standing: &Standing,
        key: Arc<NodeKey>,
        rng: &mut impl CryptoRngCore,
    ) -> Self {
        let mut nonce = [0; 32];
        rng.fill_bytes(&mut nonce);
        let secret = StaticSecret::random_from_rng(&mut *rng);
        let ephemeral = EphemeralKey::from(&secret);
        // As many marks as participants, in their order; a participant's own place holds nothing.
        let seen = |index| standing.seen.get(&index).filter(|_| index != me).copied().unwrap_or_default();
        let seen: Vec<_> = terms.participants.iter().map(|party| seen(party.index).encode()).collect();
        // At most three: `terms` were checked.
        let count = u8::try_from(seen.len()).unwrap_or(u8::MAX);
        let parts = [
            &me.to_be_bytes(),
            nonce.as_slice(),
            ephemeral.as_bytes(),
            standing.boot.as_bytes(),
            &standing.log.encode(),
            &[count],
            &seen.concat(),
            &terms.encode(),
        ];
        let signed = sign(&key, &parts.concat());
        Self { terms, me, key, secret, signed }
    }

    /// The signed open, for every other participant.
    pub fn signed_open(&self) -> &[u8] {
        &self.signed
    }

    /// Agrees on the session: `opens` holds exactly one signed open per participant, this node's own among them, in any
    /// order; `keys` looks nodes up in the pinned manifest.
    ///
    /// # Errors
    /// [`OpenError`], which names the field and the party where the opens differ. A new session needs a new opening.
    pub fn agree<B: AsRef<[u8]>>(
        self,
        opens: &[B],
        keys: impl Fn(&NodeId) -> Option<NodePublicKey>,
        caps: Caps,
    ) -> Result<Channel, OpenError> {
        let opens = self.sort(opens)?;
        let mut peers = BTreeMap::new();
        for party in &self.terms.participants {
            let key = keys(&party.node).ok_or(OpenError::NoKey(party.index))?;
            let open = opens.get(&party.index).ok_or(OpenError::Stranger(party.index))?;
            if party.index != self.me {
                let shared = self.check_peer(open, &key)?;
                peers.insert(party.index, (open, key, shared));
            } else if open.bytes != self.signed {
                return Err(OpenError::OwnAltered);
            } else if key != self.key.public() {
                return Err(OpenError::OtherKey);
            }
        }
        self.check_distinct(&opens)?;
        let eid = Eid::derive(&self.terms, opens.values().map(|open| open.bytes));
        let mut lines = BTreeMap::new();
        for (index, (open, key, shared)) in peers {
            let derive =
                |purpose| Keys::derive(&shared, eid, (self.me, index), purpose).ok_or(OpenError::Derivation);
            let presigning = self.terms.protocol == Protocol::Presign;
            let last_word = presigning.then(|| derive(Use::LastWord)).transpose()?;
            let logs = PeerLogs { party: index, own: open.log, of_mine: self.seen_of_me(open) };
            let keys = (derive(Use::Envelopes)?, last_word);
            lines.insert(index, Line::new(key, (open.boot, logs), keys));
        }
        Ok(Channel::new(eid, self.me, self.key, lines, caps))
    }

    /// The opens by party: one for each participant, and no other.
    fn sort<'a, B: AsRef<[u8]>>(&self, opens: &'a [B]) -> Result<BTreeMap<PartyIndex, Open<'a>>, OpenError> {
        let expected = self.terms.participants.len();
        if opens.len() != expected {
            return Err(OpenError::Count { expected, got: opens.len() });
        }
        let mut sorted = BTreeMap::new();
        for bytes in opens.iter().map(AsRef::as_ref) {
            let open = Open::split(bytes).ok_or(OpenError::Size(bytes.len()))?;
            let from = open.from;
            if !self.terms.participants.iter().any(|party| party.index == from) {
                return Err(OpenError::Stranger(from));
            }
            if sorted.insert(from, open).is_some() {
                return Err(OpenError::Repeated(from));
            }
        }
        Ok(sorted)
    }

    /// The mark in this node's place.
    fn seen_of_me(&self, open: &Open<'_>) -> LogMark {
        let place = self.terms.participants.iter().position(|party| party.index == self.me);
        place.and_then(|at| open.seen.get(at).copied()).unwrap_or_default()
    }

    fn check_peer(&self, open: &Open<'_>, key: &NodePublicKey) -> Result<SharedSecret, OpenError> {
        let party = open.from;
        // Before the signature is checked nothing but the claimed index has been read.
        open.verify(key).map_err(|BadSignature| OpenError::Signature(party))?;
        if let Some(field) = self.terms.difference(open.terms) {
            return Err(OpenError::Differs { field, party });
        }
        if open.seen.len() != self.terms.participants.len() {
            return Err(OpenError::Differs { field: "participants", party });
        }
        let shared = self.secret.diffie_hellman(&open.ephemeral);
        if shared.was_contributory() { Ok(shared) } else { Err(OpenError::LowOrder(party)) }
    }

    fn check_distinct(&self, opens: &BTreeMap<PartyIndex, Open<'_>>) -> Result<(), OpenError> {
        for a in opens.values() {
            for b in opens.values().take_while(|b| b.from < a.from) {
                // X25519 keys compare as field elements: a second encoding of a key is the same key.
                let field = match (a.nonce == b.nonce, a.ephemeral == b.ephemeral) {
                    (true, _) => "nonce",
                    (_, true) => "ephemeral key",
                    _ => continue,
                };
                return Err(match self.me {
                    me if me == a.from => OpenError::Copied { field, party: b.from },
                    me if me == b.from => OpenError::Copied { field, party: a.from },
                    _ => OpenError::Alike { field, first: b.from, second: a.from },
                });
            }
        }
        Ok(())
    }
}

/// A signed open taken apart, not yet believed. Everything before the terms has a fixed place.
struct Open<'a> {
    bytes: &'a [u8],
    signature: &'a [u8; 64],
    body: &'a [u8],
    from: PartyIndex,
    nonce: &'a [u8; 32],
    ephemeral: EphemeralKey,
    boot: BootId,
    log: LogMark,
    seen: Vec<LogMark>,
    terms: &'a [u8],
}

impl<'a> Open<'a> {
    fn split(bytes: &'a [u8]) -> Option<Self> {
        if bytes.len() > MAX_OPEN_BYTES {
            return None;
        }
        let (signature, body) = bytes.split_first_chunk()?;
        let (from, rest) = body.split_first_chunk()?;
        let (nonce, rest) = rest.split_first_chunk()?;
        let (ephemeral, rest) = rest.split_first_chunk::<32>()?;
        let (boot, rest) = rest.split_first_chunk()?;
        let (log, rest) = rest.split_first_chunk::<MARK_BYTES>()?;
        let (count, mut rest) = rest.split_first()?;
        if u16::from(*count) > PARTIES {
            return None;
        }
        let mut seen = Vec::new();
        for _ in 0..*count {
            let (mark, after) = rest.split_first_chunk::<MARK_BYTES>()?;
            seen.push(LogMark::decode(mark)?);
            rest = after;
        }
        Some(Self {
            bytes,
            signature,
            body,
            from: PartyIndex::from_be_bytes(*from),
            nonce,
            ephemeral: EphemeralKey::from(*ephemeral),
            boot: BootId::from_bytes(*boot),
            log: LogMark::decode(log)?,
            seen,
            terms: rest,
        })
    }

    fn verify(&self, key: &NodePublicKey) -> Result<(), BadSignature> {
        key.verify(transcript(self.body), self.signature)
    }
}

fn transcript(body: &[u8]) -> Transcript {
    Transcript::new("quorate/open/v2").field(body)
}

pub(crate) fn sign(key: &NodeKey, body: &[u8]) -> Vec<u8> {
    [key.sign(transcript(body)).as_slice(), body].concat()
}
