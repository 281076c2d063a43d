//! The message that a drill signs.
//!
//! A personal message (EIP-191), which no contract and no chain takes for a payment; and no policy lets a cluster sign one
//! that begins so ([`DRILL`]), so a signature under it was made by a ceremony.

use std::fmt;
use std::str::FromStr;

use quorate_intent::DRILL;
use quorate_types::{Address, B256, Bytes, ClusterId, Payload, UnixMillis, WalletId};

/// [`DRILL`], its version, and what people should know.
const VERSION: &str = "1. This moves nothing.";

/// Why a text is no drill's challenge.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum ChallengeError {
    /// It does not begin as every challenge of this version does.
    #[error("is no drill's challenge of version 1")]
    Title,
    /// A line is missing or cannot be read.
    #[error("its line {0:?} is missing or cannot be read")]
    Line(&'static str),
    /// It says the same in another way.
    #[error("has something that no challenge has: it was altered")]
    Spelling,
}

/// What two shares of a wallet prove that they can sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrillChallenge {
    /// The wallet's cluster.
    pub cluster: ClusterId,
    /// The wallet.
    pub wallet: WalletId,
    /// The address its key controls.
    pub address: Address,
    /// When, by the offline machine's clock.
    pub at_ms: UnixMillis,
    /// What each party's process drew: no two challenges are the same.
    pub sessions: [B256; 2],
}

impl DrillChallenge {
    /// What is signed.
    pub fn payload(&self) -> Payload {
        Payload::Message(Bytes::from(self.to_string().into_bytes()))
    }
}

impl fmt::Display for DrillChallenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cluster, wallet, address, at_ms, sessions: [one, two] } = self;
        write!(f, "{DRILL}{VERSION}\ncluster: {cluster}\nwallet: {wallet}\naddress: {address}\n")?;
        write!(f, "Unix milliseconds: {at_ms}\nsessions: {one} {two}")
    }
}

impl FromStr for DrillChallenge {
    type Err = ChallengeError;

    fn from_str(text: &str) -> Result<Self, ChallengeError> {
        let mut lines = text.split('\n');
        if lines.next().and_then(|title| title.strip_prefix(DRILL)) != Some(VERSION) {
            return Err(ChallengeError::Title);
        }
        let mut line = |name: &'static str| {
            let value = lines.next().and_then(|line| line.strip_prefix(name)?.strip_prefix(": "));
            value.ok_or(ChallengeError::Line(name))
        };
        let (cluster, wallet) = (read("cluster", line("cluster")?)?, read("wallet", line("wallet")?)?);
        let address = read("address", line("address")?)?;
        let at_ms = read("Unix milliseconds", line("Unix milliseconds")?)?;
        let (one, two) = line("sessions")?.split_once(' ').ok_or(ChallengeError::Line("sessions"))?;
        let sessions = [read("sessions", one)?, read("sessions", two)?];
        let challenge = Self { cluster, wallet, address, at_ms, sessions };
        // One spelling: what is shown to a person is what was signed.
        if challenge.to_string() == text { Ok(challenge) } else { Err(ChallengeError::Spelling) }
    }
}

fn read<T: FromStr>(name: &'static str, value: &str) -> Result<T, ChallengeError> {
    value.parse().map_err(|_| ChallengeError::Line(name))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_goes_there_and_back_and_every_other_is_refused() {
        let challenge = DrillChallenge {
            cluster: "dev".parse().unwrap(),
            wallet: "wallet-1".parse().unwrap(),
            address: Address::repeat_byte(0xab),
            at_ms: 1_800_000_000_000,
            sessions: [B256::repeat_byte(1), B256::repeat_byte(2)],
        };
        let text = challenge.to_string();
        assert_eq!(text.parse(), Ok(challenge));
        for (from, to, refused) in [
            ("drill, version 1", "drill, version 2", ChallengeError::Title),
            ("cluster: dev", "cluster: D e v", ChallengeError::Line("cluster")),
            ("wallet: ", "wallets: ", ChallengeError::Line("wallet")),
            ("address: 0x", "address: 0y", ChallengeError::Line("address")),
            ("milliseconds: 1", "milliseconds: x", ChallengeError::Line("Unix milliseconds")),
            ("milliseconds: 1", "milliseconds: +1", ChallengeError::Spelling),
            ("0xAB", "0xab", ChallengeError::Spelling),
            ("sessions: 0x01", "sessions: ", ChallengeError::Line("sessions")),
        ] {
            assert!(text.contains(from), "{from}: {text}");
            assert_eq!(text.replacen(from, to, 1).parse::<DrillChallenge>(), Err(refused), "{to}");
        }
        for more in ["\n", "\nmore"] {
            assert_eq!(format!("{text}{more}").parse::<DrillChallenge>(), Err(ChallengeError::Spelling));
        }
    }
}
