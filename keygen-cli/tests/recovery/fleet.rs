//! Many wallets in one run: killed in the middle, with a damaged file, to where the operators decided beforehand.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant};

use alloy_consensus::TxEnvelope;
use alloy_consensus::transaction::Transaction;
use alloy_eips::Decodable2718;
use quorate_manifest::Namespace;
use quorate_tests::{Cluster, World, golden, recover};
use quorate_types::Address;
use serde_json::Value;

use crate::bench::{Bench, Ran, back_up};

const TO: &str = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";
const WALLETS: [&str; 4] = ["wallet-1", "wallet-2", "wallet-3", "wallet-4"];

/// The golden wallet and three more.
fn world() -> World {
    let make = || async {
        let cluster = Cluster::start(golden().world()).await;
        for wallet in &WALLETS[1..] {
            cluster.create_wallet(wallet).await.unwrap();
        }
        cluster.stop().await
    };
    golden();
    let world = tokio::runtime::Runtime::new().unwrap().block_on(make());
    back_up(&world, WALLETS.len());
    world
}

fn args<'a>(command: &'a [&'a str]) -> Vec<&'a str> {
    let mut args = vec!["--json", "recover", "fleet"];
    args.extend(["--manifest", "manifest.yaml", "--manifest-signature", "manifest.sig"]);
    args.extend(["--root", "root.pub", "--identity", "recovery.key"]);
    args.extend(["--package", "agent", "--package", "cold", "--plan", "plan.yaml", "--out", "out"]);
    args.extend(command);
    args
}

fn plan(usdc: &str) -> String {
    let wallet = |name: &&str| {
        format!(
            "  - wallet: {name}\n    chains:\n      - {{chain: base-sepolia, nonce: 7, native_balance: '0.01', \
             max_fee_per_gas: 2gwei, max_priority_fee_per_gas: 1gwei, authorizations: {{valid_before: 2000000000, \
             tokens: {{USDC: '{usdc}'}}}}}}\n"
        )
    };
    format!("wallets:\n{}", WALLETS.iter().map(wallet).collect::<String>())
}

fn error(ran: &Ran) -> String {
    assert_ne!(ran.code, 0);
    let said: Value = serde_json::from_str(&ran.stdout).unwrap();
    said["error"].to_string()
}

/// Every slot in the journal with the payloads it was given.
fn slots(bench: &Bench) -> BTreeMap<String, BTreeSet<String>> {
    let mut slots: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for line in fs::read_to_string(bench.path("out/journal.jsonl")).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let slot = format!("{} {} {}", line["from"], line["chain"], line["slot"]);
        slots.entry(slot).or_default().insert(line["unsigned"].to_string());
    }
    slots
}

