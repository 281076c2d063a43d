//! Raw digests: by a wallet created for them, under a policy for them, and nothing else there.

use quorate_intent::{Intent, decode};
use quorate_policy::{
    Counted, Decision, Facts, Full, Past, Policy, PolicyError, Tier, diff, evaluate_stateless, lint,
    loosened, tier,
};
use quorate_session::WalletTerms;
use quorate_types::{B256, Payload, U256};

use crate::rig::{
    AGENT, BASE_SEPOLIA, Done, NOW_S, PAYER, POLICY, SHOP, address, decide, evaluate, failures, signed,
    transfer, wallet, with,
};

const NOW: u64 = NOW_S * 1000;
const INSTANT: &str = "  raw_digest: { tier: instant }\n";

/// A policy of these lines and nothing else.
fn raw(lines: &str) -> String {
    format!("policy: quorate/v1\ncluster: example\nwallet: agent-1\nversion: 1\nrules:\n{lines}")
}

fn digest() -> Intent {
    decode(&Payload::RawDigest(B256::repeat_byte(7))).unwrap().intent
}

/// What a wallet says that was created so, to `intent`.
fn decided(created_for_them: bool, body: &str, intent: &Intent) -> Decision<Full> {
    let wallet = wallet();
    let facts =
        Facts { raw_digest: created_for_them, ..Facts::of(&wallet, &AGENT, address(PAYER), intent, NOW) };
    evaluate(Some(&signed(body)), &facts)
}

fn allowed(created_for_them: bool, body: &str, intent: &Intent) -> bool {
    matches!(decided(created_for_them, body, intent), Decision::Allow(_))
}

/// The reason of the rule about raw digests, which fails.
fn reason(created_for_them: bool, body: &str, intent: &Intent) -> String {
    let failures = failures(decided(created_for_them, body, intent));
    let found = failures.into_iter().find(|failure| failure.rule == "raw_digest");
    found.expect("another rule alone denies it").reason
}

#[test]
fn wallet_policy_and_payload_must_all_be_of_this_sort() {
    let (for_them, payment) = (raw(INSTANT), transfer(BASE_SEPOLIA, SHOP, 1));
    assert!(allowed(true, &for_them, &digest()));
    assert!(allowed(false, POLICY, &payment));
    // Every other combination is denied, by name.
    for (created, body, intent, why) in [
        (false, for_them.as_str(), digest(), "the wallet was not created to sign raw digests"),
        (false, POLICY, digest(), "the wallet was not created to sign raw digests"),
        (true, POLICY, digest(), "the policy has no line for raw digests"),
        (true, POLICY, payment.clone(), "the wallet signs raw digests and nothing else"),
        (true, for_them.as_str(), payment.clone(), "the wallet signs raw digests and nothing else"),
        (
            false,
            for_them.as_str(),
            payment,
            "the policy is for a wallet that was created to sign raw digests",
        ),
    ] {
        assert_eq!(reason(created, body, &intent), why);
    }
    let denied = failures(decided(false, POLICY, &digest()));
    assert_eq!(denied.len(), 1, "{denied:?}");
    assert_eq!(denied[0].requested, digest().summary());
}

/// By default: a wallet that nobody created for them, and a policy that says nothing of them.
#[test]
fn they_are_off_where_nothing_is_said() {
    assert!(failures(decide(POLICY, &digest())).iter().any(|failure| failure.rule == "raw_digest"));
    let nothing = raw("").replace("rules:\n", "rules: {}\n");
    assert!(!allowed(true, &nothing, &digest()) && !allowed(false, &nothing, &digest()));
    assert!(matches!(
        evaluate_stateless(
            None,
            &Facts { raw_digest: true, ..Facts::of(&wallet(), &AGENT, address(PAYER), &digest(), NOW) }
        ),
        Decision::Deny(_)
    ));
}

