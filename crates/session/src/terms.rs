//! What every participant must have been asked alike.

use std::collections::BTreeSet;

use quorate_types::{B256, ClusterId, GroupId, NodeId, PARTIES, PartyIndex, PublicKey, THRESHOLD, WalletId};

use crate::Fault;

/// The version of the protocol between nodes that this crate speaks.
pub const PROTOCOL_VERSION: u16 = 1;

/// What a session runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Auxiliary information of a group, by all three parties.
    Aux,
    /// Distributed key generation of one wallet, by all three parties.
    Keygen,
    /// One signature, by two parties.
    Sign,
    /// One presignature, by the two parties that will sign with it.
    Presign,
}

impl Protocol {
    /// The protocol's name: `aux`, `keygen`, `sign` or `presign`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Protocol::Aux => "aux",
            Protocol::Keygen => "keygen",
            Protocol::Sign => "sign",
            Protocol::Presign => "presign",
        }
    }

    /// How many parties take part.
    pub const fn parties(self) -> u16 {
        match self {
            Protocol::Aux | Protocol::Keygen => PARTIES,
            Protocol::Sign | Protocol::Presign => THRESHOLD,
        }
    }
}

/// A party and the node that plays it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Participant {
    /// The party's index at key generation.
    pub index: PartyIndex,
    /// The node, as the manifest names it.
    pub node: NodeId,
}

/// Every agreed field of a session. A node fills it from what *it* was shown and *it* holds (its own manifest, policy and
/// decoding of the payload), so that agreement means agreement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// [`PROTOCOL_VERSION`].
    pub version: u16,
    /// The cluster.
    pub cluster: ClusterId,
    /// What is run.
    pub protocol: Protocol,
    /// The group of nodes whose auxiliary information is made or used.
    pub group: GroupId,
    /// The wallet; none for [`Protocol::Aux`].
    pub wallet: Option<WalletId>,
    /// The wallet's public key; only [`Protocol::Sign`] and [`Protocol::Presign`] have one.
    pub public_key: Option<PublicKey>,
    /// The wallet's share epoch, or the group's.
    pub epoch: u32,
    /// Hash of the group's auxiliary information; [`Protocol::Sign`] and [`Protocol::Presign`] need it.
    pub aux_hash: Option<B256>,
    /// Who takes part, ascending by index.
    pub participants: Vec<Participant>,
    /// What it is about: the payload's hash (sign), the wallet record's (keygen, presign) or the group record's (aux).
    pub subject: B256,
    /// Hash of the policy decided under; [`Protocol::Sign`] needs it, [`Protocol::Presign`] decides nothing.
    pub policy_hash: Option<B256>,
    /// Hash of the manifest that names the participants' keys.
    pub manifest_hash: B256,
}

/// Why terms were refused before anything was signed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TermsError {
    /// Not [`PROTOCOL_VERSION`].
    #[error("protocol version: this node speaks {PROTOCOL_VERSION}, asked for {0}")]
    Version(u16),
    /// Too few or too many parties.
    #[error("participants: expected {expected}, got {got}")]
    Count {
        /// parties the protocol is run by
        expected: u16,
        /// parties named
        got: usize,
    },
    /// Indices not strictly ascending, or one that no party has.
    #[error("participants: indices must ascend and be below {PARTIES}")]
    Order,
    /// One node in two places would hold two shares.
    #[error("participants: node {0} is named twice")]
    RepeatedNode(NodeId),
    /// This node is not asked to take part.
    #[error("participants: party {0}, this node, is not among them")]
    NotParticipant(PartyIndex),
    /// A field the protocol cannot do without.
    #[error("{field}: missing")]
    Missing {
        /// which
        field: &'static str,
    },
    /// A field the protocol has no use for.
    #[error("{field}: must be absent")]
    Surplus {
        /// which
        field: &'static str,
    },
}

impl TermsError {
    /// Always the convener's.
    pub const fn fault(&self) -> Fault {
        Fault::Caller
    }
}

