//! Merchants and categories, by the gateway's word.

use std::collections::BTreeMap;

use quorate_policy::{Decision, Facts, Policy, evaluate_stateless};

use crate::rig::{
    AGENT, BASE_SEPOLIA, NOW_S, PAYER, SHOP, STRANGER, address, failures, signed, transfer, wallet, with,
};

const LINES: &str =
    "  merchants: { domains: [api.example.com, \"*.shop.example\"], blocked_categories: [\"gambling*\"] }\n";

type Said<'a> = &'a [(&'a str, &'a str)];

fn decide(said: Option<Said<'_>>, to: &str) -> Decision<quorate_policy::Stateless> {
    let metadata: Option<BTreeMap<String, String>> =
        said.map(|said| said.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect());
    let intent = transfer(BASE_SEPOLIA, to, 1);
    let wallet = wallet();
    let facts = Facts {
        metadata: metadata.as_ref(),
        ..Facts::of(&wallet, &AGENT, address(PAYER), &intent, NOW_S * 1000)
    };
    evaluate_stateless(Some(&signed(&with(LINES))), &facts)
}

fn told(said: Said<'_>) -> Vec<String> {
    failures(decide(Some(said), SHOP)).iter().map(ToString::to_string).collect()
}

const FOOD: (&str, &str) = ("merchant_category", "food");

#[test]
fn a_merchant_on_the_list_and_in_no_blocked_category_is_let_pass() {
    for host in ["api.example.com", "a.shop.example"] {
        let decision = decide(Some(&[("merchant_domain", host), FOOD]), SHOP);
        assert!(matches!(decision, Decision::Allow(_)), "{host}");
    }
}

#[test]
fn another_one_or_none_is_denied() {
    assert_eq!(
        told(&[("merchant_domain", "shop.example"), FOOD]),
        [
            "merchants: the merchant, by the gateway's word, is not on the list (limit api.example.com, *.shop.example, \
          requested \"shop.example\")"
        ]
    );
    assert_eq!(
        told(&[FOOD]),
        [
            "merchants: the gateway names no merchant (limit api.example.com, *.shop.example, requested nothing)"
        ]
    );
    assert_eq!(
        told(&[("merchant_domain", "api.example.com"), ("merchant_category", "Gambling/online")]),
        [
            "merchants: the merchant's category, by the gateway's word, is blocked (limit none of gambling*, requested \
          \"Gambling/online\")"
        ]
    );
    assert_eq!(told(&[]).len(), 2);
    // What is repeated is short and printable.
    let long = told(&[("merchant_domain", &"\u{7}x".repeat(500)), FOOD]).remove(0);
    assert!(long.len() < 400 && !long.contains('\u{7}'), "{long}");
}

/// It is no evidence to a node, and no merchant's name ever allows anything.
#[test]
fn a_process_that_is_not_told_does_not_ask_and_nothing_is_allowed_by_it() {
    assert!(matches!(decide(None, SHOP), Decision::Allow(_)));
    let refused = failures(decide(Some(&[("merchant_domain", "api.example.com"), FOOD]), STRANGER));
    assert_eq!(refused[0].rule, "recipients");
}

#[test]
fn lines_are_refused_by_field() {
    let refusal = |lines: &str| Policy::parse(with(lines).as_bytes()).unwrap_err().to_string();
    for bad in ["*", "*.", "a.*.b", "Example.com", "https://a.b", "a..b", "a.b:80"] {
        assert_eq!(
            refusal(&format!("  merchants: {{ domains: [\"{bad}\"] }}\n")),
            "rules.merchants.domains[0]: expected a host in small letters, with *. before it for all below it",
            "{bad}"
        );
    }
    for bad in ["", "Gambling", "spiel\u{e9}"] {
        assert_eq!(
            refusal(&format!("  merchants: {{ blocked_categories: [\"{bad}\"] }}\n")),
            "rules.merchants.blocked_categories[0]: expected 1 to 64 printable characters without capitals"
        );
    }
}
