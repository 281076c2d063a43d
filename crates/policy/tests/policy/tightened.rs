//! What a change is gated on: where it says "not looser", nothing is allowed that was not.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use quorate_intent::{Action, Intent, selector};
use quorate_manifest::{Namespace, SignedDocument};
use quorate_policy::{Counted, Decision, Direction, Facts, Past, Policy, SignedPolicy, diff, loosened};
use quorate_types::{Bytes, U256};

use crate::rig::{
    AGENT, BASE, BASE_SEPOLIA, Done, Fleet, LANDLORD, NOW_S, PAYER, POLICY, SHOP, STRANGER, address, asset,
    authorization, native, other, swap, transfer, usdc, wallet, with,
};

const NOW: u64 = NOW_S * 1000;
const USDC: u64 = 1_000_000;

/// Each field of a policy, with what it may say: one of these stands in each policy.
fn fields() -> Vec<Vec<String>> {
    [allowing(), limiting()].concat()
}

fn list(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

fn people(name: &str) -> Vec<String> {
    let line = |rest: &str| format!("  {name}: [{{ address: \"{SHOP}\", label: x{rest} }}]\n");
    vec![String::new(), line(""), line("y"), line(", chains: [base]"), line(", chains: [base, base-sepolia]")]
}

fn allowing() -> Vec<Vec<String>> {
    let call = |label: &str, most: u64| {
        format!(
            "  calls: [{{ chain: base, contract: \"{LANDLORD}\", label: {label}, function: \"f(uint256)\", arguments: [{{ at: 0, at_most: \"{most}\" }}] }}]\n"
        )
    };
    let allowance = |most: u64| {
        format!(
            "  allowances: [{{ asset: USDC, chain: base, spender: \"{STRANGER}\", label: x, max: \"{most}\" }}]\n"
        )
    };
    vec![
        list(&["  chains: [base, base-sepolia]\n", "  chains: [base]\n", ""]),
        list(&[
            "  per_transaction: [{ asset: USDC, chain: base, max: \"9\" }, { asset: ETH, chain: base, max: \"1\" }]\n",
            "  per_transaction: [{ asset: USDC, chain: base, max: \"5\" }, { asset: ETH, chain: base, max: \"1\" }]\n",
            "  per_transaction: [{ asset: USDC, chain: base, max: \"9\" }]\n",
            "",
        ]),
        list(&[
            "  max_fee: [{ chain: base, max: \"1\" }]\n",
            "  max_fee: [{ chain: base, max: \"0.0001\" }]\n",
            "  max_fee: [{ chain: base, max: \"1\", max_gas: 9 }]\n",
            "  max_fee: [{ chain: base, max: \"1\", max_gas: 5 }]\n",
            "  max_fee: [{ chain: base, max: \"1\", max_per_gas_gwei: \"1\" }]\n",
            "",
        ]),
        people("recipients"),
        list(&["  max_authorization_lifetime_s: 3600\n", "  max_authorization_lifetime_s: 60\n", ""]),
        vec![String::new(), allowance(5), allowance(9)],
        vec![String::new(), call("x", 5), call("y", 5), call("x", 9)],
        list(&[
            "",
            "  messages: { texts: [{ label: x, pattern: \"^a$\" }] }\n",
            "  messages: { texts: [{ label: y, pattern: \"^a$\" }, { label: x, pattern: \"^b$\" }] }\n",
        ]),
    ]
}

fn limiting() -> Vec<Vec<String>> {
    vec![
        list(&[
            "",
            "  merchants: { domains: [a.example] }\n",
            "  merchants: { domains: [a.example, b.example] }\n",
            "  merchants: { blocked_categories: [\"g*\"] }\n",
            "  merchants: { domains: [a.example], blocked_categories: [\"g*\", \"h\"] }\n",
        ]),
        conditions(),
        people("blocked"),
        list(&[
            "",
            "  cumulative: [{ asset: USDC, chain: base, max: \"9\", window: { rolling_s: 60 } }]\n",
            "  cumulative: [{ asset: USDC, chain: base, max: \"7\", window: { rolling_s: 60 } }]\n",
            "  cumulative: [{ asset: USDC, chain: base, max: \"9\", window: { rolling_s: 600 } }]\n",
            "  cumulative: [{ asset: USDC, chain: base, max: \"7\", window: { rolling_s: 60 }, per: recipient }]\n",
            "  cumulative: [{ asset: USDC, chain: base, max: \"7\", window: { rolling_s: 60 }, per: agent }]\n",
            "  cumulative: [{ asset: USDC, chain: base, max: \"9\", window: { rolling_s: 60 } }, { asset: ETH, chain: base, max: \"1\", fees: true, window: { calendar: day, timezone: UTC } }]\n",
        ]),
        list(&[
            "",
            "  velocity: [{ max: 1, window: { rolling_s: 60 } }]\n",
            "  velocity: [{ max: 2, window: { rolling_s: 60 } }]\n",
            "  velocity: [{ max: 2, window: { rolling_s: 600 } }]\n",
            "  velocity: [{ max: 2, denied: true, window: { rolling_s: 60 } }]\n",
            "  velocity: [{ max: 2, per: agent, window: { rolling_s: 60 } }]\n",
            "  velocity: [{ max: 1, window: { rolling_s: 60 } }, { max: 2, per: agent, denied: true, window: { rolling_s: 60 } }]\n",
            "  velocity: [{ max: 1, window: { rolling_s: 60 } }, { max: 3, denied: true, window: { rolling_s: 60 } }]\n",
        ]),
        list(&[
            "",
            "  tiers: [{ asset: USDC, chain: base, instant: \"1\", delay: \"6\", delay_s: 60 }]\n  approval: { threshold: 1, approvers: [ann], timeout_s: 600 }\n",
            "  tiers: [{ asset: USDC, chain: base, instant: \"5\", delay: \"6\", delay_s: 60 }]\n  approval: { threshold: 1, approvers: [ann], timeout_s: 600 }\n",
            "  tiers: [{ asset: USDC, chain: base, instant: \"5\", delay: \"6\", delay_s: 60 }]\n  approval: { threshold: 2, approvers: [ann, ben], timeout_s: 600 }\n",
            "  tiers: [{ asset: USDC, chain: base, instant: \"5\" }, { asset: ETH, chain: base, instant: \"0.1\" }]\n  approval: { threshold: 1, timeout_s: 600 }\n",
        ]),
        list(&[
            "",
            "  active_hours: { timezone: UTC, spans: [{ days: [tue], from: \"00:00\", to: \"24:00\" }] }\n",
            "  active_hours: { timezone: UTC, spans: [{ days: [tue, wed], from: \"00:00\", to: \"24:00\" }] }\n",
        ]),
        list(&["", "  not_before: 2023-01-01T00:00:00Z\n", "  not_before: 2023-11-15T00:00:00Z\n"]),
        list(&["", "  not_after: 2033-01-01T00:00:00Z\n", "  not_after: 2023-11-15T00:00:00Z\n"]),
    ]
}

fn conditions() -> Vec<String> {
    let surer = |than: &str| {
        format!("{{ label: x{than}, cedar: 'context.confidence.greaterThan(decimal(\"{than}\"))' }}")
    };
    let lines = |require: &[String]| {
        let require = require.join(", ");
        format!(
            "  conditions: {{ metadata: [{{ name: confidence, type: decimal }}], require: [{require}] }}\n"
        )
    };
    vec![String::new(), lines(&[surer("0.8")]), lines(&[surer("0.3")]), lines(&[surer("0.3"), surer("0.8")])]
}

fn body(fields: &[Vec<String>], chosen: &[Index]) -> String {
    let rules: String =
        fields.iter().zip(chosen).map(|(says, at)| says[at.index(says.len())].as_str()).collect();
    format!(
        "policy: quorate/v1\ncluster: example\nwallet: agent-1\nversion: 1\nrules:\n  chains: []\n{rules}"
    )
    .replacen("  chains: []\n  chains:", "  chains:", 1)
}

fn policy(body: &str) -> SignedPolicy {
    let document = SignedDocument { body: body.into(), signatures: vec![] };
    SignedPolicy::restore(&document, document.hash(Namespace::Policy)).unwrap()
}

fn requests() -> Vec<Intent> {
    let fee = U256::from(10u64.pow(15));
    let amounts = [1, 5, 6, 9].map(|whole| whole * USDC);
    let mut all = Vec::new();
    for payee in [SHOP, STRANGER] {
        all.extend(amounts.map(|amount| transfer(BASE, payee, amount)));
        all.push(transfer(BASE_SEPOLIA, payee, USDC));
        all.extend([10u64.pow(16), 10u64.pow(18)].map(|wei| native(BASE, payee, wei)));
        all.extend([60, 3600].map(|left| authorization(BASE, payee, 5 * USDC, NOW_S + left)));
        all.extend([5, 9].map(|most| {
            let action = Action::TokenApprove {
                token: usdc(BASE),
                spender: address(payee),
                amount: U256::from(most * USDC),
            };
            Intent { max_native_fee: fee, ..other(BASE, action) }
        }));
    }
    all.extend([5u64, 9].map(|argument| {
        let data = [selector("f(uint256)").to_vec(), U256::from(argument).to_be_bytes_vec()].concat();
        let action = Action::ContractCall {
            to: address(LANDLORD),
            selector: data.first_chunk().copied(),
            data: Bytes::from(data),
        };
        Intent { max_native_fee: fee, ..other(BASE, action) }
    }));
    all.extend(["a", "b"].map(|text| {
        let action = Action::PersonalMessage {
            bytes: Bytes::copy_from_slice(text.as_bytes()),
            text: Some(text.to_owned()),
        };
        Intent { chain: None, ..other(BASE, action) }
    }));
    all
}

/// What is known beside the request.
#[derive(Debug, Clone)]
struct World {
    now: u64,
    said: Option<BTreeMap<String, String>>,
    approved_by: Vec<String>,
    held_since: Option<u64>,
    done: Fleet,
}

fn world() -> impl Strategy<Value = World> {
    let said = prop::sample::select(
        &[
            None,
            Some(("a.example", "f", "0.9")),
            Some(("b.example", "f", "0.5")),
            Some(("a.example", "h", "0.9")),
            Some(("a.example", "f", "0.1")),
        ][..],
    );
    let names = prop::sample::select(vec![vec![], vec!["ann"], vec!["ann", "ben"], vec!["zoe"]]);
    let now = prop_oneof![4 => Just(NOW), 1 => Just(NOW + 86_400_000), 1 => Just(NOW + 400 * 86_400_000)];
    let past = || (prop::sample::select(&[10_000u64, 300_000][..]), 0u64..6, any::<bool>());
    let pasts = || prop::collection::vec(past(), 0..3);
    (now, said, names, any::<bool>(), pasts(), pasts()).prop_map(|(now, said, names, held, own, others)| {
        World {
            now,
            said: said.map(|(domain, category, confidence)| {
                let said = [
                    ("merchant_domain", domain),
                    ("merchant_category", category),
                    ("confidence", confidence),
                ];
                said.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
            }),
            approved_by: names.iter().map(|name| (*name).to_owned()).collect(),
            held_since: held.then_some(now - 60_000),
            done: Fleet { own: Done(did(now, own), vec![]), others: did(now, others) },
        }
    })
}

fn did(now: u64, past: Vec<(u64, u64, bool)>) -> Vec<(Counted, Past)> {
    let each = |(ago, amount, shop): (u64, u64, bool)| {
        let at = now - ago;
        let payee = shop.then(|| address(SHOP));
        let spent = Past { at, amount: U256::from(amount * USDC), payee };
        [
            (Counted::Asset(asset(BASE, Some(usdc(BASE)))), spent),
            (Counted::Signatures, Past { at, amount: U256::ONE, payee }),
            (Counted::Denied, Past { at, amount: U256::ONE, payee: None }),
        ]
    };
    past.into_iter().flat_map(each).collect()
}

fn allowed(policy: &SignedPolicy, intent: &Intent, world: &World) -> bool {
    let wallet = wallet();
    let facts = Facts {
        approved_by: &world.approved_by,
        held_since: world.held_since,
        metadata: world.said.as_ref(),
        ..Facts::of(&wallet, &AGENT, address(PAYER), intent, world.now)
    };
    matches!(quorate_policy::evaluate(Some(policy), &facts, &world.done).unwrap(), Decision::Allow(_))
}

#[test]
fn what_is_not_looser_allows_nothing_that_was_denied() {
    let (fields, requests) = (fields(), requests());
    let mut runner = TestRunner::deterministic();
    let mut draw = |strategy: BoxedStrategy<Vec<Index>>| strategy.new_tree(&mut runner).unwrap().current();
    let indices = |count: usize| prop::collection::vec(any::<Index>(), count).boxed();
    let mut worlds = TestRunner::deterministic();
    let (mut tighter, mut allowed_under_tighter, mut looser_for_real) = (0, 0, 0);
    for _ in 0..2400 {
        let before = draw(indices(fields.len()));
        let mut after = before.clone();
        for at in draw(indices(2)) {
            after[at.index(fields.len())] = draw(indices(1))[0];
        }
        let (old, new) = (body(&fields, &before), body(&fields, &after));
        let (old, new) = (policy(&old), policy(&new));
        let loosened = loosened(old.policy(), new.policy());
        let told = diff(old.policy(), new.policy());
        if loosened.is_empty() {
            assert!(told.iter().all(|change| change.direction == Direction::Tighter), "{told:?}");
            tighter += 1;
        }
        for pick in draw(indices(24)) {
            let intent = &requests[pick.index(requests.len())];
            let world = world().new_tree(&mut worlds).unwrap().current();
            let (was, is) = (allowed(&old, intent, &world), allowed(&new, intent, &world));
            allowed_under_tighter += u32::from(loosened.is_empty() && is);
            looser_for_real += u32::from(is && !was);
            assert!(
                was || !is || !loosened.is_empty(),
                "{intent:?} in {world:?}\n{}\n{}",
                String::from_utf8_lossy(&old.document().body),
                String::from_utf8_lossy(&new.document().body)
            );
        }
    }
    // The draws were such that a wrong answer could have shown.
    assert!(tighter > 300, "{tighter}");
    assert!(allowed_under_tighter > 100, "{allowed_under_tighter}");
    assert!(looser_for_real > 100, "{looser_for_real}");
}

#[test]
fn every_field_that_says_more_is_named() {
    let named = |old: &str, new: &str| {
        let parse = |body: &str| Policy::parse(body.as_bytes()).unwrap();
        loosened(&parse(old), &parse(new))
    };
    assert!(named(POLICY, &swap("version: 3", "version: 4")).is_empty());
    assert!(named(POLICY, &swap("label: shop", "label: other")).is_empty());
    let cases = [
        (swap("cluster: example", "cluster: other"), "cluster"),
        (swap("wallet: agent-1", "wallet: agent-2"), "wallet"),
        (swap("chains: [base, base-sepolia]", "chains: [base, base-sepolia, polygon]"), "chains"),
        (swap("max: \"25.00\"", "max: \"25.000001\""), "per_transaction"),
        (swap("max: \"0.002\"", "max: \"0.003\""), "max_fee"),
        (swap("label: landlord, chains: [base]", "label: landlord"), "recipients"),
        (swap("_s: 3600", "_s: 3601"), "max_authorization_lifetime_s"),
        (with("  messages: { texts: [{ label: x, pattern: \"^a$\" }] }\n"), "messages.texts"),
        (
            with("  messages: { sign_in: [{ domain: a.example, chain: base, max_lifetime_s: 60 }] }\n"),
            "messages.sign_in",
        ),
        (
            with("  typed_data: [{ label: x, domain: { name: N, chain: base }, type: \"T(bool b)\" }]\n"),
            "typed_data",
        ),
    ];
    for (new, field) in cases {
        assert_eq!(named(POLICY, &new), [field]);
        if !["cluster", "wallet"].contains(&field) {
            assert!(named(&new, POLICY).is_empty(), "{field} is tighter the other way round");
        }
    }
    // Limits: looser where they go.
    let fields = fields();
    let limits = [
        "merchants",
        "conditions",
        "blocked",
        "cumulative",
        "velocity",
        "tiers",
        "active_hours",
        "not_before",
        "not_after",
    ];
    for (says, field) in fields[8..].iter().zip(limits) {
        for line in &says[1..] {
            assert!(named(&with(line), POLICY).contains(&field), "{line}");
            assert!(named(POLICY, &with(line)).is_empty(), "{line}");
        }
    }
}