#[test]
fn a_policy_is_taken_by_a_wallet_of_its_sort_only() {
    let sort = |raw_digest| WalletTerms { raw_digest, ..WalletTerms::default() };
    let (for_them, other) =
        (Policy::parse(raw(INSTANT).as_bytes()).unwrap(), Policy::parse(POLICY.as_bytes()).unwrap());
    assert_eq!((for_them.suits(&sort(true)), other.suits(&sort(false))), (Ok(()), Ok(())));
    for refused in [for_them.suits(&sort(false)), other.suits(&sort(true))] {
        let Err(PolicyError::RawDigest(_)) = &refused else { panic!("{refused:?}") };
        assert!(refused.unwrap_err().to_string().starts_with("rules.raw_digest: "));
    }
}

/// What is about money would be a promise that nobody keeps.
#[test]
fn nothing_about_money_stands_beside_them() {
    let lines = [
        ("chains", "  chains: [base]\n"),
        ("per_transaction", "  per_transaction: [{ asset: USDC, chain: base, max: \"1\" }]\n"),
        ("max_fee", "  max_fee: [{ chain: base, max: \"1\" }]\n"),
        ("recipients", "  recipients: [{ address: \"SHOP\", label: shop }]\n"),
        ("max_authorization_lifetime_s", "  max_authorization_lifetime_s: 0\n"),
        (
            "allowances",
            "  allowances: [{ asset: USDC, chain: base, spender: \"SHOP\", label: x, max: \"1\" }]\n",
        ),
        ("calls", "  calls: [{ chain: base, contract: \"SHOP\", label: x, function: \"f()\" }]\n"),
        (
            "typed_data",
            "  typed_data: [{ label: x, domain: { name: N, chain: base }, type: \"T(bool b)\" }]\n",
        ),
        ("messages", "  messages: { texts: [{ label: x, pattern: \"^a$\" }] }\n"),
        ("messages", "  messages: { sign_in: [{ domain: a.example, chain: base }] }\n"),
        ("merchants", "  merchants: { domains: [a.example] }\n"),
        ("merchants", "  merchants: { blocked_categories: [\"g*\"] }\n"),
        ("blocked", "  blocked: [{ address: \"SHOP\", label: x }]\n"),
        (
            "cumulative",
            "  cumulative: [{ asset: USDC, chain: base, max: \"1\", window: { rolling_s: 60 } }]\n",
        ),
        ("tiers", "  tiers: [{ asset: USDC, chain: base, instant: \"1\" }]\n  approval: { threshold: 1 }\n"),
    ];
    for (field, line) in lines {
        let line = line.replace("SHOP", SHOP);
        assert!(
            Policy::parse(with(&line).as_bytes()).is_ok() || POLICY.contains(&format!("  {field}")),
            "{line}"
        );
        let refused = Policy::parse(raw(&format!("{INSTANT}{line}")).as_bytes()).unwrap_err().to_string();
        let expected = format!("rules.{field}: cannot stand beside raw_digest: ");
        assert!(refused.starts_with(&expected), "{refused}");
    }
    let per = "  velocity: [{ max: 1, per: recipient, window: { rolling_s: 60 } }]\n";
    let refused = Policy::parse(raw(&format!("{INSTANT}{per}")).as_bytes()).unwrap_err().to_string();
    assert_eq!(refused, "rules.velocity[0].per: a raw digest names no recipient");
}

