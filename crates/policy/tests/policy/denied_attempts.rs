//! Velocity lines that count what was denied.

use std::ops::ControlFlow;

use quorate_policy::{
    Asked, Counted, Decision, Denial, Facts, Past, Policy, RuleFailure, Trial, codes, diff,
};
use quorate_session::AskError;
use quorate_types::{U256, UnixMillis};

use crate::rig::{
    AGENT, BASE_SEPOLIA, Done, NOW_S, PAYER, SHOP, STRANGER, address, decide_after, evaluate, signed,
    transfer, wallet, with,
};

const NOW: UnixMillis = NOW_S * 1000;
const LINE: &str = "  velocity: [{ max: 3, denied: true, window: { rolling_s: 60 } }]\n";

fn past(counted: Counted, at: UnixMillis) -> (Counted, Past) {
    (counted, Past { at, amount: U256::ONE, payee: None })
}

fn decide(done: &[(Counted, Past)], lines: &str) -> Vec<RuleFailure> {
    let done = Done(done.to_vec(), vec![]);
    match decide_after(&done, &with(lines), &transfer(BASE_SEPOLIA, SHOP, 1), NOW) {
        Decision::Allow(_) => Vec::new(),
        Decision::Deny(denial) => denial.failures,
    }
}

#[test]
fn what_was_denied_counts_where_the_line_says_so_and_only_in_its_window() {
    let denied = |at| past(Counted::Denied, at);
    let two = [past(Counted::Signatures, NOW - 10), denied(NOW - 59_999)];
    assert_eq!(decide(&two, LINE), []);
    let three = [two[0], two[1], denied(NOW - 30_000)];
    let failed = decide(&three, LINE);
    assert_eq!(
        failed[0].to_string(),
        "velocity: too many attempts (limit 3 signatures or denied attempts in any 60 s, used 3 signatures or denied \
         attempts, requested one more, resets at 2023-11-14T22:13:20.001Z)"
    );
    // When the first of them leaves the window, whichever it is.
    assert_eq!(failed[0].resets_at_ms, Some(NOW - 59_999 + 60_000));
    assert_eq!(decide(&[two[0], denied(NOW - 60_000), denied(NOW - 30_000)], LINE), []);
    assert_eq!(decide(&three, &LINE.replace("denied: true, ", "")), []);
    assert_eq!(decide(&three, &LINE.replace("denied: true", "denied: false")), []);
}

#[test]
fn such_a_line_is_the_wallets_and_has_a_bound() {
    for (from, to, error) in [
        (
            "denied: true",
            "denied: true, per: recipient",
            "rules.velocity[0].denied: denied attempts are counted",
        ),
        ("max: 3", "max: 1025", "rules.velocity[0].max: with denied attempts at most 1024"),
        ("denied: true", "denied: yes please", ""),
    ] {
        let refused = Policy::parse(with(&LINE.replace(from, to)).as_bytes()).unwrap_err().to_string();
        assert!(refused.starts_with(error), "{refused}");
    }
    assert!(Policy::parse(with(&LINE.replace("max: 3", "max: 1024")).as_bytes()).is_ok());
    let both = "  velocity: [{ max: 3, denied: true, window: { rolling_s: 60 } }, { max: 2, window: { rolling_s: 60 } }]\n";
    let both = Policy::parse(with(both).as_bytes()).unwrap();
    assert!(both.counts_denied());
    let one = Policy::parse(with(&LINE.replace("denied: true, ", "")).as_bytes()).unwrap();
    assert!(!one.counts_denied());
    let changes = diff(&one, &Policy::parse(with(LINE).as_bytes()).unwrap());
    let told = |changes: &[quorate_policy::Change]| {
        let told =
            changes.iter().map(|change| format!("{:?} {}: {}", change.direction, change.field, change.new));
        told.collect::<Vec<_>>()
    };
    assert_eq!(told(&changes), ["Tighter velocity in any 60 s: 3 signatures or denied attempts"]);
    assert_eq!(told(&diff(&both, &one)), ["Looser velocity in any 60 s: 3 signatures"]);
    let more = with(&LINE.replace("max: 3", "max: 4"));
    let more = Policy::parse(more.as_bytes()).unwrap();
    assert_eq!(told(&diff(&one, &more)), ["Changed velocity in any 60 s: 4 signatures or denied attempts"]);
    assert_eq!(
        told(&diff(&more, &both)),
        ["Tighter velocity in any 60 s: 2 signatures, 3 with denied attempts"]
    );
}

