//! Where a transcript ends, signed by those who were there.
//!
//! A transcript can be large; its last hash stands for all of it, so that is what people sign.

use quorate_manifest::{DocumentError, Manifest, Namespace, SignedDocument, verify};
use quorate_types::{B256, ClusterId};
use serde::{Deserialize, Serialize};

use crate::steps::Step;

/// The first field of every head of this version.
const FORMAT: &str = "quorate/v1";

/// Why a transcript's head was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum HeadError {
    /// Not YAML of a head's shape.
    #[error("ceremony head: {0}")]
    Yaml(String),
    /// A field that cannot be right, or is another ceremony's.
    #[error("{field}: {reason}")]
    Field {
        /// which field
        field: &'static str,
        /// what is wrong with it
        reason: String,
    },
    /// Its signatures do not hold, or there are none.
    #[error(transparent)]
    Document(#[from] DocumentError),
}

/// Names one transcript, as long as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    ceremony: String,
    /// The cluster whose wallets it was about.
    pub cluster: ClusterId,
    /// How many steps it has.
    pub steps: u64,
    /// The last one's hash.
    pub last: B256,
}

impl Head {
    /// The head of a transcript. None of an empty one.
    pub fn of(steps: &[Step], cluster: ClusterId) -> Option<Self> {
        let last = steps.last()?;
        Some(Self { ceremony: FORMAT.to_owned(), cluster, steps: steps.len() as u64, last: last.hash })
    }

    /// Its text, to be signed.
    ///
    /// # Errors
    /// [`HeadError::Yaml`].
    pub fn to_yaml(&self) -> Result<String, HeadError> {
        serde_norway::to_string(self).map_err(|error| HeadError::Yaml(error.to_string()))
    }

    /// Checks that people of `manifest` who were there signed it, operators and custodians, and one operator at least; and
    /// reads it. The answer holds their names.
    ///
    /// # Errors
    /// [`HeadError`].
    pub fn verify(document: &SignedDocument, manifest: &Manifest) -> Result<(Self, Vec<String>), HeadError> {
        let people = [manifest.operators(), manifest.custodians()].concat();
        let signers = verify(document, Namespace::Ceremony, &people, 1)?;
        let is_operator = |name: &String| manifest.operators().iter().any(|person| person.name == *name);
        if !signers.iter().any(is_operator) {
            return Err(field("signatures", "an operator must be among those who sign".to_owned()));
        }
        let head: Self =
            serde_norway::from_slice(&document.body).map_err(|error| HeadError::Yaml(error.to_string()))?;
        if head.ceremony != FORMAT {
            return Err(field("ceremony", format!("expected {FORMAT}")));
        }
        if head.cluster != *manifest.cluster() {
            return Err(field(
                "cluster",
                format!("is {}, the manifest is of {}", head.cluster, manifest.cluster()),
            ));
        }
        Ok((head, signers))
    }

    /// Checks that it is this transcript's.
    ///
    /// # Errors
    /// [`HeadError::Field`].
    pub fn check(&self, steps: &[Step]) -> Result<(), HeadError> {
        let (count, last) = (steps.len() as u64, steps.last().map(|step| step.hash));
        if self.steps != count {
            return Err(field("steps", format!("{} were signed, the transcript has {count}", self.steps)));
        }
        if Some(self.last) != last {
            return Err(field("last", "another transcript's last hash was signed".to_owned()));
        }
        Ok(())
    }
}

fn field(field: &'static str, reason: String) -> HeadError {
    HeadError::Field { field, reason }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::steps::next_step;

    #[test]
    fn a_head_is_of_one_transcript_at_one_length() {
        let mut steps = vec![next_step(&[], 1, "drill", json!({}))];
        assert_eq!(Head::of(&[], "dev".parse().unwrap()), None);
        let head = Head::of(&steps, "dev".parse().unwrap()).unwrap();
        assert_eq!(head.check(&steps), Ok(()));
        let other = [next_step(&[], 2, "drill", json!({}))];
        assert!(head.check(&other).unwrap_err().to_string().starts_with("last: "));
        steps.push(next_step(&steps, 3, "signed", json!({})));
        assert!(head.check(&steps).unwrap_err().to_string().starts_with("steps: 1 were signed"));
    }
}
