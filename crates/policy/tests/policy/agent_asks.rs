//! Wallets that take their agent's word only. What makes it the agent's is asked in `quorate-session`; what becomes of it
//! where it is not, here.

use quorate_intent::Intent;
use quorate_policy::{Asked, Decision, Facts, RuleFailure, codes, evaluate_stateless};
use quorate_session::{AgentKey, AgentRequest, AgentSignature, AskError};
use quorate_types::B256;

use crate::rig::{
    AGENT, BASE_SEPOLIA, NOW_S, PAYER, POLICY, SHOP, STRANGER, address, evaluate, failures, signed, transfer,
    wallet,
};

const NOW: u64 = NOW_S * 1000;
const SOON: u64 = NOW + 60_000;

fn key(seed: u8) -> AgentKey {
    AgentKey::from_bytes([seed; 32].into())
}

/// The word of whoever has the key `seed`, for payload 7 unless said otherwise.
fn word(seed: u8, payload: u8) -> AgentSignature {
    let (cluster, wallet) = ("example".parse().unwrap(), wallet());
    let payload_hash = B256::repeat_byte(payload);
    let idempotency_key = "order-17";
    key(seed).ask(&AgentRequest { cluster: &cluster, wallet: &wallet, payload_hash, idempotency_key }, SOON)
}

/// Whose word a request for payload 7 is, to a wallet that takes the first agent's, or anybody's.
fn whose(agents: bool, signature: Option<&AgentSignature>, now: u64) -> Asked {
    let (cluster, wallet, ours) = ("example".parse().unwrap(), wallet(), key(1).public());
    let (payload_hash, idempotency_key) = (B256::repeat_byte(7), "order-17");
    let request = AgentRequest { cluster: &cluster, wallet: &wallet, payload_hash, idempotency_key };
    Asked::check(agents.then_some(&ours), &request, signature, now)
}

/// What fails of it: the same for whoever has a ledger and for a node without one.
fn told(asked: Asked, intent: &Intent) -> Vec<RuleFailure> {
    let (wallet, policy) = (wallet(), signed(POLICY));
    let facts = Facts { asked, ..Facts::of(&wallet, &AGENT, address(PAYER), intent, NOW) };
    match (evaluate(Some(&policy), &facts), evaluate_stateless(Some(&policy), &facts)) {
        (Decision::Allow(_), Decision::Allow(_)) => Vec::new(),
        (full, stateless) => {
            let full = failures(full);
            assert_eq!(full, failures(stateless));
            full
        }
    }
}

fn rules(asked: Asked, to: &str) -> Vec<String> {
    told(asked, &transfer(BASE_SEPOLIA, to, 1)).into_iter().map(|failure| failure.rule).collect()
}

#[test]
fn the_agents_own_word_passes_and_so_does_anybodys_where_the_wallet_has_no_key() {
    assert_eq!(whose(true, Some(&word(1, 7)), NOW), Asked::Agent);
    assert_eq!(whose(false, None, NOW), Asked::Gateway);
    assert_eq!(whose(false, Some(&word(2, 8)), NOW), Asked::Gateway, "nobody's key, so nobody's word");
    for taken in [Asked::Agent, Asked::Gateway] {
        assert!(rules(taken, SHOP).is_empty());
        assert_eq!(rules(taken, STRANGER), [codes::RECIPIENTS], "it allows nothing by itself");
    }
}

#[test]
fn any_other_word_is_denied_with_its_reason() {
    let good = word(1, 7);
    let longer = AgentSignature { expires_at: SOON + 1, ..good.clone() };
    for (asked, error, reason) in [
        (whose(true, None, NOW), AskError::Missing, "it carries no signature of the agent's"),
        (
            whose(true, Some(&word(2, 7)), NOW),
            AskError::Signature,
            "the signature is not by the agent's key over this request",
        ),
        (
            whose(true, Some(&word(1, 8)), NOW),
            AskError::Signature,
            "the signature is not by the agent's key over this request",
        ),
        (
            whose(true, Some(&longer), NOW),
            AskError::Signature,
            "the signature is not by the agent's key over this request",
        ),
        (whose(true, Some(&good), SOON), AskError::Expired, "the agent's request has expired"),
    ] {
        assert_eq!(asked, Asked::Nobody(error));
        let failure = told(asked, &transfer(BASE_SEPOLIA, SHOP, 1)).remove(0);
        assert_eq!(
            failure.to_string(),
            format!(
                "agent_signature: {reason} (limit requests signed with the agent's key, requested this request)"
            )
        );
        assert_eq!(rules(asked, SHOP), ["agent_signature"]);
        assert_eq!(rules(asked, STRANGER), ["agent_signature", "recipients"], "and every other rule is told");
    }
}