#[test]
fn a_fleet_is_swept_although_the_run_is_killed_and_a_file_is_damaged() {
    let world = world();
    let bench = Bench::of(&world);
    fs::write(bench.path("plan.yaml"), plan("12.5")).unwrap();
    let policy =
        format!("sweep: quorate/v1\ncluster: dev\nversion: 3\ndestinations: {{base-sepolia: '{TO}'}}\n");
    fs::write(bench.path("sweep.yaml"), &policy).unwrap();
    let by_policy = ["--sweep-policy", "sweep.yaml"];

    // Only what the operators signed for this counts.
    let wrong = world.sign(policy.as_bytes(), Namespace::Policy);
    fs::write(bench.path("sweep.yaml.sig"), wrong).unwrap();
    let refused = error(&bench.run(&args(&by_policy)));
    assert!(refused.contains("sweep.yaml") && refused.contains("nothing was signed"), "{refused}");
    let signed = |text: &str| {
        fs::write(bench.path("sweep.yaml"), text).unwrap();
        fs::write(bench.path("sweep.yaml.sig"), world.sign(text.as_bytes(), Namespace::Sweep)).unwrap();
    };
    signed(&format!("{policy}expires: 2026-01-01T00:00:00Z\n"));
    let refused = error(&bench.run(&args(&by_policy)));
    assert!(
        refused.contains("expires: was 2026-01-01") && refused.contains("nothing was signed"),
        "{refused}"
    );
    signed(&policy);

    // One of the four has a damaged share: the others are swept, and it is named.
    let share = bench.file("agent", ".share.age");
    let whole = fs::read(&share).unwrap();
    fs::write(&share, &whole[..whole.len() / 2]).unwrap();
    let refused = error(&bench.run(&args(&by_policy)));
    assert!(refused.contains("share.age") && refused.contains("cut short"), "{refused}");
    assert!(!bench.path("out").exists(), "found before anything was signed");
    fs::write(&share, &whole).unwrap();

    // Killed in the middle, as hard as it goes.
    let mut child = bench.command(&args(&by_policy)).spawn().unwrap();
    let journal = bench.path("out/journal.jsonl");
    let began = Instant::now();
    while fs::read_to_string(&journal).unwrap_or_default().lines().count() < 5 {
        assert!(began.elapsed() < Duration::from_secs(120) && child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let killed = fs::read_to_string(&journal).unwrap();

    // Another plan is refused; the same one goes on where it was.
    fs::write(bench.path("plan.yaml"), plan("12")).unwrap();
    let refused = error(&bench.run(&args(&by_policy)));
    assert!(refused.contains("is taken by"), "{refused}");
    fs::write(bench.path("plan.yaml"), plan("12.5")).unwrap();
    let ran = bench.run(&args(&by_policy));
    assert!(ran.stderr.contains("50 USDC") || ran.stderr.contains("50.000000 USDC"), "{}", ran.stderr);
    assert!(ran.stderr.contains("sweep policy version 3"), "{}", ran.stderr);
    let swept = ran.json();
    assert_eq!(swept["transactions"].as_array().unwrap().len(), 8);
    assert!(swept["signed_before"].as_u64().unwrap() >= 2, "{swept}");
    assert_eq!(swept["failed"].as_array().unwrap().len(), 0);
    assert!(fs::read_to_string(&journal).unwrap().starts_with(&killed[..killed.rfind('\n').unwrap()]));
    let slots = slots(&bench);
    assert_eq!(slots.len(), 8);
    assert!(slots.values().all(|payloads| payloads.len() == 1), "two payloads for one nonce");
    broadcast(&bench, &swept);
}

/// Every wallet's coin goes where the policy says, by its own key.
fn broadcast(bench: &Bench, swept: &Value) {
    let raw = fs::read_to_string(bench.path("out/raw-transactions.txt")).unwrap();
    let mut senders = Vec::new();
    for line in raw.lines() {
        let bytes = hex::decode(&line[2..]).unwrap();
        let transaction = TxEnvelope::decode_2718(&mut bytes.as_slice()).unwrap();
        assert_eq!(transaction.to().unwrap().to_string(), TO);
        assert_eq!(transaction.nonce(), 7);
        senders.push(recover(&transaction.signature().as_bytes(), transaction.signature_hash()));
    }
    let expected: Vec<Address> = serde_json::from_value(swept["from"].clone()).unwrap();
    assert_eq!(senders, expected);
    assert_eq!(senders.iter().collect::<BTreeSet<_>>().len(), WALLETS.len());
    let calls = fs::read_to_string(bench.path("out/authorizations.jsonl")).unwrap();
    for (line, from) in calls.lines().zip(expected) {
        let call: Value = serde_json::from_str(line).unwrap();
        let data = call["data"].as_str().unwrap();
        // transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)
        assert!(data.starts_with("0xe3ee160e"), "{data}");
        assert_eq!(data.len(), 2 + 8 + 9 * 64);
        assert!(
            data[10..74].ends_with(&hex::encode(from)) && data[74..138].ends_with(&TO[2..].to_lowercase())
        );
    }
    assert_eq!(calls.lines().count(), WALLETS.len());
}
