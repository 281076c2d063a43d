//! Limits that count all wallets of an agent together.

use quorate_intent::Intent;
use quorate_policy::{
    Counted, Decision, Direction, Facts, Past, Policy, RuleFailure, Trial, diff, evaluate, loosened,
};
use quorate_types::{U256, UnixMillis, WalletId};

use crate::rig::{
    AGENT, BASE, BASE_SEPOLIA, Done, Fleet, NOW_S, PAYER, SHOP, STRANGER, address, asset, failures, signed,
    transfer, usdc, wallet, with,
};

const NOW: UnixMillis = NOW_S * 1000;
const THREE: &str = "  velocity: [{ max: 3, per: agent, window: { rolling_s: 60 } }]\n";
const TEN: &str = "  cumulative: [{ asset: USDC, chain: base-sepolia, max: \"10\", per: agent, window: { rolling_s: 60 } }]\n";

fn one(counted: Counted, at: UnixMillis) -> (Counted, Past) {
    (counted, Past { at, amount: U256::ONE, payee: Some(address(SHOP)) })
}

fn signature(at: UnixMillis) -> (Counted, Past) {
    one(Counted::Signatures, at)
}

fn paid(amount: U256) -> (Counted, Past) {
    let counted = Counted::Asset(asset(BASE_SEPOLIA, Some(usdc(BASE_SEPOLIA))));
    (counted, Past { at: NOW, amount, payee: None })
}

fn decide(
    own: &[(Counted, Past)],
    others: &[(Counted, Past)],
    lines: &str,
    intent: &Intent,
) -> Decision<quorate_policy::Full> {
    let fleet = Fleet { own: Done(own.to_vec(), vec![]), others: others.to_vec() };
    let wallet = wallet();
    let facts = Facts::of(&wallet, &AGENT, address(PAYER), intent, NOW);
    evaluate(Some(&signed(&with(lines))), &facts, &fleet).unwrap()
}

fn failed(own: &[(Counted, Past)], others: &[(Counted, Past)], lines: &str) -> Vec<RuleFailure> {
    match decide(own, others, lines, &transfer(BASE_SEPOLIA, SHOP, 4_000_000)) {
        Decision::Allow(_) => Vec::new(),
        denied @ Decision::Deny(_) => failures(denied),
    }
}

#[test]
fn what_the_agents_other_wallets_signed_counts_up_to_the_last_one() {
    let (own, others) = ([signature(NOW - 59_999)], [signature(NOW - 1), signature(NOW)]);
    assert_eq!(failed(&own, &others[..1], THREE), [], "the third");
    assert_eq!(failed(&[], &others, THREE), [], "also where the wallet itself signed nothing");
    let refused = failed(&own, &others, THREE);
    assert_eq!(
        refused[0].to_string(),
        "velocity: too many signatures (limit 3 signatures in any 60 s by all wallets of its agent, used 3 signatures, \
         requested one more, resets at 2023-11-14T22:13:20.001Z)"
    );
    assert_eq!(
        failed(&[], &[others[0], others[1], signature(NOW - 59_999)], THREE),
        refused,
        "whoever was first"
    );
    assert_eq!(
        failed(&[], &[others[0], others[1], signature(NOW - 60_000)], THREE),
        [],
        "it has left the window"
    );
    let calendar = THREE.replace("rolling_s: 60", "calendar: day, timezone: UTC");
    assert!(failed(&own, &others, &calendar)[0].limit.ends_with("per day (UTC) by all wallets of its agent"));
}

#[test]
fn and_not_where_the_line_is_the_wallets_or_each_recipients() {
    let others = [signature(NOW), signature(NOW), signature(NOW)];
    for per in ["", "per: wallet, ", "per: recipient, "] {
        assert_eq!(failed(&[], &others, &THREE.replace("per: agent, ", per)), [], "{per}");
        assert_eq!(failed(&[], &[paid(U256::MAX)], &TEN.replace("per: agent, ", per)), [], "{per}");
    }
}

#[test]
fn denied_attempts_of_all_count_where_the_line_says_so() {
    let denied = [one(Counted::Denied, NOW), one(Counted::Denied, NOW)];
    let counting = THREE.replace("max: 3", "max: 3, denied: true");
    assert_eq!(failed(&[], &denied, &counting), []);
    assert_eq!(
        failed(&[signature(NOW)], &denied, &counting)[0].used.as_deref(),
        Some("3 signatures or denied attempts")
    );
    assert_eq!(failed(&denied, &denied, THREE), []);
}

#[test]
fn what_they_moved_counts_up_to_the_last_base_unit() {
    let usdc = |units: u64| U256::from(units);
    assert_eq!(failed(&[paid(usdc(1_000_000))], &[paid(usdc(5_000_000))], TEN), []);
    let refused = failed(&[paid(usdc(1_000_000))], &[paid(usdc(5_000_001))], TEN);
    assert_eq!(refused[0].limit, "10 USDC in any 60 s by all wallets of its agent");
    assert_eq!(refused[0].used.as_deref(), Some("6.000001 USDC"));
    // Two sums of 256 bits together are none, and nothing fits under that.
    let refused = failed(&[paid(usdc(1))], &[paid(U256::MAX)], TEN);
    assert_eq!(refused[0].reason, "what has moved before cannot be added up");
}

