//! What a chain or a token takes once, whatever is signed for it: a transaction's nonce, an authorization's, a permit's.

use quorate_types::{B256, Transcript};
use serde::{Deserialize, Serialize};

use crate::{Action, AuthorizationKind, ChainId, Intent};

/// A place that is taken once, and what would take it. Of all payloads with one place at most one ever has an effect;
/// those that also have one effect are one spend, however many of them are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Once {
    /// The place: one nonce of this account, on its chain or in its token.
    pub place: B256,
    /// What would be done there: recipient, value and data, and of an authorization also when it can be used. Not the
    /// fee.
    pub effect: B256,
}

impl Intent {
    /// Where this intent lands and what it does there; `None` where nothing keeps it from having an effect twice.
    pub fn once(&self) -> Option<Once> {
        let chain = self.chain?;
        let effect = self.effect();
        match (&self.action, &self.transaction) {
            (_, Some(terms)) => {
                let place = place("transaction", chain).number(terms.nonce).finish();
                Some(Once { place, effect })
            }
            (Action::TokenTransfer { token, authorization: Some(authorization), .. }, None) => {
                let place = place("authorization", chain).field(token.as_slice());
                Some(Once { place: place.field(authorization.nonce.as_slice()).finish(), effect })
            }
            (Action::TokenPermit { token, nonce, .. }, None) => {
                let place = place("permit", chain).field(token.as_slice());
                Some(Once { place: place.field(&nonce.to_be_bytes::<32>()).finish(), effect })
            }
            _ => None,
        }
    }

    /// All that is done, and by when. Decoding is exact, so what it reads stands for the bytes it was read from.
    fn effect(&self) -> B256 {
        let transcript = Transcript::new("quorate/effect/v1").field(&self.native_value.to_be_bytes::<32>());
        let bound = |bound: Option<u64>| bound.map(u64::to_be_bytes).map_or(Vec::new(), Vec::from);
        let transcript = transcript.field(&bound(self.validity.not_before_s));
        let transcript = transcript.field(&bound(self.validity.not_after_s));
        self.action.told_to(transcript).finish()
    }
}

fn place(kind: &str, chain: ChainId) -> Transcript {
    Transcript::new("quorate/place/v1").field(kind.as_bytes()).number(chain)
}

impl Action {
    /// Exhaustive: a new action must be told apart from all others. An authorization's nonce is its place.
    fn told_to(&self, to: Transcript) -> Transcript {
        match self {
            Action::NativeTransfer { recipient } => to.field(b"native").field(recipient.as_slice()),
            Action::TokenTransfer { token, recipient, amount, authorization } => {
                let kind: &[u8] = match authorization.map(|authorization| authorization.kind) {
                    None => b"transfer",
                    Some(AuthorizationKind::Transfer) => b"transfer authorization",
                    Some(AuthorizationKind::Receive) => b"receive authorization",
                };
                let to = to.field(kind).field(token.as_slice()).field(recipient.as_slice());
                to.field(&amount.to_be_bytes::<32>())
            }
            Action::TokenTransferFrom { token, owner, recipient, amount } => {
                let to = to.field(b"transfer from").field(token.as_slice()).field(owner.as_slice());
                to.field(recipient.as_slice()).field(&amount.to_be_bytes::<32>())
            }
            Action::TokenApprove { token, spender, amount } => {
                let to = to.field(b"approve").field(token.as_slice()).field(spender.as_slice());
                to.field(&amount.to_be_bytes::<32>())
            }
            Action::TokenPermit { token, owner, spender, amount, .. } => {
                let to = to.field(b"permit").field(token.as_slice()).field(owner.as_slice());
                to.field(spender.as_slice()).field(&amount.to_be_bytes::<32>())
            }
            Action::ContractCall { to: contract, data, .. } => {
                to.field(b"call").field(contract.as_slice()).field(data)
            }
            Action::TypedData(data) => {
                to.field(b"typed data").field(data.separator.as_slice()).field(data.struct_hash.as_slice())
            }
            Action::SignIn(sign_in) => {
                to.field(b"sign in").field(sign_in.domain.as_bytes()).field(sign_in.nonce.as_bytes())
            }
            Action::PersonalMessage { bytes, .. } => to.field(b"message").field(bytes),
            Action::RawDigest { digest } => to.field(b"raw digest").field(digest.as_slice()),
        }
    }
}