impl Terms {
    /// Each field's name and its one encoding, in the order that is signed and hashed. An absent field is empty; a
    /// present one never is.
    pub(crate) fn fields(&self) -> [(&'static str, Vec<u8>); 12] {
        // No `..`: a field added to the struct does not compile until it is agreed on here.
        let Self {
            version,
            cluster,
            protocol,
            group,
            wallet,
            public_key,
            epoch,
            aux_hash,
            participants,
            subject,
            policy_hash,
            manifest_hash,
        } = self;
        let hash = |hash: &Option<B256>| hash.map(|hash| hash.to_vec()).unwrap_or_default();
        let wallet = wallet.as_ref().map(|wallet| wallet.as_str().into()).unwrap_or_default();
        [
            ("protocol version", version.to_be_bytes().into()),
            ("cluster", cluster.as_str().into()),
            ("protocol", protocol.as_str().into()),
            ("group", group.as_str().into()),
            ("wallet", wallet),
            ("public key", public_key.map(PublicKey::to_sec1).unwrap_or_default()),
            ("epoch", epoch.to_be_bytes().into()),
            ("aux hash", hash(aux_hash)),
            ("participants", encode_participants(participants)),
            ("subject", subject.to_vec()),
            ("policy hash", hash(policy_hash)),
            ("manifest hash", manifest_hash.to_vec()),
        ]
    }

    /// All fields one after the other, each behind its length as 8 bytes big-endian.
    pub(crate) fn encode(&self) -> Vec<u8> {
        self.fields().into_iter().flat_map(|(_, value)| with_length(&value)).collect()
    }

    /// Finds the first field in which signed terms differ from these: `None` where they are these. Nothing of theirs is
    /// parsed; there is one encoding of our terms, and theirs is it or is not.
    pub(crate) fn difference(&self, mut theirs: &[u8]) -> Option<&'static str> {
        for (name, value) in self.fields() {
            match theirs.strip_prefix(with_length(&value).as_slice()) {
                Some(rest) => theirs = rest,
                None => return Some(name),
            }
        }
        if theirs.is_empty() { None } else { Some("trailing bytes") }
    }

    /// What `agree` cannot find, because all may agree on it: terms that make no sense, or not with `me` in them.
    pub(crate) fn check(&self, me: PartyIndex) -> Result<(), TermsError> {
        if self.version != PROTOCOL_VERSION {
            return Err(TermsError::Version(self.version));
        }
        self.check_participants(me)?;
        let signing = self.protocol == Protocol::Sign;
        let presigning = self.protocol == Protocol::Presign;
        let with_key = signing || presigning;
        let whole_group = self.protocol == Protocol::Aux;
        presence("wallet", self.wallet.is_some(), Some(!whole_group))?;
        presence("public key", self.public_key.is_some(), Some(with_key))?;
        presence("aux hash", self.aux_hash.is_some(), with_key.then_some(true))?;
        let policy = if presigning { Some(false) } else { signing.then_some(true) };
        presence("policy hash", self.policy_hash.is_some(), policy)
    }

    fn check_participants(&self, me: PartyIndex) -> Result<(), TermsError> {
        let expected = self.protocol.parties();
        let got = self.participants.len();
        if got != usize::from(expected) {
            return Err(TermsError::Count { expected, got });
        }
        let ascending = self.participants.is_sorted_by(|a, b| a.index < b.index);
        if !ascending || self.participants.iter().any(|party| party.index >= PARTIES) {
            return Err(TermsError::Order);
        }
        let mut nodes = BTreeSet::new();
        if let Some(again) = self.participants.iter().find(|party| !nodes.insert(&party.node)) {
            return Err(TermsError::RepeatedNode(again.node.clone()));
        }
        if !self.participants.iter().any(|party| party.index == me) {
            return Err(TermsError::NotParticipant(me));
        }
        Ok(())
    }
}

fn presence(field: &'static str, present: bool, wanted: Option<bool>) -> Result<(), TermsError> {
    match wanted {
        Some(true) if !present => Err(TermsError::Missing { field }),
        Some(false) if present => Err(TermsError::Surplus { field }),
        _ => Ok(()),
    }
}

fn with_length(value: &[u8]) -> Vec<u8> {
    [&(value.len() as u64).to_be_bytes(), value].concat()
}

fn encode_participants(participants: &[Participant]) -> Vec<u8> {
    let encode = |party: &Participant| {
        [party.index.to_be_bytes().as_slice(), &with_length(party.node.as_str().as_bytes())].concat()
    };
    participants.iter().flat_map(encode).collect()
}
