//! Who signed: recovered with libsecp256k1, a C library that no part of the cluster uses (the nodes check with k256).

use alloy_consensus::TxEnvelope;
use alloy_eips::Decodable2718;
use alloy_primitives::keccak256;
use quorate_types::{Address, B256};
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::{Message, PublicKey, Secp256k1};

use crate::refusal::Refusal;

/// A signed transaction, read back as the network would read it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SignedTransaction {
    /// Who pays.
    pub(crate) signer: Address,
    /// The transaction's hash on chain.
    pub(crate) hash: B256,
    /// What its signer signed.
    pub(crate) digest: B256,
}

/// The address whose key made `r || s || v` over `digest`, as `ecrecover` and Circle's contracts see it: v 27 or 28,
/// s in the lower half.
pub(crate) fn recover(digest: B256, signature: &[u8]) -> Result<Address, Refusal> {
    let wrong = |reason: &str| Refusal::invalid(reason).field("signature");
    let bytes: &[u8; 65] = signature.try_into().map_err(|_| wrong("expected 65 bytes: r, s and v"))?;
    let (rs, v) = bytes.split_at(64);
    let parity = match v {
        [27] => RecoveryId::Zero,
        [28] => RecoveryId::One,
        _ => return Err(wrong("v must be 27 or 28")),
    };
    let malformed = |_| wrong("r and s are not those of a signature");
    let recoverable = RecoverableSignature::from_compact(rs, parity).map_err(malformed)?;
    let mut low = recoverable.to_standard();
    low.normalize_s();
    if low != recoverable.to_standard() {
        return Err(wrong("s is in the upper half (EIP-2)"));
    }
    let key = Secp256k1::verification_only()
        .recover_ecdsa(Message::from_digest(digest.0), &recoverable)
        .map_err(|_| wrong("no key made it"))?;
    Ok(address(&key))
}

/// The last 20 bytes of the Keccak-256 of the uncompressed point.
fn address(key: &PublicKey) -> Address {
    let point = key.serialize_uncompressed();
    let (_tag, coordinates) = point.split_at(1);
    Address::from_word(keccak256(coordinates))
}

/// Reads a signed transaction completely and recovers its signer.
pub(crate) fn signed_transaction(raw: &[u8]) -> Result<SignedTransaction, Refusal> {
    let wrong = |reason: String| Refusal::invalid(reason).field("signed transaction");
    let mut rest = raw;
    let envelope = TxEnvelope::decode_2718(&mut rest).map_err(|error| wrong(error.to_string()))?;
    if !rest.is_empty() {
        return Err(wrong(format!("{} bytes left over", rest.len())));
    }
    let digest = envelope.signature_hash();
    let signer = recover(digest, &envelope.signature().as_bytes())?;
    Ok(SignedTransaction { signer, hash: *envelope.tx_hash(), digest })
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_types::U256;

    /// The x402 specification's example payment: published elsewhere, signed by another implementation.
    const DIGEST: &str = "f256992871671abcb27ff92885a7afa46218724e5fc0bac35d050115aa1d22e6";
    const SIGNATURE: &str = "2d6a7588d6acca505cbf0d9a4a227e0c52c6c34008c8e8986a1283259764173608a2ce6496642e377d6da8dbbf5836e9bd15092f9ecab05ded3d6293af148b571c";
    const PAYER: &str = "0x857b06519E91e3A54538791bDbb0E22373e36b66";

    fn digest() -> B256 {
        DIGEST.parse().unwrap()
    }

    #[test]
    fn recovers_the_payer_of_a_published_payment() {
        let signature = hex::decode(SIGNATURE).unwrap();
        assert_eq!(recover(digest(), &signature).unwrap(), PAYER.parse::<Address>().unwrap());
        assert_ne!(recover(B256::ZERO, &signature).unwrap(), PAYER.parse::<Address>().unwrap());
    }

    #[test]
    fn refuses_other_forms_of_the_same_signature() {
        let good = hex::decode(SIGNATURE).unwrap();
        let mut raw_parity = good.clone();
        raw_parity[64] = 1;
        // n - s with the other parity is by the same key.
        let order: U256 =
            "0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141".parse().unwrap();
        let s = U256::from_be_slice(&good[32..64]);
        let mut high = good.clone();
        high[32..64].copy_from_slice(&(order - s).to_be_bytes::<32>());
        high[64] = 27;
        for bad in [&good[..64], &raw_parity, &high, &[0; 65]] {
            let refusal = recover(digest(), bad).unwrap_err();
            assert_eq!(refusal.field.as_deref(), Some("signature"));
        }
    }

    #[test]
    fn a_signed_transaction_names_its_payer_and_nothing_may_follow() {
        // The example of EIP-155.
        let raw = hex::decode("f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83").unwrap();
        let signed = signed_transaction(&raw).unwrap();
        assert_eq!(signed.signer.to_string(), "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F");
        assert_eq!(
            hex::encode(signed.digest),
            "daf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53"
        );
        let longer = [raw, vec![0]].concat();
        assert_eq!(signed_transaction(&longer).unwrap_err().kind.exit_code(), 4);
    }
}
