//! What is said, as people write and sign it.

use quorate_manifest::read_yaml;
use quorate_types::{B256, ClusterId, IdError, WalletId};
use serde::{Deserialize, Serialize};

use crate::LapseError;
use crate::ended::Ended;

/// The first field of every lapse of this version.
pub const FORMAT: &str = "quorate/v1";

/// Longest reason, in characters.
const MAX_REASON: usize = 200;

/// A block of the authorization's chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// Its number.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// Its time, in Unix seconds.
    pub time_s: u64,
}

/// The word that an authorization ended unused. Whether anyone signed it is another matter: see
/// [`SignedLapse`](crate::SignedLapse).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lapse {
    /// The cluster it is for.
    pub cluster: ClusterId,
    /// The wallet that signed the authorization.
    pub wallet: WalletId,
    /// What was signed, as it was asked for: EIP-712 typed data.
    pub typed_data: String,
    /// A block after the authorization's end, at which the token had not taken it.
    pub block: Block,
    /// How that was seen, for people: 1 to 200 characters on one line.
    pub reason: String,
}

/// The YAML, field by field.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Draft {
    lapse: String,
    cluster: String,
    wallet: String,
    typed_data: String,
    block: Block,
    reason: String,
}

impl Lapse {
    /// Reads a lapse and checks every field.
    ///
    /// # Errors
    /// [`LapseError`], naming the field.
    pub fn parse(body: &[u8]) -> Result<Self, LapseError> {
        let draft: Draft = read_yaml(body).map_err(LapseError::Yaml)?;
        let invalid = |field, reason: String| LapseError::Invalid { field, reason };
        if draft.lapse != FORMAT {
            return Err(invalid("lapse", format!("expected {FORMAT}")));
        }
        let length = draft.reason.chars().count();
        if !(1..=MAX_REASON).contains(&length) || draft.reason.chars().any(char::is_control) {
            return Err(invalid("reason", format!("must be 1 to {MAX_REASON} characters on one line")));
        }
        let lapse = Self {
            cluster: draft.cluster.parse().map_err(|error: IdError| invalid("cluster", error.to_string()))?,
            wallet: draft.wallet.parse().map_err(|error: IdError| invalid("wallet", error.to_string()))?,
            typed_data: draft.typed_data,
            block: draft.block,
            reason: draft.reason,
        };
        lapse.ended()?;
        Ok(lapse)
    }

    /// The lapse to be signed. It is read back first: nobody is asked to sign what every machine would refuse.
    ///
    /// # Errors
    /// [`LapseError`], as [`Lapse::parse`] would answer.
    pub fn to_yaml(&self) -> Result<String, LapseError> {
        let draft = Draft {
            lapse: FORMAT.to_owned(),
            cluster: self.cluster.to_string(),
            wallet: self.wallet.to_string(),
            typed_data: self.typed_data.clone(),
            block: self.block,
            reason: self.reason.clone(),
        };
        let text = serde_norway::to_string(&draft).map_err(|error| LapseError::Yaml(error.to_string()))?;
        if Self::parse(text.as_bytes())? != *self {
            return Err(LapseError::Yaml("it is not read back as it was written".to_owned()));
        }
        Ok(text)
    }

    /// What ended, read from the payload, where the block came after that.
    pub(crate) fn ended(&self) -> Result<Ended, LapseError> {
        let ended = Ended::read(&self.typed_data)?;
        let (block_s, not_after_s) = (self.block.time_s, ended.not_after_s);
        if block_s <= not_after_s {
            return Err(LapseError::BeforeEnd { block_s, not_after_s });
        }
        Ok(ended)
    }
}
