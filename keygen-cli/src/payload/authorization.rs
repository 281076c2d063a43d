//! An EIP-3009 authorization, as x402 pays with: typed data over the pinned domain of the token.

use alloy_primitives::keccak256;
use quorate_intent::{ChainId, token_by_symbol};
use quorate_types::{Address, B256, Payload, Signature, U256};
use serde::Serialize;
use serde_json::{Value, json};

use super::amount;
use crate::refusal::{OrRefuse, Refusal};

/// Who may submit it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Anyone: `TransferWithAuthorization`, what x402's `exact` scheme uses.
    Transfer,
    /// Only the recipient: `ReceiveWithAuthorization`.
    Receive,
}

impl Kind {
    const fn primary_type(self) -> &'static str {
        match self {
            Kind::Transfer => "TransferWithAuthorization",
            Kind::Receive => "ReceiveWithAuthorization",
        }
    }
}

/// The `authorization` object of an x402 payment. Numbers are decimal text, as x402 writes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Authorization {
    /// The wallet's address.
    pub(crate) from: Address,
    /// Who is paid.
    pub(crate) to: Address,
    /// Base units.
    pub(crate) value: String,
    /// Unix seconds; usable after this.
    pub(crate) valid_after: String,
    /// Unix seconds; usable before this.
    pub(crate) valid_before: String,
    /// Makes it unique: the token accepts each once.
    pub(crate) nonce: B256,
}

/// The token's function that takes an authorization and its signature (EIP-3009).
const CALL: &str =
    "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)";

impl Authorization {
    /// The call to the token by which anybody submits a signed `TransferWithAuthorization`, as ABI data.
    pub(crate) fn call(&self, signature: &Signature) -> Result<Vec<u8>, Refusal> {
        let number = |text: &str| text.parse::<U256>().or_internal("an authorization's number");
        let words = [
            self.from.into_word(),
            self.to.into_word(),
            number(&self.value)?.into(),
            number(&self.valid_after)?.into(),
            number(&self.valid_before)?.into(),
            self.nonce,
            U256::from(signature.v()).into(),
            signature.r(),
            signature.s(),
        ];
        let selector = keccak256(CALL);
        Ok(selector.iter().take(4).copied().chain(words.into_iter().flatten()).collect())
    }
}

/// What is paid, and with which token.
#[derive(Debug, Clone)]
pub(crate) struct Payment {
    /// EIP-155 chain id.
    pub(crate) chain: ChainId,
    /// Symbol of a pinned token.
    pub(crate) asset: String,
    /// Whole units, as a decimal number.
    pub(crate) amount: String,
    /// Who may submit it.
    pub(crate) kind: Kind,
}

impl Payment {
    /// Base units of the amount.
    pub(crate) fn units(&self) -> Result<String, Refusal> {
        let (_, decimals) = amount::asset(self.chain, &self.asset)?;
        Ok(amount::parse(&self.amount, decimals)?.to_string())
    }

    /// The typed data to sign. Name and version of the domain come from the registry, never from a merchant.
    pub(crate) fn payload(&self, authorization: &Authorization) -> Result<Payload, Refusal> {
        let token =
            token_by_symbol(self.chain, &self.asset).filter(|token| token.eip3009).ok_or_else(|| {
                Refusal::invalid(format!(
                    "no pinned token {:?} with EIP-3009 on chain {}",
                    self.asset, self.chain
                ))
                .field("--asset")
            })?;
        let primary = self.kind.primary_type();
        let data = json!({
            "types": types(primary),
            "primaryType": primary,
            "domain": {
                "name": token.domain_name,
                "version": token.domain_version,
                "chainId": token.chain,
                "verifyingContract": token.address,
            },
            "message": authorization,
        });
        serde_json::to_string(&data).map(Payload::TypedData).or_internal("writing the typed data")
    }
}

fn types(primary: &str) -> Value {
    let field = |(name, kind): &(&str, &str)| json!({ "name": name, "type": kind });
    let domain =
        [("name", "string"), ("version", "string"), ("chainId", "uint256"), ("verifyingContract", "address")];
    let message = [
        ("from", "address"),
        ("to", "address"),
        ("value", "uint256"),
        ("validAfter", "uint256"),
        ("validBefore", "uint256"),
        ("nonce", "bytes32"),
    ];
    json!({
        "EIP712Domain": domain.iter().map(field).collect::<Vec<_>>(),
        primary: message.iter().map(field).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_intent::{Action, AuthorizationKind, decode};

    fn example(kind: Kind) -> (Payment, Authorization) {
        // The example of the x402 specification.
        let authorization = Authorization {
            from: "0x857b06519E91e3A54538791bDbb0E22373e36b66".parse().unwrap(),
            to: "0x209693Bc6afc0C5328bA36FaF03C514EF312287C".parse().unwrap(),
            value: "10000".to_owned(),
            valid_after: "1740672089".to_owned(),
            valid_before: "1740672154".to_owned(),
            nonce: "0xf3746613c2d920b5fdabc0856f2aeb2d4f88ee6037b8cc5d04a71a4462f13480".parse().unwrap(),
        };
        let (asset, amount) = ("USDC".to_owned(), "0.01".to_owned());
        (Payment { chain: 84532, asset, amount, kind }, authorization)
    }

    #[test]
    fn has_the_digest_of_the_specification() {
        let (payment, authorization) = example(Kind::Transfer);
        assert_eq!(payment.units().unwrap(), authorization.value);
        let decoded = decode(&payment.payload(&authorization).unwrap()).unwrap();
        assert_eq!(
            hex::encode(decoded.digest.digest()),
            "f256992871671abcb27ff92885a7afa46218724e5fc0bac35d050115aa1d22e6"
        );
    }

    #[test]
    fn the_receiving_kind_is_another_type() {
        let (payment, authorization) = example(Kind::Receive);
        let decoded = decode(&payment.payload(&authorization).unwrap()).unwrap();
        let Action::TokenTransfer { authorization: Some(kind), .. } = decoded.intent.action else { panic!() };
        assert_eq!(kind.kind, AuthorizationKind::Receive);
    }

    #[test]
    fn a_coin_cannot_be_authorized() {
        let (payment, authorization) = example(Kind::Transfer);
        let native = Payment { asset: "native".to_owned(), ..payment };
        assert_eq!(native.payload(&authorization).unwrap_err().field.as_deref(), Some("--asset"));
    }
}