#[test]
fn what_is_about_any_signature_may_stand_beside_them() {
    let beside = concat!(
        "  velocity: [{ max: 2, window: { rolling_s: 60 } }]\n",
        "  approval: { threshold: 1 }\n",
        "  active_hours: { timezone: UTC, spans: [{ days: [tue], from: \"00:00\", to: \"24:00\" }] }\n",
        "  not_before: 2023-01-01T00:00:00Z\n  not_after: 2033-01-01T00:00:00Z\n",
        "  conditions: { metadata: [{ name: ticket, type: text }], require: [{ label: x, cedar: 'context.ticket like \"T-*\"' }] }\n",
    );
    let body = raw(&format!("{INSTANT}{beside}"));
    let said = |ticket: &str| Some([("ticket".to_owned(), ticket.to_owned())].into());
    let after = |signatures: usize, now, said: Option<&std::collections::BTreeMap<String, String>>| {
        let (wallet, intent) = (wallet(), digest());
        let past = Past { at: now - 59_999, amount: U256::ONE, payee: None };
        let done = Done(vec![(Counted::Signatures, past); signatures], vec![]);
        let facts = Facts {
            raw_digest: true,
            metadata: said,
            ..Facts::of(&wallet, &AGENT, address(PAYER), &intent, now)
        };
        let decision = quorate_policy::evaluate(Some(&signed(&body)), &facts, &done).unwrap();
        match decision {
            Decision::Allow(_) => vec![],
            Decision::Deny(denial) => denial.failures.into_iter().map(|failure| failure.rule).collect(),
        }
    };
    let (right, wrong) = (said("T-1"), said("none"));
    assert!(after(1, NOW, right.as_ref()).is_empty());
    assert_eq!(after(2, NOW, right.as_ref()), ["velocity"]);
    assert_eq!(after(0, NOW, wrong.as_ref()), ["conditions"]);
    // A day later it is Wednesday; ten years later it is over.
    assert_eq!(after(0, NOW + 86_400_000, right.as_ref()), ["active_hours"]);
    assert!(after(0, NOW + 3650 * 86_400_000, right.as_ref()).contains(&"not_after".to_owned()));
}

#[test]
fn each_tier_asks_what_its_name_says() {
    let body = |line: &str| {
        raw(&format!("  raw_digest: {{ {line} }}\n  approval: {{ threshold: 2, approvers: [anne, ben] }}\n"))
    };
    let decided = |line: &str, approved_by: &[String], held_since| {
        let (wallet, intent) = (wallet(), digest());
        let facts = Facts {
            raw_digest: true,
            approved_by,
            held_since,
            ..Facts::of(&wallet, &AGENT, address(PAYER), &intent, NOW)
        };
        let policy = signed(&body(line));
        let named = tier(policy.policy(), &facts);
        match evaluate(Some(&policy), &facts) {
            Decision::Allow(approval) => {
                assert_eq!(approval.tier(), named);
                (named, None)
            }
            Decision::Deny(denial) => {
                assert!(denial.waits(), "{denial}");
                (named, Some(denial.failures[0].rule.clone()))
            }
        }
    };
    let (both, one) = (["anne", "ben"].map(str::to_owned), ["anne".to_owned()]);
    assert_eq!(decided("tier: instant", &[], None), (Tier::Instant, None));
    assert_eq!(decided("tier: notify", &[], None), (Tier::Notify, None));
    let held = Tier::Delay(60);
    assert_eq!(decided("tier: delay, delay_s: 60", &[], None), (held, Some("delay".to_owned())));
    assert_eq!(
        decided("tier: delay, delay_s: 60", &[], Some(NOW - 59_999)),
        (held, Some("delay".to_owned()))
    );
    assert_eq!(decided("tier: delay, delay_s: 60", &[], Some(NOW - 60_000)), (held, None));
    assert_eq!(decided("tier: approval", &one, None), (Tier::Approval, Some("approval".to_owned())));
    assert_eq!(decided("tier: approval", &both, None), (Tier::Approval, None));
}

