//! Limits over time: up to where, whose spend counts, and when they reset.

use std::ops::ControlFlow;

use proptest::prelude::*;
use quorate_intent::{Action, Intent, Once};
use quorate_policy::{
    Counted, Counter, Decision, Facts, History, Past, RuleFailure, codes, evaluate, evaluate_stateless,
};
use quorate_types::{Address, AgentId, Bytes, U256, UnixMillis, WalletId};

use crate::rig::{
    AGENT, BASE, BASE_SEPOLIA, Done, LANDLORD, NOW_S, PAYER, POLICY, SHOP, address, asset, authorization,
    decide_after, failures, native, other, signed, transfer, usdc, wallet, with,
};

const NOW: UnixMillis = NOW_S * 1000;
const MINUTE: &str = "window: { rolling_s: 60 }";

fn cumulative(lines: &[&str]) -> String {
    let lines: String = lines.iter().map(|line| format!("    - {{ {line} }}\n")).collect();
    with(&format!("  cumulative:\n{lines}"))
}

fn velocity(lines: &[&str]) -> String {
    let lines: String = lines.iter().map(|line| format!("    - {{ {line} }}\n")).collect();
    with(&format!("  velocity:\n{lines}"))
}

/// Ten USDC on Base Sepolia a minute.
fn ten_a_minute() -> String {
    cumulative(&[&format!("asset: USDC, chain: base-sepolia, max: \"10\", {MINUTE}")])
}

fn usdc_at(at: UnixMillis, amount: u64, payee: Option<&str>) -> (Counted, Past) {
    let counted = Counted::Asset(asset(BASE_SEPOLIA, Some(usdc(BASE_SEPOLIA))));
    (counted, Past { at, amount: U256::from(amount), payee: payee.map(address) })
}

fn signature_at(at: UnixMillis, payee: &str) -> (Counted, Past) {
    (Counted::Signatures, Past { at, amount: U256::ONE, payee: Some(address(payee)) })
}

fn allowed(done: &[(Counted, Past)], body: &str, intent: &Intent) -> bool {
    matches!(decide_after(&Done(done.to_vec(), vec![]), body, intent, NOW), Decision::Allow(_))
}

/// The only failure.
fn refused(done: &[(Counted, Past)], body: &str, intent: &Intent) -> RuleFailure {
    let mut failures = failures(decide_after(&Done(done.to_vec(), vec![]), body, intent, NOW));
    assert_eq!(failures.len(), 1, "{failures:?}");
    failures.remove(0)
}

#[test]
fn a_rolling_cap_holds_to_the_last_base_unit_and_the_last_millisecond() {
    let body = ten_a_minute();
    let pay = |amount| transfer(BASE_SEPOLIA, SHOP, amount);
    assert!(allowed(&[], &body, &pay(10_000_000)));
    let before = [usdc_at(NOW - 59_999, 6_000_000, Some(SHOP))];
    assert!(allowed(&before, &body, &pay(4_000_000)));
    let failure = refused(&before, &body, &pay(4_000_001));
    assert_eq!(
        failure.to_string(),
        "cumulative: more than may move over time (limit 10 USDC in any 60 s, used 6 USDC, requested 4.000001 USDC \
         on base-sepolia, resets at 2023-11-14T22:13:20.001Z)"
    );
    assert_eq!(failure.resets_at_ms, Some(NOW + 1));
    assert!(allowed(&[usdc_at(NOW - 60_000, 6_000_000, Some(SHOP))], &body, &pay(4_000_001)));
}

#[test]
fn it_resets_when_enough_has_left_and_never_for_what_is_too_much_alone() {
    let body = ten_a_minute();
    let before = [
        usdc_at(NOW - 50_000, 3_000_000, Some(SHOP)),
        usdc_at(NOW - 40_000, 4_000_000, None),
        usdc_at(NOW - 30_000, 3_000_000, Some(LANDLORD)),
    ];
    let resets = |amount| refused(&before, &body, &transfer(BASE_SEPOLIA, SHOP, amount)).resets_at_ms;
    assert_eq!(resets(1), Some(NOW + 10_000));
    assert_eq!(resets(3_000_000), Some(NOW + 10_000));
    assert_eq!(resets(3_000_001), Some(NOW + 20_000));
    assert_eq!(resets(10_000_000), Some(NOW + 30_000));
    assert_eq!(resets(10_000_001), None);
}

