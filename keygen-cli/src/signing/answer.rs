//! What a request was answered: checked here, and told.

use quorate_intent::Decoded;
use quorate_proto::v1;
use quorate_types::Address;
use serde::Serialize;

use crate::check;
use crate::refusal::Refusal;
use crate::views::{DenialView, WaitingView, WalletView, hex};

/// Where an entry stands in the audit log.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ReceiptView {
    pub(crate) sequence: u64,
    pub(crate) hash: String,
}

impl From<v1::Receipt> for ReceiptView {
    fn from(receipt: v1::Receipt) -> Self {
        Self { sequence: receipt.sequence, hash: hex(&receipt.hash) }
    }
}

/// The agent node's statement that its agent asked for this.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct IntentView {
    pub(crate) node: String,
    pub(crate) statement: String,
    pub(crate) signature: String,
}

/// A signature that was checked here.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SignedView {
    pub(crate) wallet: String,
    pub(crate) signature: String,
    pub(crate) digest: String,
    /// Recovered here from the signature.
    pub(crate) signer: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) signed_transaction: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) transaction_hash: String,
    pub(crate) summary: String,
    pub(crate) policy_hash: String,
    pub(crate) session_eid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) intent: Option<IntentView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) receipt: Option<ReceiptView>,
    pub(crate) idempotency_key: String,
    pub(crate) repeated_answer: bool,
}

/// A denial of a request.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct DeniedView {
    pub(crate) wallet: String,
    pub(crate) denied: DenialView,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) receipt: Option<ReceiptView>,
    pub(crate) idempotency_key: String,
    pub(crate) repeated_answer: bool,
}

/// A request that waits for time or people.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct HeldView {
    pub(crate) wallet: String,
    pub(crate) waiting: WaitingView,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) receipt: Option<ReceiptView>,
    pub(crate) idempotency_key: String,
}

impl HeldView {
    pub(crate) fn words(&self) -> String {
        self.waiting.words(&self.wallet, &self.idempotency_key)
    }
}

/// A signature over what was asked for, as it can be checked without the wallet.
pub(super) fn checked(wallet: String, decoded: &Decoded, signed: v1::Signed) -> Result<SignedView, Refusal> {
    let digest = decoded.digest.digest();
    if signed.digest != digest.as_slice() {
        return Err(Refusal::internal(
            "the coordinator's digest is not the payload's: the answer is not to be used",
        ));
    }
    let signer = check::recover(digest, &signed.signature)?;
    let transaction_hash = match signed.signed_transaction.as_slice() {
        [] => String::new(),
        raw => transaction_hash(raw, signer, decoded)?,
    };
    let intent = signed.intent.map(|intent| IntentView {
        node: intent.node,
        statement: hex(&intent.statement),
        signature: hex(&intent.signature),
    });
    Ok(SignedView {
        wallet,
        signature: hex(&signed.signature),
        digest: digest.to_string(),
        signer: signer.to_string(),
        signed_transaction: hex(&signed.signed_transaction),
        transaction_hash,
        // Our own words for our own decoding, whatever the answer says.
        summary: decoded.intent.summary(),
        policy_hash: hex(&signed.policy_hash),
        session_eid: hex(&signed.session_eid),
        intent,
        receipt: None,
        idempotency_key: String::new(),
        repeated_answer: false,
    })
}

/// By the wallet's key, and by whom the payload itself names, or it is worthless.
pub(super) fn by_wallet(signer: &str, wallet: &WalletView, decoded: &Decoded) -> Result<(), Refusal> {
    if signer != wallet.address {
        let reason =
            format!("signed by {signer}, but the wallet is {}: do not use the answer", wallet.address);
        return Err(Refusal::internal(reason));
    }
    match decoded.intent.signer {
        Some(named) if named.to_string() != signer => Err(Refusal::internal(format!(
            "the payload names {named} as its signer: this signature is worthless"
        ))),
        _ => Ok(()),
    }
}

fn transaction_hash(raw: &[u8], signer: Address, decoded: &Decoded) -> Result<String, Refusal> {
    let transaction = check::signed_transaction(raw)?;
    if transaction.signer != signer || transaction.digest != decoded.digest.digest() {
        return Err(Refusal::internal(
            "the signed transaction is another one than was asked for: do not send it",
        ));
    }
    Ok(transaction.hash.to_string())
}

impl SignedView {
    pub(crate) fn words(&self) -> String {
        let receipt = self.receipt.as_ref().map(|receipt| format!("#{} {}", receipt.sequence, receipt.hash));
        let agent = self.intent.as_ref().map(|intent| intent.node.clone());
        let lines = [
            ("signature", Some(self.signature.clone())),
            ("digest", Some(self.digest.clone())),
            ("signer", Some(format!("{} (recovered here)", self.signer))),
            ("transaction", (!self.signed_transaction.is_empty()).then(|| self.signed_transaction.clone())),
            ("tx hash", (!self.transaction_hash.is_empty()).then(|| self.transaction_hash.clone())),
            ("policy", Some(self.policy_hash.clone())),
            ("asked by", agent),
            ("receipt", receipt),
            ("idempotency", Some(self.idempotency_key.clone())),
        ];
        let repeated = if self.repeated_answer { " (the answer given before)" } else { "" };
        let mut words = format!("SIGNED by {}: {}{repeated}", self.wallet, self.summary);
        for (name, value) in lines {
            if let Some(value) = value {
                words.push_str(&format!("\n  {name:<12} {value}"));
            }
        }
        words
    }
}

impl DeniedView {
    pub(crate) fn words(&self) -> String {
        let mut words = self.denied.words();
        if let Some(receipt) = &self.receipt {
            words.push_str(&format!("\n  receipt #{} {}", receipt.sequence, receipt.hash));
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use quorate_intent::decode;
    use quorate_types::Payload;

    use super::*;

    const SIGNATURE: &str = "2d6a7588d6acca505cbf0d9a4a227e0c52c6c34008c8e8986a1283259764173608a2ce6496642e377d6da8dbbf5836e9bd15092f9ecab05ded3d6293af148b571c";

    fn message() -> Decoded {
        decode(&Payload::Message(b"hello".as_slice().into())).unwrap()
    }

    #[test]
    fn an_answer_about_another_digest_is_not_passed_on() {
        let signed = v1::Signed {
            signature: hex::decode(SIGNATURE).unwrap(),
            digest: vec![7; 32],
            ..Default::default()
        };
        let refusal = checked("w".to_owned(), &message(), signed).unwrap_err();
        assert_eq!(refusal.kind.exit_code(), 70);
    }

    #[test]
    fn a_signature_by_another_key_than_the_wallets_is_not_passed_on() {
        let other = "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F";
        let address = "0x857b06519E91e3A54538791bDbb0E22373e36b66".to_owned();
        let wallet = WalletView::from(v1::Wallet { address: address.clone(), ..Default::default() });
        assert!(by_wallet(&address, &wallet, &message()).is_ok());
        assert!(by_wallet(other, &wallet, &message()).is_err());
    }

    #[test]
    fn a_signed_transaction_that_was_not_asked_for_is_not_passed_on() {
        let raw = hex::decode("f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83").unwrap();
        let signer = "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F".parse().unwrap();
        assert!(transaction_hash(&raw, signer, &message()).is_err());
    }
}
