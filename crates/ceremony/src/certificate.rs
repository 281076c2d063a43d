//! A drill's certificate: a challenge, and the wallet's own signature under it.

use quorate_types::{Address, ClusterId, PublicKey, Signature};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::DrillChallenge;

/// The first field of every certificate of this version.
const FORMAT: &str = "quorate/drill-certificate/v1";

/// Why a certificate proves nothing.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CertificateError {
    /// Not JSON of a certificate's shape.
    #[error("is no drill certificate: {0}")]
    Shape(String),
    /// A field is wrong, or contradicts another.
    #[error("{field}: {reason}")]
    Field {
        /// which field
        field: &'static str,
        /// what is wrong with it
        reason: String,
    },
}

/// Proof that two shares signed for a wallet at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrillCertificate {
    quorate: String,
    challenge: String,
    address: Address,
    signature: String,
    verified_with: Vec<String>,
    /// Which packages were opened, in the words of whoever held the drill: no signature proves them.
    pub ceremony: Value,
}

impl DrillCertificate {
    /// A certificate, to be written down.
    pub fn new(challenge: &DrillChallenge, signature: &Signature, ceremony: Value) -> Self {
        Self {
            quorate: FORMAT.to_owned(),
            challenge: challenge.to_string(),
            address: challenge.address,
            signature: format!("0x{}", hex::encode(signature.to_bytes())),
            verified_with: ["k256", "libsecp256k1"].map(str::to_owned).to_vec(),
            ceremony,
        }
    }

    /// Reads one. Nothing in it is known to be true before [`DrillCertificate::verify`].
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn parse(bytes: &[u8]) -> Result<(Self, DrillChallenge), CertificateError> {
        let read: Self =
            serde_json::from_slice(bytes).map_err(|error| CertificateError::Shape(error.to_string()))?;
        if read.quorate != FORMAT {
            return Err(field("quorate", format!("expected {FORMAT}")));
        }
        let challenge: DrillChallenge =
            read.challenge.parse().map_err(|error| field("challenge", format!("{error}")))?;
        Ok((read, challenge))
    }

    /// Checks that the wallet's key signed this challenge, for this cluster.
    ///
    /// # Errors
    /// [`CertificateError`] naming the field that is another's or does not hold.
    pub fn verify(
        &self,
        challenge: &DrillChallenge,
        cluster: &ClusterId,
        key: PublicKey,
    ) -> Result<Signature, CertificateError> {
        if challenge.cluster != *cluster {
            let reason = format!("is of cluster {}, this is {cluster}", challenge.cluster);
            return Err(field("challenge.cluster", reason));
        }
        let address = key.address();
        if challenge.address != address {
            let reason = format!("is {}, wallet {} is {address}", challenge.address, challenge.wallet);
            return Err(field("challenge.address", reason));
        }
        if self.address != address {
            return Err(field("address", format!("is {}, the challenge says {address}", self.address)));
        }
        let decoded = quorate_intent::decode(&challenge.payload())
            .map_err(|error| field("challenge", error.to_string()))?;
        let bytes = self.signature.strip_prefix("0x").and_then(|digits| hex::decode(digits).ok());
        let bytes = bytes.ok_or_else(|| field("signature", "not 0x and hex digits".to_owned()))?;
        Signature::from_bytes(&bytes, decoded.digest.digest(), key)
            .map_err(|error| field("signature", error.to_string()))
    }
}

fn field(field: &'static str, reason: String) -> CertificateError {
    CertificateError::Field { field, reason }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use k256::ecdsa::SigningKey;
    use quorate_types::B256;

    use super::*;

    fn certified() -> (PublicKey, String) {
        let secret = SigningKey::from_slice(&[7; 32]).unwrap();
        let key = PublicKey::from(k256::PublicKey::from(secret.verifying_key()));
        let challenge = DrillChallenge {
            cluster: "dev".parse().unwrap(),
            wallet: "wallet-1".parse().unwrap(),
            address: key.address(),
            at_ms: 1_800_000_000_000,
            sessions: [B256::repeat_byte(1), B256::repeat_byte(2)],
        };
        let digest = quorate_intent::decode(&challenge.payload()).unwrap().digest.digest();
        let (signature, _) = secret.sign_prehash_recoverable(digest.as_slice()).unwrap();
        let (r, s) = signature.split_bytes();
        let signature = Signature::verified(B256::from_slice(&r), B256::from_slice(&s), digest, key).unwrap();
        let certificate = DrillCertificate::new(&challenge, &signature, Value::Null);
        (key, serde_json::to_string(&certificate).unwrap())
    }

    fn verify(text: &str, cluster: &str, key: PublicKey) -> Result<(), CertificateError> {
        let (certificate, challenge) = DrillCertificate::parse(text.as_bytes())?;
        certificate.verify(&challenge, &cluster.parse().unwrap(), key).map(drop)
    }

    #[test]
    fn the_wallets_own_signature_counts_and_nothing_else() {
        let (key, text) = certified();
        assert_eq!(verify(&text, "dev", key), Ok(()));
        let other = SigningKey::from_slice(&[8; 32]).unwrap();
        let other = PublicKey::from(k256::PublicKey::from(other.verifying_key()));
        let of = |result: Result<(), CertificateError>| result.unwrap_err().to_string();
        assert!(of(verify(&text, "prod", key)).starts_with("challenge.cluster: is of cluster dev"));
        assert!(of(verify(&text, "dev", other)).starts_with("challenge.address: "));
        for (from, to, words) in [
            ("drill-certificate/v1", "drill-certificate/v2", "quorate: expected"),
            ("wallet: wallet-1", "wallet: wallet-2", "signature: does not match"),
            ("1800000000000", "1900000000000", "signature: does not match"),
            ("\"signature\":\"0x", "\"signature\":\"0xz", "signature: not 0x"),
            ("\"ceremony\":", "\"surprise\":1,\"ceremony\":", "surprise"),
        ] {
            assert!(text.contains(from), "{from}");
            let refused = of(verify(&text.replacen(from, to, 1), "dev", key));
            assert!(refused.contains(words), "{words}: {refused}");
        }
        let lower = text.replace(
            &format!("\"address\":\"{}\"", key.address().to_string().to_lowercase()),
            &format!("\"address\":\"{}\"", other.address()),
        );
        assert_ne!(lower, text);
        assert!(of(verify(&lower, "dev", key)).starts_with("address: is"));
    }
}
