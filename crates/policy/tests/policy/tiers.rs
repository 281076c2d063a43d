//! Tiers: at once, told, held, approved; and what a policy may say of them.

use quorate_policy::{
    Decision, Facts, Full, HOLD_LAPSES_MS, Policy, RuleFailure, Tier, evaluate_stateless, hold, tier,
};
use quorate_types::UnixMillis;

use crate::rig::{
    AGENT, BASE, BASE_SEPOLIA, NOW_S, PAYER, SHOP, STRANGER, address, evaluate, failures, native, signed,
    transfer, wallet, with,
};

const NOW: UnixMillis = NOW_S * 1000;

/// USDC on Base Sepolia: 1 at once, 5 told, 10 after ten minutes, more with two of anne, ben and cleo.
fn body() -> String {
    with(
        "  tiers:\n    - { asset: USDC, chain: base-sepolia, instant: \"1\", notify: \"5\", delay: \"10\", delay_s: 600 }\n  \
         approval: { threshold: 2, approvers: [anne, ben, cleo], timeout_s: 3600 }\n",
    )
}

fn people(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn decided(body: &str, amount: u64, approved_by: &[&str], held_since: Option<UnixMillis>) -> Decision<Full> {
    let (wallet, intent, approved_by) = (wallet(), transfer(BASE_SEPOLIA, SHOP, amount), people(approved_by));
    let facts = Facts {
        approved_by: &approved_by,
        held_since,
        ..Facts::of(&wallet, &AGENT, address(PAYER), &intent, NOW)
    };
    evaluate(Some(&signed(body)), &facts)
}

fn allowed(amount: u64, approved_by: &[&str], held_since: Option<UnixMillis>) -> Tier {
    match decided(&body(), amount, approved_by, held_since) {
        Decision::Allow(approval) => approval.tier(),
        Decision::Deny(denial) => panic!("{denial}"),
    }
}

/// The only failure, of a denial that waits.
fn waits(amount: u64, approved_by: &[&str], held_since: Option<UnixMillis>) -> RuleFailure {
    match decided(&body(), amount, approved_by, held_since) {
        Decision::Allow(approval) => panic!("allowed: {approval:?}"),
        Decision::Deny(denial) => {
            assert!(denial.waits(), "{denial}");
            assert_eq!(denial.failures.len(), 1, "{denial}");
            denial.failures[0].clone()
        }
    }
}

#[test]
fn the_amount_decides_to_the_last_base_unit() {
    assert_eq!(allowed(1_000_000, &[], None), Tier::Instant);
    assert_eq!(allowed(1_000_001, &[], None), Tier::Notify);
    assert_eq!(allowed(5_000_000, &[], None), Tier::Notify);
    assert_eq!(waits(5_000_001, &[], None).rule, "delay");
    assert_eq!(waits(10_000_000, &[], None).rule, "delay");
    assert_eq!(waits(10_000_001, &[], None).rule, "approval");
}

#[test]
fn a_hold_ends_to_the_millisecond_and_lapses() {
    let wait = 600_000;
    assert_eq!(waits(10_000_000, &[], None).resets_at_ms, Some(NOW + wait), "it begins now");
    let running = waits(10_000_000, &[], Some(NOW - wait + 1));
    assert_eq!((running.resets_at_ms, running.used.as_deref()), (Some(NOW + 1), Some("599.999 s")));
    assert_eq!(allowed(10_000_000, &[], Some(NOW - wait)), Tier::Delay(600));
    let last = NOW - wait - HOLD_LAPSES_MS;
    assert_eq!(allowed(10_000_000, &[], Some(last)), Tier::Delay(600));
    assert_eq!(waits(10_000_000, &[], Some(last - 1)).resets_at_ms, Some(NOW + wait), "and begins anew");
    assert_eq!(waits(10_000_000, &[], Some(NOW + 1)).resets_at_ms, Some(NOW + wait), "never in the future");
    assert_eq!(waits(10_000_000, &["anne", "ben"], None).rule, "delay", "people do not shorten it");
}

#[test]
fn enough_of_those_named_approve() {
    let failure = waits(20_000_000, &["anne"], None);
    assert_eq!((failure.limit.as_str(), failure.used.as_deref()), ("2 of anne, ben, cleo", Some("1 so far")));
    assert!(failure.requested.contains("20 USDC"), "{failure}");
    assert_eq!(waits(20_000_000, &["anne", "zoe"], None).rule, "approval", "not everyone's yes counts");
    assert_eq!(waits(20_000_000, &[], Some(0)).rule, "approval", "no waiting makes up for it");
    assert_eq!(allowed(20_000_000, &["ben", "cleo"], None), Tier::Approval);
    assert_eq!(allowed(20_000_000, &["ben", "zoe", "anne"], None), Tier::Approval);
    let anyone = body().replace("approvers: [anne, ben, cleo], ", "");
    assert!(matches!(decided(&anyone, 20_000_000, &["zoe", "yan"], None), Decision::Allow(_)));
}

#[test]
fn people_approve_nothing_that_policy_denies() {
    let (wallet, yes) = (wallet(), people(&["anne", "ben"]));
    for intent in [transfer(BASE_SEPOLIA, SHOP, 25_000_001), transfer(BASE_SEPOLIA, STRANGER, 20_000_000)] {
        let facts = Facts { approved_by: &yes, ..Facts::of(&wallet, &AGENT, address(PAYER), &intent, NOW) };
        let Decision::Deny(denial) = evaluate(Some(&signed(&body())), &facts) else { panic!("allowed") };
        assert!(!denial.waits(), "{denial}");
        let facts = Facts { approved_by: &[], ..facts };
        let Decision::Deny(denial) = evaluate(Some(&signed(&body())), &facts) else { panic!("allowed") };
        assert!(!denial.waits(), "what no approval would help is denied, not kept waiting: {denial}");
    }
}

/// A node without a ledger asks for people, and leaves holds to those that have one.
#[test]
fn the_agent_node_counts_approvals_too() {
    let (wallet, policy) = (wallet(), signed(&body()));
    let rules = |amount| {
        let intent = transfer(BASE_SEPOLIA, SHOP, amount);
        match evaluate_stateless(Some(&policy), &Facts::of(&wallet, &AGENT, address(PAYER), &intent, NOW)) {
            Decision::Allow(_) => Vec::new(),
            denied => failures(denied).into_iter().map(|failure| failure.rule).collect(),
        }
    };
    assert_eq!(rules(20_000_000), ["approval"]);
    assert!(rules(10_000_000).is_empty());
}

#[test]
fn an_asset_without_a_line_and_a_policy_without_lines_sign_at_once() {
    let (wallet, policy) = (wallet(), Policy::parse(body().as_bytes()).unwrap());
    let of = |intent| tier(&policy, &Facts::of(&wallet, &AGENT, address(PAYER), &intent, NOW));
    assert_eq!(of(transfer(BASE, SHOP, 99_000_000)), Tier::Instant);
    assert_eq!(of(native(BASE_SEPOLIA, SHOP, 1)), Tier::Instant);
    let plain = Policy::parse(with("").as_bytes()).unwrap();
    let intent = transfer(BASE_SEPOLIA, SHOP, 99_000_000);
    let facts = Facts::of(&wallet, &AGENT, address(PAYER), &intent, NOW);
    assert_eq!((tier(&plain, &facts), hold(&plain, &facts)), (Tier::Instant, None));
    let always = with("  tiers: [{ asset: USDC, chain: base-sepolia }]\n  approval: { threshold: 1 }\n");
    assert_eq!(tier(&Policy::parse(always.as_bytes()).unwrap(), &facts), Tier::Approval, "always people");
}

#[test]
fn what_cannot_be_right_is_refused_by_name() {
    let line = |fields: &str| {
        with(&format!(
            "  tiers: [{{ asset: USDC, chain: base-sepolia, {fields} }}]\n  approval: {{ threshold: 1 }}\n"
        ))
    };
    let approval = |fields: &str| {
        with(&format!("  tiers: [{{ asset: USDC, chain: base-sepolia }}]\n  approval: {{ {fields} }}\n"))
    };
    let twice = "{ asset: USDC, chain: base-sepolia }, { asset: USDC, chain: base-sepolia }";
    for (path, body) in [
        ("rules.approval", with("  tiers: [{ asset: USDC, chain: base-sepolia }]\n")),
        ("rules.tiers[1]", with(&format!("  tiers: [{twice}]\n  approval: {{ threshold: 1 }}\n"))),
        ("rules.tiers[0].notify", line("instant: \"5\", notify: \"5\"")),
        ("rules.tiers[0].delay", line("instant: \"5\", delay: \"4\", delay_s: 60")),
        ("rules.tiers[0].delay_s", line("delay: \"4\"")),
        ("rules.tiers[0].delay_s", line("instant: \"4\", delay_s: 60")),
        ("rules.tiers[0].delay_s", line("delay: \"4\", delay_s: 59")),
        ("rules.tiers[0].delay_s", line("delay: \"4\", delay_s: 604801")),
        ("rules.tiers[0].instant", line("instant: \"1.0000001\"")),
        (
            "rules.tiers[0].asset",
            with("  tiers: [{ asset: DOGE, chain: base-sepolia }]\n  approval: { threshold: 1 }\n"),
        ),
        ("rules.approval.threshold", approval("threshold: 0")),
        ("rules.approval.threshold", approval("threshold: 17")),
        ("rules.approval.threshold", approval("threshold: 2, approvers: [anne]")),
        ("rules.approval.approvers[1]", approval("threshold: 1, approvers: [anne, anne]")),
        ("rules.approval.approvers[0]", approval("threshold: 1, approvers: [\"\"]")),
        ("rules.approval.timeout_s", approval("threshold: 1, timeout_s: 59")),
    ] {
        let error = Policy::parse(body.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(&format!("{path}: ")), "{path}: {error}");
    }
    assert!(Policy::parse(approval("threshold: 1, other: 2").as_bytes()).is_err());
    assert!(Policy::parse(line("other: 2").as_bytes()).is_err());
}