#[test]
fn a_line_that_cannot_be_right_names_its_field() {
    for (lines, expected) in [
        ("  raw_digest: { tier: delay }\n", "rules.raw_digest.delay_s: missing: for how long is it held?"),
        (
            "  raw_digest: { tier: notify, delay_s: 60 }\n",
            "rules.raw_digest.delay_s: without delay it has no meaning",
        ),
        ("  raw_digest: { tier: delay, delay_s: 59 }\n", "rules.raw_digest.delay_s: must be 60 to 604800"),
        (
            "  raw_digest: { tier: delay, delay_s: 604801 }\n",
            "rules.raw_digest.delay_s: must be 60 to 604800",
        ),
        ("  raw_digest: { tier: approval }\n", "rules.approval: missing: rules.raw_digest asks for it"),
    ] {
        assert_eq!(Policy::parse(raw(lines).as_bytes()).unwrap_err().to_string(), expected);
    }
    for lines in
        ["  raw_digest:\n", "  raw_digest: {}\n", "  raw_digest: true\n", "  raw_digest: { tier: none }\n"]
    {
        assert!(matches!(Policy::parse(raw(lines).as_bytes()), Err(PolicyError::Yaml(_))), "{lines}");
    }
}

#[test]
fn authors_are_told_what_it_means() {
    let told = |lines: &str| -> Vec<String> {
        lint(raw(lines).as_bytes())
            .into_iter()
            .map(|finding| format!("{} {}", finding.path, finding.message))
            .collect()
    };
    let said = told(INSTANT);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].starts_with("rules.raw_digest ") && said[0].contains("keep no money"), "{said:?}");
    assert!(said[1].starts_with("rules.velocity "), "{said:?}");
    let line = "  velocity: [{ max: 1, window: { rolling_s: 60 } }]\n";
    assert_eq!(told(&format!("{INSTANT}{line}")).len(), 1);
}

const TIERS: [&str; 7] = [
    "tier: instant",
    "tier: notify",
    "tier: delay, delay_s: 60",
    "tier: delay, delay_s: 600",
    "tier: approval }\n  approval: { threshold: 1, approvers: [anne]",
    "tier: approval }\n  approval: { threshold: 2, approvers: [anne, ben]",
    "tier: approval }\n  approval: { threshold: 1, approvers: [ben]",
];

/// Each change of the line, in each state of the world that tells them apart.
#[test]
fn what_is_not_looser_allows_nothing_that_was_denied() {
    let policies = TIERS.map(|line| signed(&raw(&format!("  raw_digest: {{ {line} }}\n"))));
    let nothing = signed(&raw("").replace("rules:\n", "rules: {}\n"));
    let (wallet, intent) = (wallet(), digest());
    let mut looser_for_real = 0;
    for old in policies.iter().chain([&nothing]) {
        for new in policies.iter().chain([&nothing]) {
            let named = loosened(old.policy(), new.policy());
            assert_eq!(old == new, diff(old.policy(), new.policy()).is_empty());
            for names in [
                vec![],
                vec!["anne".to_owned()],
                vec!["ben".to_owned()],
                vec!["anne".to_owned(), "ben".to_owned()],
            ] {
                for held_since in [None, Some(NOW - 60_000), Some(NOW - 600_000), Some(NOW - 86_500_000)] {
                    let facts = Facts {
                        raw_digest: true,
                        approved_by: &names,
                        held_since,
                        ..Facts::of(&wallet, &AGENT, address(PAYER), &intent, NOW)
                    };
                    let allows = |policy| matches!(evaluate(Some(policy), &facts), Decision::Allow(_));
                    let looser = allows(new) && !allows(old);
                    looser_for_real += u32::from(looser);
                    assert!(!looser || !named.is_empty(), "{:?} to {:?}", old.policy(), new.policy());
                }
            }
        }
    }
    assert!(looser_for_real > 100, "{looser_for_real}");
    // Whoever is told must go on being told; and what needs more is no loosening.
    let named = |old: usize, new: usize| loosened(policies[old].policy(), policies[new].policy());
    assert_eq!(named(1, 0), ["raw_digest"]);
    assert_eq!(named(5, 4), ["approval"]);
    assert!(named(0, 1).is_empty() && named(0, 4).is_empty() && named(1, 2).is_empty());
    let told = diff(policies[0].policy(), policies[2].policy());
    assert_eq!(
        format!("{:?} {} {} {}", told[0].direction, told[0].field, told[0].old, told[0].new),
        "Tighter raw_digest tier instant delay of 60 s"
    );
}
