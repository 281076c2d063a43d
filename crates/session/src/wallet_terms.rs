//! What is decided about a wallet when it is created, for ever.

use quorate_types::Transcript;
use serde::{Deserialize, Serialize};

use crate::AgentPublicKey;

/// The longest time that what loosens a policy may be made to wait, in seconds: 31 days.
pub const MAX_LOOSENING_DELAY_S: u32 = 31 * 24 * 60 * 60;

/// What a wallet is created with. Its nodes attest it with its key, so that neither a coordinator nor a later document
/// changes it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalletTerms {
    /// The key the agent's requests must be signed with; none where the gateway's word is taken.
    pub agent_key: Option<AgentPublicKey>,
    /// Seconds for which what loosens the wallet's policy waits, a second operator's signature beside it; none where
    /// loosening takes neither.
    pub loosening_delay_s: Option<u32>,
    /// Whether it signs raw digests, and nothing else.
    #[serde(default)]
    pub raw_digest: bool,
}

impl WalletTerms {
    /// The first field in which `other` differs, by its name in requests; none where they are the same.
    pub fn difference(&self, other: &Self) -> Option<&'static str> {
        // No `..`: a new field does not compile until it is compared.
        let Self { agent_key, loosening_delay_s, raw_digest } = self;
        [
            ("agent_key", *agent_key == other.agent_key),
            ("loosening_delay_s", *loosening_delay_s == other.loosening_delay_s),
            ("raw_digest", *raw_digest == other.raw_digest),
        ]
        .into_iter()
        .find_map(|(field, same)| (!same).then_some(field))
    }

    /// Appends all of it, for a hash that nodes agree on before they make the wallet's key.
    #[must_use]
    pub fn told_to(&self, to: Transcript) -> Transcript {
        let Self { agent_key, loosening_delay_s, raw_digest } = self;
        to.field(agent_key.as_ref().map_or(&[][..], |key| key.as_bytes()))
            .field(&loosening_delay_s.map_or_else(Vec::new, |delay| delay.to_be_bytes().to_vec()))
            .field(&[u8::from(*raw_digest)])
    }
}
