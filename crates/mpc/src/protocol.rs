//! The rounds of each protocol: who hears a message, and how large it may be.

use quorate_types::THRESHOLD;

use cggmp24::security_level::SecurityLevel128;
use cggmp24::supported_curves::Secp256k1;
use sha2::Sha256;

pub(crate) type AuxMsg = cggmp24::key_refresh::Msg<Sha256, SecurityLevel128>;
pub(crate) type KeygenMsg = cggmp24::keygen::ThresholdMsg<Secp256k1, SecurityLevel128, Sha256>;
pub(crate) type SignMsg = cggmp24::signing::msg::Msg<Secp256k1, Sha256>;

/// Which protocol a session runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProtocolKind {
    /// Auxiliary info generation, all three parties.
    Aux,
    /// Distributed key generation, all three parties.
    Keygen,
    /// Presigning, two parties; the partial signature follows as one more message of the session.
    Sign,
}

/// What an honest message of one round looks like from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoundRule {
    /// The round's name in errors and measurements.
    pub name: &'static str,
    /// Whether it goes to everyone.
    pub broadcast: bool,
    /// Largest body accepted, in bytes: about 1.25 times the largest honest one measured (see `tests/protocols.rs`).
    pub cap: usize,
}

const fn broadcast(name: &'static str, cap: usize) -> RoundRule {
    RoundRule { name, broadcast: true, cap }
}

const fn direct(name: &'static str, cap: usize) -> RoundRule {
    RoundRule { name, broadcast: false, cap }
}

// The order is the library's: a message's round number is the index of its variant.
const AUX: [RoundRule; 4] = [
    broadcast("aux commitment", 48),
    broadcast("aux parameters", 252_000),
    direct("aux proofs", 260_000),
    broadcast("aux echo", 48),
];
const KEYGEN: [RoundRule; 5] = [
    broadcast("keygen commitment", 48),
    broadcast("keygen decommitment", 410),
    direct("keygen sub-share", 48),
    broadcast("keygen proof", 56),
    broadcast("keygen echo", 48),
];
const SIGN: [RoundRule; 6] = [
    broadcast("sign round 1a", 4_500),
    direct("sign round 1b", 14_000),
    direct("sign round 2", 36_000),
    broadcast("sign round 3", 640),
    // The library's own round 4 is not used: the partial signature leaves through the node's guard instead.
    broadcast("sign round 4", 0),
    broadcast("sign echo", 48),
];

/// The rules of every round of `kind`, by round number.
pub const fn round_rules(kind: ProtocolKind) -> &'static [RoundRule] {
    match kind {
        ProtocolKind::Aux => &AUX,
        ProtocolKind::Keygen => &KEYGEN,
        ProtocolKind::Sign => &SIGN,
    }
}

impl ProtocolKind {
    /// How many parties take part.
    pub const fn parties(self) -> u16 {
        match self {
            ProtocolKind::Aux | ProtocolKind::Keygen => quorate_types::PARTIES,
            ProtocolKind::Sign => THRESHOLD,
        }
    }
}
