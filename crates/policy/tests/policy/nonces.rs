//! The nonce of an authorization, signed for once.

use quorate_intent::{Action, Authorization, Intent, Once};
use quorate_policy::{Decision, evaluate_stateless};
use quorate_types::B256;

use crate::rig::{
    AGENT, BASE, Done, LANDLORD, NOW_S, PAYER, POLICY, SHOP, address, authorization, decide_after, failures,
    signed, transfer, wallet,
};

fn signed_before(intents: &[&Intent]) -> Done {
    Done(vec![], intents.iter().map(|intent| intent.once().unwrap()).collect::<Vec<Once>>())
}

fn with_nonce(mut intent: Intent, byte: u8) -> Intent {
    if let Action::TokenTransfer { authorization: Some(Authorization { nonce, .. }), .. } = &mut intent.action
    {
        *nonce = B256::repeat_byte(byte);
    }
    intent
}

#[test]
fn another_authorization_with_the_same_nonce_is_refused() {
    let first = authorization(BASE, SHOP, 1_000_000, NOW_S + 60);
    let before = signed_before(&[&first]);
    let allowed =
        |intent: &Intent| matches!(decide_after(&before, POLICY, intent, NOW_S * 1000), Decision::Allow(_));
    assert!(allowed(&first), "the same again is the same");
    for other in [
        authorization(BASE, LANDLORD, 1_000_000, NOW_S + 60),
        authorization(BASE, SHOP, 1_000_001, NOW_S + 60),
        authorization(BASE, SHOP, 1_000_000, NOW_S + 61),
    ] {
        assert!(!allowed(&other), "{other:?}");
        assert!(allowed(&with_nonce(other, 1)));
    }
    let other = authorization(BASE, SHOP, 2, NOW_S + 60);
    let refused = failures(decide_after(&before, POLICY, &other, NOW_S * 1000)).remove(0);
    assert_eq!(
        refused.to_string(),
        format!(
            "authorization_nonce: this nonce was signed for with another authorization (limit one authorization a nonce, \
             requested another with nonce {})",
            B256::ZERO
        )
    );
}

#[test]
fn it_is_asked_of_a_ledger_and_of_authorizations_only() {
    let first = authorization(BASE, SHOP, 1, NOW_S + 60);
    let other = authorization(BASE, SHOP, 2, NOW_S + 60);
    // A node without a ledger cannot say.
    let (wallet, now) = (wallet(), NOW_S * 1000);
    let facts = quorate_policy::Facts::of(&wallet, &AGENT, address(PAYER), &other, now);
    assert!(matches!(evaluate_stateless(Some(&signed(POLICY)), &facts), Decision::Allow(_)));
    assert_eq!(transfer(BASE, SHOP, 1).once(), None);
    assert_ne!(first.once().unwrap().effect, other.once().unwrap().effect);
    assert_eq!(first.once().unwrap().place, other.once().unwrap().place);
}