fn denial(rules: &[&str]) -> Denial {
    let failure = |rule: &&str| RuleFailure {
        rule: (*rule).to_owned(),
        reason: String::new(),
        limit: String::new(),
        used: None,
        requested: String::new(),
        resets_at_ms: None,
    };
    Denial { policy_hash: None, failures: rules.iter().map(failure).collect() }
}

#[test]
fn an_attempt_is_what_policy_denied_to_whom_the_wallet_listens_to() {
    for rules in [&["recipients"][..], &["cumulative"], &["recipients", "conditions"], &["approval"]] {
        assert!(denial(rules).is_attempt(), "{rules:?}");
    }
    for rule in [codes::AGENT_SIGNATURE, codes::FROZEN, codes::VELOCITY, codes::NO_POLICY, codes::WALLET] {
        assert!(!denial(&[rule]).is_attempt() && !denial(&["recipients", rule]).is_attempt(), "{rule}");
    }
    assert!(!denial(&[]).is_attempt());
    // Somebody else asked in the agent's name.
    let (intent, wallet) = (transfer(BASE_SEPOLIA, STRANGER, 1), wallet());
    let facts = Facts::of(&wallet, &AGENT, address(PAYER), &intent, NOW);
    let forged = Facts { asked: Asked::Nobody(AskError::Missing), ..facts };
    for (facts, counts) in [(facts, true), (forged, false)] {
        let Decision::Deny(denial) = evaluate(Some(&signed(&with(LINE))), &facts) else { panic!("allowed") };
        assert_eq!(denial.is_attempt(), counts);
    }
}

#[test]
fn a_trial_counts_as_the_ledger_does() {
    let mut trial = Trial::new(Policy::parse(with(LINE).as_bytes()).unwrap());
    let wallet = wallet();
    let mut ask = |key: &str, to: &str, at: UnixMillis| {
        let intent = transfer(BASE_SEPOLIA, to, 1);
        let failed = trial.ask(key, &Facts::of(&wallet, &AGENT, address(PAYER), &intent, at));
        failed.into_iter().map(|failure| failure.rule).collect::<Vec<_>>()
    };
    assert_eq!(ask("a", STRANGER, NOW), ["recipients"]);
    // The same again is the same attempt.
    assert_eq!(ask("a", STRANGER, NOW), ["recipients"]);
    assert_eq!(ask("b", SHOP, NOW), Vec::<String>::new());
    assert_eq!(ask("c", STRANGER, NOW + 1), ["recipients"]);
    assert_eq!(ask("d", SHOP, NOW + 2), ["velocity"]);
    // Too often already: it counts no further, so the window opens when the first ones leave it.
    assert_eq!(ask("e", STRANGER, NOW + 59_999), ["recipients", "velocity"]);
    assert_eq!(ask("d", SHOP, NOW + 60_000), Vec::<String>::new());
}

#[test]
fn without_such_a_line_nothing_is_read_of_what_was_denied() {
    struct Untold;
    impl quorate_policy::History for Untold {
        type Error = ();
        fn place_is_taken(&self, _: &quorate_types::WalletId, _: &quorate_intent::Once) -> Result<bool, ()> {
            Ok(false)
        }
        fn visit(
            &self,
            _: &quorate_types::WalletId,
            counted: Counted,
            _: UnixMillis,
            _: &mut dyn FnMut(Past) -> ControlFlow<()>,
        ) -> Result<(), ()> {
            if counted == Counted::Denied { Err(()) } else { Ok(()) }
        }
        fn sum_of_agent(
            &self,
            (_, wallet): (&quorate_types::AgentId, &quorate_types::WalletId),
            counted: Counted,
            since: UnixMillis,
        ) -> Result<Option<U256>, ()> {
            self.sum(wallet, counted, None, since)
        }
    }
    let (intent, wallet) = (transfer(BASE_SEPOLIA, SHOP, 1), wallet());
    let facts = Facts::of(&wallet, &AGENT, address(PAYER), &intent, NOW);
    let ask = |lines: &str| quorate_policy::evaluate(Some(&signed(&with(lines))), &facts, &Untold);
    assert!(matches!(ask(&LINE.replace("denied: true, ", "")), Ok(Decision::Allow(_))));
    // And where it cannot be read, nothing is decided.
    assert!(ask(LINE).is_err());
}
