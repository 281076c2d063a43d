//! What a sender signs when it sends to all, so that telling each something else can be proved.

use quorate_types::{B256, PartyIndex, Transcript};

use crate::{BadSignature, Eid, NodeKey, NodePublicKey};

/// A party's signed word that, in this session and round, it sent this body to all. There is one per party and round, the
/// same for every recipient: two that [contradict](Self::contradicts) each other convict their signer before anybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broadcast {
    /// The session.
    pub eid: Eid,
    /// The round.
    pub round: u8,
    /// The sender.
    pub from: PartyIndex,
    /// SHA-256 of the body, domain-separated.
    pub body_hash: B256,
    /// The sender's Ed25519 signature over the above.
    pub signature: [u8; 64],
}

impl Broadcast {
    /// Signs. `signature` in `self` is overwritten.
    pub(crate) fn signed(mut self, key: &NodeKey) -> Self {
        self.signature = key.sign(self.transcript());
        self
    }

    /// Checks the signature under the sender's key.
    ///
    /// # Errors
    /// [`BadSignature`]
    pub fn verify(&self, key: &NodePublicKey) -> Result<(), BadSignature> {
        key.verify(self.transcript(), &self.signature)
    }

    /// Whether the two, both verified under one key, show that their signer told two parties different things.
    pub fn contradicts(&self, other: &Self) -> bool {
        let place = |broadcast: &Self| (broadcast.eid, broadcast.from, broadcast.round);
        place(self) == place(other) && self.body_hash != other.body_hash
    }

    fn transcript(&self) -> Transcript {
        Transcript::new("quorate/broadcast/v1")
            .field(self.eid.as_bytes())
            .number(self.round.into())
            .number(self.from.into())
            .field(self.body_hash.as_slice())
    }
}

pub(crate) fn body_hash(body: &[u8]) -> B256 {
    Transcript::new("quorate/broadcast-body/v1").field(body).finish()
}
