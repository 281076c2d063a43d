//! How long one evaluation takes, under a policy of twenty lines and a thousand recipients, six of the lines limits over
//! time, after a hundred payments. The history is in memory: what a ledger needs to read it comes on top.
//!
//! `cargo run --release -p quorate-policy --example evaluate_latency`

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::convert::Infallible;
use std::fmt::Write as _;
use std::hint::black_box;
use std::ops::ControlFlow;
use std::time::Instant;

use quorate_intent::{
    Action, AssetId, Authorization, AuthorizationKind, Intent, Once, Validity, token_by_symbol,
};
use quorate_manifest::{Manifest, ManifestDraft, Namespace, PersonDraft, PersonKey, SignedDocument, sign};
use quorate_policy::{Counted, Decision, Facts, History, Past, SignedPolicy, evaluate};
use quorate_types::{Address, AgentId, B256, U256, UnixMillis, WalletId};
use ssh_key::PrivateKey;
use ssh_key::private::Ed25519Keypair;

const ROUNDS: usize = 200_000;
const RECIPIENTS: u64 = 1000;
const CHAIN: u64 = 84532;
const NOW_S: u64 = 1_700_000_000;

fn address(number: u64) -> Address {
    Address::left_padding_from(&(number + 1).to_be_bytes())
}

fn policy() -> SignedPolicy {
    let mut body = include_str!("twenty-lines.yaml").to_owned();
    for number in 0..RECIPIENTS {
        let (address, label) = (address(number), format!("payee {number}"));
        writeln!(body, "    - {{ address: \"{address}\", label: {label} }}").unwrap();
    }
    let key = PrivateKey::from(Ed25519Keypair::from_seed(&[1; 32]));
    let operator = PersonKey::try_from(key.public_key()).unwrap().to_string();
    let manifest = ManifestDraft {
        dev: true,
        ..ManifestDraft::new("bench", vec![PersonDraft { name: "operator".to_owned(), key: operator }])
    };
    let manifest = Manifest::parse(manifest.to_yaml().unwrap().as_bytes()).unwrap();
    let signature = sign(body.as_bytes(), Namespace::Policy, &key).unwrap();
    let document = SignedDocument { body: body.into_bytes(), signatures: vec![signature] };
    SignedPolicy::verify(&document, &manifest).unwrap()
}

/// A hundred payments of the last hour.
struct Hundred;

impl History for Hundred {
    type Error = Infallible;

    fn place_is_taken(&self, _: &WalletId, _: &Once) -> Result<bool, Infallible> {
        Ok(false)
    }

    fn visit(
        &self,
        _: &WalletId,
        _: Counted,
        since: UnixMillis,
        each: &mut dyn FnMut(Past) -> ControlFlow<()>,
    ) -> Result<(), Infallible> {
        let past = |number: u64| Past {
            at: NOW_S * 1000 - 3_600_000 + number * 36_000,
            amount: U256::ONE,
            payee: Some(address(number)),
        };
        let _all_seen = (0..100).map(past).filter(|past| past.at >= since).try_for_each(each);
        Ok(())
    }

    fn sum_of_agent(
        &self,
        (_, wallet): (&AgentId, &WalletId),
        counted: Counted,
        since: UnixMillis,
    ) -> Result<Option<U256>, Infallible> {
        self.sum(wallet, counted, None, since)
    }
}

fn payment(recipient: Address, amount: u64, signer: Address) -> Intent {
    let token = token_by_symbol(CHAIN, "USDC").unwrap().address;
    let authorization = Some(Authorization { kind: AuthorizationKind::Transfer, nonce: B256::ZERO });
    Intent {
        chain: Some(CHAIN),
        signer: Some(signer),
        action: Action::TokenTransfer { token, recipient, amount: U256::from(amount), authorization },
        native_value: U256::ZERO,
        max_native_fee: U256::ZERO,
        transaction: None,
        validity: Validity { not_before_s: Some(NOW_S), not_after_s: Some(NOW_S + 60) },
    }
}

fn measure((name, told): (&str, bool), policy: &SignedPolicy, allowed: bool, intents: &[Intent]) {
    let (wallet, agent): (WalletId, AgentId) = ("agent-1".parse().unwrap(), "bot".parse().unwrap());
    let said = [
        ("merchant_domain", "api.example.com"),
        ("merchant_category", "data"),
        ("confidence", "0.93"),
        ("retries", "0"),
    ];
    let said = said.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let metadata = told.then_some(&said);
    let mut nanos = Vec::with_capacity(ROUNDS);
    for intent in intents.iter().cycle().take(ROUNDS) {
        let facts = Facts { metadata, ..Facts::of(&wallet, &agent, address(0), intent, NOW_S * 1000) };
        let start = Instant::now();
        let decision = black_box(evaluate(Some(policy), black_box(&facts), &Hundred)).unwrap();
        nanos.push(start.elapsed().as_nanos());
        assert_eq!(matches!(decision, Decision::Allow(_)), allowed);
    }
    nanos.sort_unstable();
    let at = |per_cent: usize| nanos.get(ROUNDS * per_cent / 100).copied().unwrap_or_default();
    println!("{name:<28} p50 {:>6} ns   p95 {:>6} ns   p99 {:>6} ns", at(50), at(95), at(99));
}

fn main() {
    let policy = policy();
    let asset = AssetId::token(CHAIN, token_by_symbol(CHAIN, "USDC").unwrap().address);
    println!("{ROUNDS} evaluations, {RECIPIENTS} recipients, asset {asset}");
    let good: Vec<_> = (0..RECIPIENTS).map(|to| payment(address(to), 1 + to, address(0))).collect();
    // A stranger, too much, and another signer: three failures to put into words.
    let bad: Vec<_> =
        (0..RECIPIENTS).map(|to| payment(address(to + RECIPIENTS), 30_000_000, address(1))).collect();
    // A coordinator is told the metadata, a node is not.
    measure(("allowed", true), &policy, true, &good);
    measure(("allowed, without metadata", false), &policy, true, &good);
    measure(("denied", true), &policy, false, &bad);
}
