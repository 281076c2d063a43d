//! Where a recovery may send the money, decided in daylight: signed by the operators, printed, and kept beside the
//! sealed files.

use std::collections::BTreeMap;

use jiff::Timestamp;
use quorate_intent::{ChainId, chain_by_name};
use quorate_manifest::{DocumentError, Manifest, Namespace, SignedDocument, verify};
use quorate_types::{Address, B256, ClusterId, UnixMillis};
use serde::Deserialize;

/// The first field of every sweep policy of this version.
const FORMAT: &str = "quorate/v1";

/// Why a sweep policy was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SweepPolicyError {
    /// Not YAML of a sweep policy's shape.
    #[error("sweep policy: {0}")]
    Yaml(String),
    /// A field that cannot be right.
    #[error("{field}: {reason}")]
    Invalid {
        /// which field
        field: String,
        /// what is wrong with it
        reason: String,
    },
    /// Its signatures do not hold, or are too few: it takes the operators' quorum.
    #[error(transparent)]
    Document(#[from] DocumentError),
}

/// The YAML, field by field.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Draft {
    sweep: String,
    cluster: ClusterId,
    version: u64,
    /// Chain, by name or number, to the one address money may go to there.
    destinations: BTreeMap<String, Address>,
    /// When it is no longer to be used, as RFC 3339 has it. Absent: never.
    expires: Option<String>,
}

/// A sweep policy that a quorum of operators signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweepPolicy {
    /// 1 or more, higher with each change: people say it aloud, since an offline machine does not know the last one.
    pub version: u64,
    /// Names it in transcripts.
    pub hash: B256,
    destinations: BTreeMap<ChainId, Address>,
}

impl SweepPolicy {
    /// Checks the signatures against the operators of `manifest`, then reads it. `now` is in Unix milliseconds.
    ///
    /// # Errors
    /// [`SweepPolicyError`] where a signature does not hold, too few signed, a field cannot be right, it is for another
    /// cluster, or it has expired.
    pub fn verify(
        document: &SignedDocument,
        manifest: &Manifest,
        now: UnixMillis,
    ) -> Result<Self, SweepPolicyError> {
        verify(document, Namespace::Sweep, manifest.operators(), manifest.operator_quorum())?;
        let draft = Draft::parse(&document.body)?;
        if draft.cluster != *manifest.cluster() {
            let reason = format!("is {}, the manifest is of {}", draft.cluster, manifest.cluster());
            return Err(invalid("cluster", reason));
        }
        let (destinations, expires) = (draft.destinations()?, draft.expires()?);
        if let Some(expires) =
            expires.filter(|expires| i128::from(now) >= i128::from(expires.as_millisecond()))
        {
            let reason = format!(
                "was {expires}, and this machine's clock is past it: set the clock if it is wrong, or have the operators sign a \
                 new one, or type the address twice"
            );
            return Err(invalid("expires", reason));
        }
        Ok(Self { version: draft.version, hash: document.hash(Namespace::Sweep), destinations })
    }

    /// Checks a policy before anybody signs it.
    ///
    /// # Errors
    /// As [`SweepPolicy::verify`], for all but the signatures.
    pub fn check(body: &[u8]) -> Result<(), SweepPolicyError> {
        let draft = Draft::parse(body)?;
        draft.expires()?;
        draft.destinations().map(drop)
    }

    /// Where money goes on a chain. None where the policy names no address there.
    pub fn destination(&self, chain: ChainId) -> Option<Address> {
        self.destinations.get(&chain).copied()
    }
}

impl Draft {
    fn parse(body: &[u8]) -> Result<Self, SweepPolicyError> {
        let draft: Self =
            serde_norway::from_slice(body).map_err(|error| SweepPolicyError::Yaml(error.to_string()))?;
        if draft.sweep != FORMAT {
            return Err(invalid("sweep", format!("expected {FORMAT}")));
        }
        if draft.version == 0 {
            return Err(invalid("version", "must be at least 1"));
        }
        if draft.destinations.is_empty() {
            return Err(invalid("destinations", "names no chain"));
        }
        Ok(draft)
    }

    fn expires(&self) -> Result<Option<Timestamp>, SweepPolicyError> {
        let read = |text: &String| {
            text.parse().map_err(|_| invalid("expires", "expected a moment such as 2027-06-30T00:00:00Z"))
        };
        self.expires.as_ref().map(read).transpose()
    }

    fn destinations(&self) -> Result<BTreeMap<ChainId, Address>, SweepPolicyError> {
        let mut read = BTreeMap::new();
        for (name, address) in &self.destinations {
            let field = format!("destinations.{name}");
            let chain = chain_by_name(name).or_else(|| name.parse().ok());
            let chain =
                chain.ok_or_else(|| invalid(&field, "is no known chain's name, and no EIP-155 id"))?;
            if *address == Address::ZERO {
                return Err(invalid(field, "is the zero address: what goes there is gone"));
            }
            if read.insert(chain, *address).is_some() {
                return Err(invalid(field, "is a chain that is named twice"));
            }
        }
        Ok(read)
    }
}

fn invalid(field: impl Into<String>, reason: impl Into<String>) -> SweepPolicyError {
    SweepPolicyError::Invalid { field: field.into(), reason: reason.into() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const GOOD: &str = "sweep: quorate/v1\ncluster: dev\nversion: 2\ndestinations:\n  base: \
                        \"0x209693Bc6afc0C5328bA36FaF03C514EF312287C\"\n  '84532': \
                        \"0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf\"\n";

    #[test]
    fn every_bad_field_is_named() {
        assert_eq!(SweepPolicy::check(GOOD.as_bytes()), Ok(()));
        for (from, to, words) in [
            ("quorate/v1", "quorate/v2", "sweep: expected"),
            ("version: 2", "version: 0", "version: must"),
            ("  base:", "  moon:", "destinations.moon: is no known chain"),
            ("'84532'", "'8453'", "named twice"),
            (
                "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf",
                "0x0000000000000000000000000000000000000000",
                "gone",
            ),
            ("version: 2", "version: 2\nsurprise: 1", "surprise"),
            ("version: 2", "version: 2\nexpires: tomorrow", "expires: expected a moment"),
        ] {
            assert!(GOOD.contains(from), "{from}");
            let refused = SweepPolicy::check(GOOD.replace(from, to).as_bytes()).unwrap_err().to_string();
            assert!(refused.contains(words), "{to}: {refused}");
        }
    }
}
