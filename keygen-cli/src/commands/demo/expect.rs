//! What each step of the story must come to.

use quorate_types::Address;

use crate::refusal::Refusal;
use crate::signing::{DeniedView, Outcome, SignedView};
use crate::views::WalletView;

/// It must be signed, by the wallet's own key.
pub(super) fn signed(outcome: Outcome, by: &WalletView) -> Result<SignedView, Refusal> {
    let signed = match outcome {
        Outcome::Signed(signed) => *signed,
        Outcome::Denied(denied) => {
            return Err(Refusal::internal(format!("a payment inside policy was denied: {}", denied.words())));
        }
        Outcome::Waiting(held) => {
            return Err(Refusal::internal(format!("a payment inside policy waits: {}", held.words())));
        }
    };
    if address(&signed.signer)? != address(&by.address)? {
        let reason = format!("ecrecover says {}, the wallet is {}", signed.signer, by.address);
        return Err(Refusal::internal(reason));
    }
    Ok(signed)
}

/// It must be denied, by exactly this one rule, with its limit and what was asked.
pub(super) fn denied(outcome: Outcome, rule: &str) -> Result<DeniedView, Refusal> {
    let denied = match outcome {
        Outcome::Denied(denied) => denied,
        Outcome::Waiting(held) => {
            return Err(Refusal::internal(format!("a payment outside policy waits: {}", held.words())));
        }
        Outcome::Signed(signed) => {
            return Err(Refusal::internal(format!(
                "a payment outside policy was SIGNED: {}",
                signed.summary
            )));
        }
    };
    match denied.denied.failures.as_slice() {
        [failure] if failure.rule == rule && !failure.reason.is_empty() => Ok(denied),
        _ => Err(Refusal::internal(format!("expected one failing rule, {rule}: {}", denied.words()))),
    }
}

fn address(text: &str) -> Result<Address, Refusal> {
    text.parse().map_err(|_| Refusal::internal(format!("{text:?} is not an address")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::{DenialView, FailureView};

    fn denial(rules: &[&str]) -> Outcome {
        let failure = |rule: &&str| FailureView {
            rule: (*rule).to_owned(),
            reason: "why".to_owned(),
            limit: "25".to_owned(),
            requested: "30".to_owned(),
            used: String::new(),
            resets_at_ms: None,
        };
        let failures = rules.iter().map(failure).collect();
        let (decided_by, policy_hash) = ("coordinator".to_owned(), String::new());
        Outcome::Denied(DeniedView {
            wallet: "w".to_owned(),
            denied: DenialView { decided_by, policy_hash, failures },
            receipt: None,
            idempotency_key: "k".to_owned(),
            repeated_answer: false,
        })
    }

    #[test]
    fn a_denial_must_be_for_the_expected_rule_alone() {
        assert!(denied(denial(&["per_transaction"]), "per_transaction").is_ok());
        assert!(denied(denial(&["recipients"]), "per_transaction").is_err());
        assert!(denied(denial(&["per_transaction", "recipients"]), "per_transaction").is_err());
        assert!(denied(denial(&[]), "per_transaction").is_err());
    }

    #[test]
    fn a_denial_is_no_signature() {
        let wallet = WalletView::from(quorate_proto::v1::Wallet::default());
        assert!(signed(denial(&["per_transaction"]), &wallet).is_err());
    }
}