#[test]
fn what_a_clock_that_was_set_back_left_in_the_future_counts() {
    let before = [usdc_at(NOW + 3_600_000, 10_000_000, Some(SHOP))];
    let failure = refused(&before, &ten_a_minute(), &transfer(BASE_SEPOLIA, SHOP, 1));
    assert_eq!(failure.resets_at_ms, Some(NOW + 3_660_000));
}

#[test]
fn authorizations_and_transfers_share_one_budget_and_other_assets_have_their_own() {
    let body = ten_a_minute();
    let before = [usdc_at(NOW, 10_000_000, Some(SHOP))];
    for intent in [transfer(BASE_SEPOLIA, SHOP, 1), authorization(BASE_SEPOLIA, SHOP, 1, NOW_S + 60)] {
        assert_eq!(refused(&before, &body, &intent).rule, "cumulative");
    }
    assert!(allowed(&before, &body, &native(BASE_SEPOLIA, SHOP, 10u64.pow(16))));
    assert!(allowed(&before, &body, &authorization(BASE, SHOP, 5_000_000, NOW_S + 60)));
}

#[test]
fn a_calendar_cap_counts_from_the_wall_clocks_midnight() {
    let body = cumulative(&[
        "asset: USDC, chain: base-sepolia, max: \"10\", window: { calendar: day, timezone: Europe/Berlin }",
    ]);
    // 23:13:20 in Berlin; its day began at 23:00 UTC of the day before.
    let midnight = NOW - (23 * 3600 + 13 * 60 + 20) * 1000;
    assert!(allowed(
        &[usdc_at(midnight - 1, 10_000_000, None)],
        &body,
        &transfer(BASE_SEPOLIA, SHOP, 10_000_000)
    ));
    let failure = refused(&[usdc_at(midnight, 10_000_000, None)], &body, &transfer(BASE_SEPOLIA, SHOP, 1));
    assert_eq!(failure.limit, "10 USDC per day (Europe/Berlin)");
    assert_eq!(failure.resets_at_ms, Some(midnight + 24 * 3600 * 1000));
}

#[test]
fn a_cap_per_recipient_counts_each_apart_and_the_unknown_for_all() {
    let line = format!("asset: USDC, chain: base, max: \"5\", per: recipient, {MINUTE}");
    let body = cumulative(&[&line]);
    let paid = |payee: Option<&str>, amount| {
        let counted = Counted::Asset(asset(BASE, Some(usdc(BASE))));
        (counted, Past { at: NOW, amount: U256::from(amount), payee: payee.map(address) })
    };
    let pay = |to: &str, amount| authorization(BASE, to, amount, NOW_S + 60);
    let before = [paid(Some(SHOP), 5_000_000), paid(None, 1_000_000)];
    let failure = refused(&before, &body, &pay(SHOP, 1));
    assert_eq!(failure.limit, "5 USDC in any 60 s to each recipient");
    assert_eq!(failure.used.as_deref(), Some("6 USDC"));
    assert!(allowed(&before, &body, &pay(LANDLORD, 4_000_000)));
    assert_eq!(refused(&before, &body, &pay(LANDLORD, 4_000_001)).used.as_deref(), Some("1 USDC"));
}

#[test]
fn every_line_that_fails_is_listed() {
    let body = cumulative(&[
        &format!("asset: USDC, chain: base-sepolia, max: \"10\", {MINUTE}"),
        "asset: USDC, chain: base-sepolia, max: \"20\", window: { rolling_s: 3600 }",
        "asset: USDC, chain: base-sepolia, max: \"100\", window: { calendar: month, timezone: UTC }",
    ]);
    let before = [usdc_at(NOW - 1000, 9_000_000, None), usdc_at(NOW - 100_000, 11_000_000, None)];
    let failures = failures(decide_after(
        &Done(before.to_vec(), vec![]),
        &body,
        &transfer(BASE_SEPOLIA, SHOP, 2_000_000),
        NOW,
    ));
    let told: Vec<_> = failures.iter().map(|f| (f.used.clone().unwrap(), f.resets_at_ms.unwrap())).collect();
    assert_eq!(
        told,
        [("9 USDC".to_owned(), NOW + 59_000), ("20 USDC".to_owned(), NOW - 100_000 + 3_600_000)]
    );
}

