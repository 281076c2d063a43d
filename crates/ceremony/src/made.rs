//! One signature a ceremony made, as its transcript tells of it: verifiable by whoever reads it.

use quorate_types::{B256, PublicKey, Signature, WalletId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The member of a step's detail that lists its signatures.
pub const SIGNATURES: &str = "signatures";

/// Why a signature in a transcript does not hold.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum MadeError {
    /// Not a list of signatures.
    #[error("signatures: {0}")]
    Shape(String),
    /// It is no signature of that key over that digest.
    #[error("signatures: number {at}, by wallet {wallet}: {reason}")]
    Signature {
        /// which one, from 1
        at: usize,
        /// whose it should be
        wallet: WalletId,
        /// what is wrong with it
        reason: String,
    },
}

/// One signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Made {
    /// The wallet, by the name its packages gave it.
    pub wallet: WalletId,
    /// The key that made it.
    pub public_key: PublicKey,
    /// What was signed, in words.
    pub summary: String,
    /// What was signed.
    pub digest: B256,
    signature: String,
}

impl Made {
    /// A signature, to be written down. `signature` is `r || s || v`.
    pub fn new(
        (wallet, public_key): (WalletId, PublicKey),
        (summary, digest): (String, B256),
        signature: &[u8],
    ) -> Self {
        Self { wallet, public_key, summary, digest, signature: format!("0x{}", hex::encode(signature)) }
    }

    /// The signatures a step's detail tells of, each of them checked. None where it tells of none.
    ///
    /// # Errors
    /// [`MadeError`] naming the signature that does not hold.
    pub fn read(detail: &Value) -> Result<Vec<Self>, MadeError> {
        let Some(list) = detail.get(SIGNATURES) else { return Ok(Vec::new()) };
        let list: Vec<Self> =
            serde_json::from_value(list.clone()).map_err(|error| MadeError::Shape(error.to_string()))?;
        for (at, made) in (1..).zip(&list) {
            made.check().map_err(|reason| MadeError::Signature {
                at,
                wallet: made.wallet.clone(),
                reason,
            })?;
        }
        Ok(list)
    }

    fn check(&self) -> Result<(), String> {
        let bytes = self.signature.strip_prefix("0x").and_then(|digits| hex::decode(digits).ok());
        let bytes = bytes.ok_or("not 0x and hex digits")?;
        Signature::from_bytes(&bytes, self.digest, self.public_key).map_err(|error| error.to_string())?;
        Ok(())
    }
}