#[test]
fn an_approval_says_whose_it_is_and_what_all_of_them_did() {
    let lines = format!("{THREE}{TEN}");
    let intent = transfer(BASE_SEPOLIA, SHOP, 4_000_000);
    let decision = decide(&[], &[signature(NOW), paid(U256::from(7))], &lines, &intent);
    let Decision::Allow(approval) = decision else { panic!("denied") };
    assert_eq!(*approval.agent(), *AGENT);
    let counters = serde_json::to_value(approval.counters()).unwrap();
    for (counter, before) in counters.as_array().unwrap().iter().zip(["7", "1"]) {
        assert_eq!((&counter["agent"], &counter["before"]), (&"bot".into(), &before.into()));
        assert_eq!(counter.get("recipient"), None);
    }
}

#[test]
fn such_a_line_may_count_denied_attempts_and_stand_beside_raw_digests() {
    let policy = |lines: &str| Policy::parse(with(lines).as_bytes());
    assert!(policy(&THREE.replace("max: 3", "max: 1024, denied: true")).is_ok());
    let refused = policy(&THREE.replace("per: agent", "per: cluster")).unwrap_err().to_string();
    assert!(refused.contains("expected one of") && refused.contains("agent"), "{refused}");
    let twice = THREE.replace("[{", "[{ max: 4, per: agent, window: { rolling_s: 60 } }, {");
    assert_eq!(
        policy(&twice).unwrap_err().to_string(),
        "rules.velocity[1]: there is a line for this window already"
    );
    let raw = "policy: quorate/v1\ncluster: example\nwallet: agent-1\nversion: 1\nrules:\n  raw_digest: { tier: instant }\n";
    assert!(Policy::parse(format!("{raw}{THREE}").as_bytes()).is_ok());
}

/// Beside the wallet's line it is one more limit. In its place it would be tighter, and counts as loosening all the same: the
/// line that goes is not weighed against the one that comes.
#[test]
fn a_line_more_tightens_and_one_in_place_of_the_wallets_is_shown_to_people() {
    let policy = |lines: &str| Policy::parse(with(lines).as_bytes()).unwrap();
    let wallets = THREE.replace("per: agent, ", "");
    let both = THREE.replace("[{", "[{ max: 3, window: { rolling_s: 60 } }, {");
    let (wallets, agents, both) = (policy(&wallets), policy(THREE), policy(&both));
    assert!(loosened(&wallets, &both).is_empty());
    assert_eq!(
        diff(&wallets, &both).iter().map(|change| change.direction).collect::<Vec<_>>(),
        [Direction::Tighter]
    );
    assert_eq!(loosened(&wallets, &agents), ["velocity"]);
    assert_eq!(loosened(&agents, &wallets), ["velocity"]);
    assert_eq!(loosened(&agents, &policy(&THREE.replace("max: 3", "max: 4"))), ["velocity"]);
    assert!(loosened(&agents, &policy(&THREE.replace("max: 3", "max: 2, denied: true"))).is_empty());
    let changes = diff(&agents, &policy(&THREE.replace("max: 3", "max: 4")));
    assert_eq!(changes[0].field, "velocity in any 60 s by all wallets of its agent");
}

#[test]
fn a_trial_counts_what_the_other_wallets_were_allowed() {
    let mut trial = Trial::new(Policy::parse(with(&format!("{THREE}{TEN}")).as_bytes()).unwrap());
    let (own, others): (_, [WalletId; 2]) = (wallet(), ["other", "third"].map(|name| name.parse().unwrap()));
    let pay = transfer(BASE_SEPOLIA, SHOP, 3_000_000);
    let ask = |trial: &mut Trial, key: &str| -> Vec<String> {
        let facts = Facts::of(&own, &AGENT, address(PAYER), &pay, NOW);
        trial.ask(key, &facts).into_iter().map(|failure| failure.rule).collect()
    };
    // Another wallet's request may have the same key.
    trial.beside(&others[0], "a", (&pay, NOW));
    trial.beside(&others[0], "a", (&pay, NOW));
    assert!(ask(&mut trial, "a").is_empty());
    trial.beside(&others[1], "a", (&transfer(BASE, STRANGER, 9), NOW));
    assert_eq!(ask(&mut trial, "b"), ["velocity"]);
    assert!(ask(&mut trial, "a").is_empty(), "asked again it is the same");
    trial.give_up_beside(&others[1], "a");
    assert!(ask(&mut trial, "b").is_empty());
    trial.give_up("b");
    trial.beside(&others[0], "a", (&transfer(BASE_SEPOLIA, SHOP, 4_000_001), NOW));
    assert_eq!(ask(&mut trial, "b"), ["cumulative"]);
    trial.give_up_beside(&others[0], "a");
    assert!(ask(&mut trial, "b").is_empty());
}