#[test]
fn sums_beyond_256_bits_and_charges_nobody_can_tell_are_denied() {
    let huge = |amount| {
        let counted = Counted::Asset(asset(BASE_SEPOLIA, Some(usdc(BASE_SEPOLIA))));
        (counted, Past { at: NOW, amount, payee: None })
    };
    let body = ten_a_minute();
    let failure = refused(&[huge(U256::MAX), huge(U256::ONE)], &body, &transfer(BASE_SEPOLIA, SHOP, 1));
    assert_eq!((failure.rule.as_str(), failure.used), ("cumulative", None));
    // The history sums, the request on top of it does not.
    let failure = refused(&[huge(U256::MAX)], &body, &transfer(BASE_SEPOLIA, SHOP, 1));
    assert_eq!(failure.rule, "cumulative");
    let nowhere = Intent { chain: None, ..transfer(BASE_SEPOLIA, SHOP, 1) };
    let failures = failures(decide_after(&Done::default(), &body, &nowhere, NOW));
    let codes: Vec<_> = failures.iter().map(|failure| failure.rule.as_str()).collect();
    assert_eq!(codes, ["chains", "per_transaction", "cumulative"]);
}

#[test]
fn a_window_the_calendar_does_not_have_denies() {
    let body = cumulative(&[
        "asset: USDC, chain: base-sepolia, max: \"10\", window: { calendar: hour, timezone: UTC }",
    ]);
    let decision = decide_after(&Done::default(), &body, &transfer(BASE_SEPOLIA, SHOP, 1), u64::MAX);
    let failures = failures(decision);
    assert_eq!(failures[0].reason, "the window cannot be told at this time");
}

#[test]
fn velocity_counts_signatures_of_any_kind() {
    let body = velocity(&[&format!("max: 2, {MINUTE}")]);
    let pay = native(BASE_SEPOLIA, SHOP, 0);
    let first = signature_at(NOW - 59_999, LANDLORD);
    assert!(allowed(&[first], &body, &pay));
    let failure = refused(&[first, signature_at(NOW, SHOP)], &body, &pay);
    assert_eq!(
        failure.to_string(),
        "velocity: too many signatures (limit 2 signatures in any 60 s, used 2 signatures, requested one more, \
         resets at 2023-11-14T22:13:20.001Z)"
    );
    assert!(allowed(&[signature_at(NOW - 60_000, SHOP), signature_at(NOW, SHOP)], &body, &pay));
    let never = refused(&[], &velocity(&[&format!("max: 0, {MINUTE}")]), &pay);
    assert_eq!((never.used.as_deref(), never.resets_at_ms), (Some("0 signatures"), None));
}

#[test]
fn velocity_per_recipient_counts_each_apart_and_denies_who_has_none() {
    let body = velocity(&[&format!("max: 1, per: recipient, {MINUTE}")]);
    let before = [signature_at(NOW, SHOP)];
    let failure = refused(&before, &body, &transfer(BASE_SEPOLIA, SHOP, 1));
    assert_eq!(failure.limit, "1 signature in any 60 s to each recipient");
    assert!(allowed(&before, &body, &authorization(BASE, LANDLORD, 1, NOW_S + 60)));
    let message = other(BASE, Action::PersonalMessage { bytes: Bytes::new(), text: None });
    let failures = failures(decide_after(&Done::default(), &body, &message, NOW));
    let failure = failures.iter().find(|failure| failure.rule == "velocity").unwrap();
    assert_eq!(failure.reason, "it names nobody in whose name it would count");
}

