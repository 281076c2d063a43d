//! The order in which failures are listed. A rule that is new here has no code, no place and no request that it denies until
//! it is given each.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::ops::ControlFlow;

use proptest::prelude::*;
use proptest::sample::subsequence;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use quorate_intent::{Intent, Once};
use quorate_policy::{Asked, Counted, Decision, Facts, History, Past, SignedPolicy, codes};
use quorate_session::AskError;
use quorate_types::{AgentId, U256, WalletId};

use crate::properties::{MANIFEST, intent, lines, request};
use crate::rig::{AGENT, NOW_S, PAYER, SHOP, address, document, wallet};

/// Every code there is, as failures are listed: what asks no history first.
pub(crate) const ORDER: [&str; 27] = [
    codes::NO_POLICY,
    codes::FROZEN,
    codes::WALLET,
    codes::AGENT_SIGNATURE,
    codes::KIND,
    codes::CHAINS,
    codes::SIGNER_MISMATCH,
    codes::RECIPIENTS,
    codes::ALLOWANCES,
    codes::CALLS,
    codes::TYPED_DATA,
    codes::MESSAGES,
    codes::RAW_DIGEST,
    codes::BLOCKED,
    codes::PER_TRANSACTION,
    codes::MAX_FEE,
    codes::MAX_AUTHORIZATION_LIFETIME_S,
    codes::ACTIVE_HOURS,
    codes::NOT_BEFORE,
    codes::NOT_AFTER,
    codes::APPROVAL,
    codes::MERCHANTS,
    codes::CONDITIONS,
    codes::AUTHORIZATION_NONCE,
    codes::CUMULATIVE,
    codes::VELOCITY,
    codes::DELAY,
];

/// No rule's: the answer where there is none to ask, and a freeze order's, which stands before all rules.
const ASKED_BESIDE: [&str; 2] = [codes::NO_POLICY, codes::FROZEN];

/// The codes as they are declared.
fn declared() -> BTreeSet<&'static str> {
    let source = include_str!("../../src/rules/mod.rs");
    let module = source.split("pub mod codes {").nth(1).unwrap().split("\n}").next().unwrap();
    let lines = module.lines().filter(|line| line.trim_start().starts_with("pub const "));
    lines.map(|line| line.split('"').nth(1).unwrap()).collect()
}

#[test]
fn every_code_has_its_place() {
    let placed: BTreeSet<_> = ORDER.into_iter().collect();
    assert_eq!(placed.len(), ORDER.len(), "one has two places");
    assert_eq!(placed, declared());
}

/// Limits to what the lines of a policy allow, one field each.
fn limits() -> Vec<String> {
    let chains = ["base", "base-sepolia", "polygon"];
    let each = |line: &dyn Fn(&str) -> String| chains.map(line).concat();
    vec![
        format!("  blocked: [{{ address: \"{SHOP}\", label: x }}]\n"),
        "  active_hours: { timezone: UTC, spans: [{ days: [mon], from: \"08:00\", to: \"09:00\" }] }\n".to_owned(),
        "  not_before: 2003-01-01T00:00:00Z\n".to_owned(),
        "  not_after: 2003-01-02T00:00:00Z\n".to_owned(),
        "  merchants: { domains: [shop.example] }\n".to_owned(),
        "  conditions: { metadata: [{ name: sure, type: boolean }], require: [{ label: x, cedar: context.sure }] }\n"
            .to_owned(),
        format!(
            "  cumulative:\n{}",
            each(&|chain| {
                format!(
                    "    - {{ asset: USDC, chain: {chain}, max: \"0.000001\", window: {{ rolling_s: 60 }} }}\n"
                )
            })
        ),
        "  velocity: [{ max: 1, window: { rolling_s: 60 } }]\n".to_owned(),
        format!(
            "  tiers:\n{}  approval: {{ threshold: 1 }}\n",
            each(&|chain| {
                format!("    - {{ asset: USDC, chain: {chain}, delay: \"0.000006\", delay_s: 60 }}\n")
            })
        ),
    ]
}

/// One thing was done a moment before, and another authorization signed.
struct Busy;

impl History for Busy {
    type Error = Infallible;

    fn place_is_taken(&self, _: &WalletId, _: &Once) -> Result<bool, Infallible> {
        Ok(true)
    }

    fn visit(
        &self,
        _: &WalletId,
        _: Counted,
        since: u64,
        each: &mut dyn FnMut(Past) -> ControlFlow<()>,
    ) -> Result<(), Infallible> {
        let _seen = each(Past { at: since, amount: U256::ONE, payee: None });
        Ok(())
    }

    fn sum_of_agent(
        &self,
        (_, wallet): (&AgentId, &WalletId),
        counted: Counted,
        since: u64,
    ) -> Result<Option<U256>, Infallible> {
        self.sum(wallet, counted, None, since)
    }
}

/// What is known of a request beside what it would do.
#[derive(Debug, Clone)]
struct Beside {
    own: bool,
    asked: Asked,
    raw_digest: bool,
    told: bool,
    now: u64,
}

fn beside() -> impl Strategy<Value = Beside> {
    let asked = prop_oneof![Just(Asked::Gateway), Just(Asked::Agent), Just(Asked::Nobody(AskError::Missing))];
    let now = prop_oneof![Just(0), Just(NOW_S * 1000), any::<u64>()];
    let often = || prop::bool::weighted(0.8);
    (often(), asked, any::<bool>(), often(), now).prop_map(|(own, asked, raw_digest, told, now)| Beside {
        own,
        asked,
        raw_digest,
        told,
        now,
    })
}

fn denied(policy: &SignedPolicy, intent: &Intent, beside: &Beside) -> Vec<String> {
    let wallet = if beside.own { wallet() } else { "agent-2".parse().unwrap() };
    let metadata = BTreeMap::new();
    let facts = Facts {
        asked: beside.asked,
        raw_digest: beside.raw_digest,
        metadata: beside.told.then_some(&metadata),
        ..Facts::of(&wallet, &AGENT, address(PAYER), intent, beside.now)
    };
    let Ok(decision) = quorate_policy::evaluate(Some(policy), &facts, &Busy);
    match decision {
        Decision::Allow(_) => Vec::new(),
        Decision::Deny(denial) => denial.failures.into_iter().map(|failure| failure.rule).collect(),
    }
}

/// The same cases each time, so that what they reach is no matter of luck.
#[test]
fn failures_of_every_rule_are_listed_in_order() {
    let config = ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let intents = prop_oneof![intent(), request().prop_map(|request| request.intent())];
    let limits = limits();
    let all = limits.len();
    let reached = std::cell::RefCell::new(BTreeSet::new());
    let ran = runner.run(
        &(lines(), subsequence(limits, 0..=all), intents, beside()),
        |(lines, limits, intent, beside)| {
            let body = lines.yaml() + &limits.concat();
            let policy = SignedPolicy::verify(&document(&body, &[1]), &MANIFEST).unwrap();
            let codes = denied(&policy, &intent, &beside);
            let place = |code: &String| ORDER.iter().position(|known| known == code).unwrap();
            prop_assert!(codes.is_sorted_by_key(place), "{:?}", codes);
            reached.borrow_mut().extend(codes);
            Ok(())
        },
    );
    ran.unwrap();
    let rules: BTreeSet<_> = ORDER.into_iter().filter(|code| !ASKED_BESIDE.contains(code)).collect();
    let reached = reached.into_inner();
    assert_eq!(reached.iter().map(String::as_str).collect::<BTreeSet<_>>(), rules, "a rule denied nothing");
}
