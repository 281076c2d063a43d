//! How long it takes to evaluate a request and reserve what it spends, in one synced transaction, under the policy of
//! `evaluate_latency` and after as many payments as it has made before: `reserve_latency [requests] [directory]`. The directory
//! decides which disk is measured.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::time::{Duration, Instant};

use quorate_intent::{Action, Authorization, AuthorizationKind, Intent, Validity, token_by_symbol};
use quorate_ledger::{Before, Claim, IdempotencyKey, claim, reserve_releasing};
use quorate_manifest::{Manifest, ManifestDraft, Namespace, PersonDraft, PersonKey, SignedDocument, sign};
use quorate_policy::{Decision, Facts, SignedPolicy, evaluate};
use quorate_store::{Binding, Kek, Store, open};
use quorate_types::{Address, AgentId, B256, U256, WalletId};
use ssh_key::PrivateKey;
use ssh_key::private::Ed25519Keypair;

const CHAIN: u64 = 84532;
/// A Tuesday, half past midnight in Berlin: a day has room for a thousand payments.
const NOW_S: u64 = 1_699_918_200;
const PAYEE: Address = Address::repeat_byte(0x11);

fn policy() -> SignedPolicy {
    let lines = include_str!("../../policy/examples/twenty-lines.yaml");
    let body = format!("{lines}    - {{ address: \"{PAYEE}\", label: payee }}\n");
    let key = PrivateKey::from(Ed25519Keypair::from_seed(&[1; 32]));
    let operator = PersonKey::try_from(key.public_key()).unwrap().to_string();
    let manifest = ManifestDraft {
        dev: true,
        ..ManifestDraft::new("bench", vec![PersonDraft { name: "operator".to_owned(), key: operator }])
    };
    let manifest = Manifest::parse(manifest.to_yaml().unwrap().as_bytes()).unwrap();
    let signature = sign(body.as_bytes(), Namespace::Policy, &key).unwrap();
    SignedPolicy::verify(&SignedDocument { body: body.into_bytes(), signatures: vec![signature] }, &manifest)
        .unwrap()
}

fn payment(number: u64, now_s: u64) -> Intent {
    let nonce = B256::from(U256::from(number));
    Intent {
        chain: Some(CHAIN),
        signer: Some(Address::ZERO),
        action: Action::TokenTransfer {
            token: token_by_symbol(CHAIN, "USDC").unwrap().address,
            recipient: PAYEE,
            amount: U256::from(10_000),
            authorization: Some(Authorization { kind: AuthorizationKind::Transfer, nonce }),
        },
        native_value: U256::ZERO,
        max_native_fee: U256::ZERO,
        transaction: None,
        validity: Validity { not_before_s: Some(now_s), not_after_s: Some(now_s + 60) },
    }
}

/// What the gate does in its transaction, but for the log.
fn admit(store: &dyn Store, policy: &SignedPolicy, number: u64) -> Duration {
    let (wallet, agent): (WalletId, AgentId) = ("agent-1".parse().unwrap(), "bot".parse().unwrap());
    let said = [
        ("merchant_domain", "api.example.com"),
        ("merchant_category", "data"),
        ("confidence", "0.93"),
        ("retries", "0"),
    ];
    let said = said.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    // A payment each half minute: a hundred and twenty in the shortest window.
    let now_s = NOW_S + number * 30;
    let intent = payment(number, now_s);
    let (key, hash): (IdempotencyKey, _) =
        (format!("k{number}").parse().unwrap(), B256::from(U256::from(number)));
    let start = Instant::now();
    let mut txn = store.begin().unwrap();
    assert_eq!(claim(txn.as_ref(), &wallet, &key, hash).unwrap(), Claim::Fresh);
    let facts =
        Facts { metadata: Some(&said), ..Facts::of(&wallet, &agent, Address::ZERO, &intent, now_s * 1000) };
    let decision =
        evaluate(Some(policy), &facts, &Before::request(txn.as_ref(), &key, intent.once())).unwrap();
    let approval = match decision {
        Decision::Allow(approval) => approval,
        Decision::Deny(denial) => unreachable!("the policy allows it: {:?}", denial.failures),
    };
    let pending = reserve_releasing(txn.as_mut(), approval, &key, hash).unwrap();
    let _releasing = pending.confirm(&txn.commit().unwrap());
    start.elapsed()
}

fn main() {
    let mut args = std::env::args().skip(1);
    let requests: u64 = args.next().map_or(1000, |n| n.parse().unwrap());
    let dir = args.next().map_or_else(tempfile::tempdir, tempfile::tempdir_in).unwrap();
    let kek_file = dir.path().join("kek");
    Kek::generate_file(&kek_file).unwrap();
    let binding = Binding { cluster: "bench".parse().unwrap(), owner: "coordinator-1".to_owned(), epoch: 0 };
    let store = open(&dir.path().join("redb"), &binding, &Kek::from_file(&kek_file).unwrap()).unwrap();
    let policy = policy();
    let mut times: Vec<Duration> = (0..requests).map(|number| admit(&*store, &policy, number)).collect();
    println!("{requests} requests evaluated and reserved, sealed and synced, in {}", dir.path().display());
    times.sort_unstable();
    let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or_default();
    println!(
        "evaluated and reserved       p50 {:>9.3?}   p95 {:>9.3?}   p99 {:>9.3?}",
        at(50),
        at(95),
        at(99)
    );
}