#[test]
fn a_history_that_cannot_be_read_decides_nothing() {
    struct Broken;
    impl History for Broken {
        type Error = &'static str;
        fn place_is_taken(&self, _: &WalletId, _: &Once) -> Result<bool, &'static str> {
            Err("the disk")
        }
        fn visit(
            &self,
            _: &WalletId,
            _: Counted,
            _: UnixMillis,
            _: &mut dyn FnMut(Past) -> ControlFlow<()>,
        ) -> Result<(), &'static str> {
            Err("the disk")
        }
        fn sum_of_agent(
            &self,
            _: (&AgentId, &WalletId),
            _: Counted,
            _: UnixMillis,
        ) -> Result<Option<U256>, &'static str> {
            Err("the disk")
        }
    }
    let intent = transfer(BASE_SEPOLIA, SHOP, 1);
    let wallet = wallet();
    let facts = Facts::of(&wallet, &AGENT, address(PAYER), &intent, NOW);
    let of_agent = velocity(&[&format!("max: 2, per: agent, {MINUTE}")]);
    for body in [ten_a_minute(), velocity(&[&format!("max: 2, {MINUTE}")]), of_agent] {
        assert_eq!(evaluate(Some(&signed(&body)), &facts, &Broken).unwrap_err(), "the disk");
    }
    // Nothing is read where nothing counts.
    assert!(matches!(evaluate(Some(&signed(POLICY)), &facts, &Broken), Ok(Decision::Allow(_))));
}

#[test]
fn a_node_without_a_ledger_asks_everything_else() {
    let intent = transfer(BASE_SEPOLIA, SHOP, 10_000_001);
    let wallet = wallet();
    let facts = Facts::of(&wallet, &AGENT, address(PAYER), &intent, NOW);
    let policy = signed(&ten_a_minute());
    assert!(matches!(evaluate_stateless(Some(&policy), &facts), Decision::Allow(_)));
    let intent = transfer(BASE_SEPOLIA, SHOP, 25_000_001);
    let facts = Facts { intent: &intent, ..facts };
    assert_eq!(failures(evaluate_stateless(Some(&policy), &facts))[0].rule, "per_transaction");
}

#[test]
fn an_approval_says_in_whose_name_and_when_it_counts() {
    let decision = decide_after(&Done::default(), POLICY, &transfer(BASE_SEPOLIA, SHOP, 1), NOW);
    let Decision::Allow(approval) = decision else { panic!("denied") };
    assert_eq!((approval.payee(), approval.at()), (Some(address(SHOP)), NOW));
}

#[test]
fn an_approval_says_how_far_each_limit_is_used_up() {
    let (long, zoned) =
        ("window: { rolling_s: 3600 }", "window: { calendar: month, timezone: Europe/Berlin }");
    let limits = [
        format!("asset: USDC, chain: base-sepolia, max: \"10\", {MINUTE}"),
        format!("asset: USDC, chain: base-sepolia, max: \"9\", per: recipient, {zoned}"),
        format!("asset: USDC, chain: base, max: \"5\", {MINUTE}"),
        format!("asset: native, chain: base-sepolia, max: \"1\", fees: true, {MINUTE}"),
    ];
    let body = cumulative(&limits.each_ref().map(String::as_str))
        + &format!("  velocity:\n    - {{ max: 7, {long} }}\n    - {{ max: 8, denied: true, {long} }}\n");
    let denied = (Counted::Denied, Past { at: NOW, amount: U256::ONE, payee: None });
    let done = [
        usdc_at(NOW - 1, 3_000_000, Some(LANDLORD)),
        usdc_at(NOW, 2_000_000, Some(SHOP)),
        (Counted::Fee(BASE_SEPOLIA), Past { at: NOW, amount: U256::from(5), payee: None }),
        signature_at(NOW, LANDLORD),
        denied,
    ];
    let decision =
        decide_after(&Done(done.to_vec(), vec![]), &body, &transfer(BASE_SEPOLIA, SHOP, 4_000_000), NOW);
    let Decision::Allow(approval) = decision else { panic!("denied") };
    let usdc = asset(BASE_SEPOLIA, Some(usdc(BASE_SEPOLIA))).to_string();
    let expected = serde_json::json!([
        {"rule": "cumulative", "counts": usdc, "window": "in any 60 s", "limit": "10000000", "before": "5000000",
         "after": "9000000"},
        {"rule": "cumulative", "counts": usdc, "window": "per month (Europe/Berlin)", "recipient": SHOP,
         "limit": "9000000", "before": "2000000", "after": "6000000"},
        {"rule": "cumulative", "counts": "native@84532 with fees", "window": "in any 60 s",
         "limit": "1000000000000000000", "before": "5", "after": "1000000000000005"},
        {"rule": "velocity", "counts": "signatures", "window": "in any 3600 s", "limit": "7", "before": "1",
         "after": "2"},
        {"rule": "velocity", "counts": "signatures and denied attempts", "window": "in any 3600 s", "limit": "8",
         "before": "2", "after": "3"},
    ]);
    let (logged, left_out) = approval.logged_counters();
    assert_eq!((serde_json::to_value(logged).unwrap(), left_out), (expected, 0));
    assert_eq!(logged, approval.counters());
}

