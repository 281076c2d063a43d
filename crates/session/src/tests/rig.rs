//! Three nodes with fixed keys, and randomness that is fixed too.

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_types::{B256, BootId, NodeId, PartyIndex, Transcript};
use rand_core::{CryptoRng, RngCore, impls};
use zeroize::Zeroizing;

use crate::{
    Caps, Channel, Message, NodeKey, NodePublicKey, OpenError, Opened, Opening, PROTOCOL_VERSION,
    Participant, Protocol, Recipient, Terms,
};

/// SHA-256 in counter mode: the same draws from the same seed, for ever.
pub(crate) struct Draws {
    seed: u64,
    count: u64,
}

impl Draws {
    pub(crate) fn from_seed(seed: u64) -> Self {
        Self { seed, count: 0 }
    }
}

impl RngCore for Draws {
    fn next_u32(&mut self) -> u32 {
        self.next_u64() as u32
    }

    fn next_u64(&mut self) -> u64 {
        self.count += 1;
        let hash = Transcript::new("test/draws").number(self.seed).number(self.count).finish();
        u64::from_be_bytes(hash[..8].try_into().unwrap())
    }

    fn fill_bytes(&mut self, dest: &mut [u8]) {
        impls::fill_bytes_via_next(self, dest);
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(dest);
        Ok(())
    }
}

impl CryptoRng for Draws {}

const NODES: [&str; 3] = ["agent-1", "service-1", "cold-1"];

pub(crate) fn node_key(party: PartyIndex) -> Arc<NodeKey> {
    Arc::new(NodeKey::from_bytes(Zeroizing::new([party as u8 + 1; 32])))
}

/// The manifest's answer.
pub(crate) fn manifest(node: &NodeId) -> Option<NodePublicKey> {
    let party = NODES.iter().position(|name| *name == node.as_str())?;
    Some(node_key(party as u16).public())
}

pub(crate) fn boot(party: PartyIndex) -> BootId {
    BootId::from_bytes([party as u8 + 0x10; 16])
}

pub(crate) fn participants(parties: &[PartyIndex]) -> Vec<Participant> {
    let participant =
        |index: &PartyIndex| Participant { index: *index, node: NODES[usize::from(*index)].parse().unwrap() };
    parties.iter().map(participant).collect()
}

/// Terms with every field present.
pub(crate) fn sign_terms() -> Terms {
    let public_key = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
    Terms {
        version: PROTOCOL_VERSION,
        cluster: "dev".parse().unwrap(),
        protocol: Protocol::Sign,
        group: "group-1".parse().unwrap(),
        wallet: Some("wallet-1".parse().unwrap()),
        public_key: Some(public_key.parse().unwrap()),
        epoch: 7,
        aux_hash: Some(B256::repeat_byte(0xa1)),
        participants: participants(&[0, 1]),
        subject: B256::repeat_byte(0xa2),
        policy_hash: Some(B256::repeat_byte(0xa3)),
        manifest_hash: B256::repeat_byte(0xa4),
    }
}

pub(crate) fn keygen_terms() -> Terms {
    Terms {
        protocol: Protocol::Keygen,
        public_key: None,
        policy_hash: None,
        participants: participants(&[0, 1, 2]),
        ..sign_terms()
    }
}

pub(crate) fn presign_terms() -> Terms {
    Terms { protocol: Protocol::Presign, policy_hash: None, ..sign_terms() }
}

/// As a node does it, but with terms unchecked: peers may sign anything.
pub(crate) fn opening(terms: &Terms, me: PartyIndex, seed: u64) -> Opening {
    let mut draws = Draws::from_seed(seed * 10 + u64::from(me));
    Opening::draw(terms.clone(), me, &boot(me).into(), node_key(me), &mut draws)
}

/// Rounds 0 to 2; nothing but an empty body fits the last.
pub(crate) fn caps() -> Caps {
    [64, 1000, 0].into_iter().collect()
}

pub(crate) fn agree(opening: Opening, opens: &[Vec<u8>]) -> Result<Channel, OpenError> {
    opening.agree(opens, manifest, caps())
}

/// Every participant's channel.
pub(crate) fn channels(terms: &Terms, seed: u64) -> BTreeMap<PartyIndex, Channel> {
    let parties: Vec<_> = terms.participants.iter().map(|party| party.index).collect();
    let opens: Vec<_> =
        parties.iter().map(|party| opening(terms, *party, seed).signed_open().to_vec()).collect();
    let channel = |party: &PartyIndex| (*party, agree(opening(terms, *party, seed), &opens).unwrap());
    parties.iter().map(channel).collect()
}

/// The channels of parties 0 and 1, out of three.
pub(crate) fn pair(seed: u64) -> (Channel, Channel) {
    let mut all = channels(&keygen_terms(), seed);
    (all.remove(&0).unwrap(), all.remove(&1).unwrap())
}

pub(crate) fn seal_to(channel: &mut Channel, to: PartyIndex, body: &[u8]) -> Vec<u8> {
    channel.seal(0, Recipient::One(to), body).unwrap().remove(0).bytes
}

pub(crate) fn message(opened: Opened) -> Message {
    match opened {
        Opened::Message(message) => message,
        Opened::Duplicate(party) => panic!("duplicate of {party}'s"),
        Opened::Dropped(stray) => panic!("dropped: {stray:?}"),
    }
}