#[test]
fn what_is_logged_of_the_limits_has_a_bound() {
    let counter = Counter {
        rule: codes::CUMULATIVE,
        counts: asset(u64::MAX, Some(address(SHOP))).to_string(),
        recipient: Some(address(SHOP)),
        agent: None,
        window: "per month (America/Argentina/ComodRivadavia)".to_owned(),
        limit: U256::MAX,
        before: U256::MAX,
        after: U256::MAX,
    };
    assert!(serde_json::to_string(&counter).unwrap().len() <= 500);
    // It has one or the other.
    let counter = Counter { recipient: None, agent: Some("a".repeat(63).parse().unwrap()), ..counter };
    assert!(serde_json::to_string(&counter).unwrap().len() <= 500);
    let line = |n: usize| format!("    - {{ max: 9, window: {{ rolling_s: {} }} }}\n", 60 + n);
    let body = ten_a_minute() + "  velocity:\n" + &(0..64).map(line).collect::<String>();
    let decision = decide_after(&Done::default(), &body, &transfer(BASE_SEPOLIA, SHOP, 1), NOW);
    let Decision::Allow(approval) = decision else { panic!("denied") };
    let (logged, left_out) = approval.logged_counters();
    assert_eq!((logged.len(), left_out, approval.counters().len()), (64, 1, 65));
}

fn pasts() -> impl Strategy<Value = Vec<(u64, u64, Option<Address>)>> {
    let payee = prop_oneof![Just(None), Just(Some(address(SHOP))), Just(Some(address(LANDLORD)))];
    prop::collection::vec((0u64..200_000, 0u64..6, payee), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Added up the slow way; and where it says it resets, it does, and not a millisecond sooner.
    #[test]
    fn the_second_opinion_on_windows_agrees(
        pasts in pasts(),
        max in 0u64..12,
        amount in 0u64..8,
        seconds in 60u64..150,
        per_recipient in any::<bool>(),
    ) {
        let per = if per_recipient { "per: recipient, " } else { "" };
        let line = format!(
            "asset: USDC, chain: base-sepolia, max: \"0.{max:06}\", {per}window: {{ rolling_s: {seconds} }}"
        );
        let body = cumulative(&[&line]);
        let row = |(ago, amount, payee): &(u64, u64, Option<Address>)| {
            let (counted, past) = usdc_at(NOW + 20_000 - ago, *amount, None);
            (counted, Past { payee: *payee, ..past })
        };
        let done = Done(pasts.iter().map(row).collect(), vec![]);
        let fits = |now: UnixMillis| {
            let counts = |past: &&(Counted, Past)| {
                let mine = !per_recipient || past.1.payee.is_none_or(|payee| payee == address(SHOP));
                mine && past.1.at + seconds * 1000 > now
            };
            let used: U256 = done.0.iter().filter(counts).map(|past| past.1.amount).sum();
            used + U256::from(amount) <= U256::from(max)
        };
        let intent = transfer(BASE_SEPOLIA, SHOP, amount);
        match decide_after(&done, &body, &intent, NOW) {
            Decision::Allow(_) => prop_assert!(fits(NOW)),
            Decision::Deny(denial) => {
                prop_assert!(!fits(NOW));
                match denial.failures[0].resets_at_ms {
                    None => prop_assert!(amount > max),
                    Some(at) => prop_assert!(at > NOW && fits(at) && !fits(at - 1)),
                }
            }
        }
    }
}
