//! What works: every pair that holds two shares verifies, drills, signs and sweeps.

use std::fs;

use alloy_consensus::TxEnvelope;
use alloy_consensus::transaction::Transaction;
use alloy_eips::Decodable2718;
use quorate_tests::recover;
use quorate_types::{Bytes, Payload, U256};

use crate::bench::{Bench, address};

const TO: &str = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";
const PLAN: &str = "chain: base-sepolia\nnonce: 7\nnative_balance: '0.01'\nmax_fee_per_gas: 2gwei\n\
                    max_priority_fee_per_gas: 1gwei\ntokens: {USDC: '12.5'}\n";

fn raws(bench: &Bench) -> Vec<TxEnvelope> {
    let text = fs::read_to_string(bench.path("out/raw-transactions.txt")).unwrap();
    let read = |line: &str| {
        let bytes = hex::decode(&line[2..]).unwrap();
        TxEnvelope::decode_2718(&mut bytes.as_slice()).unwrap()
    };
    text.lines().map(read).collect()
}

#[test]
fn the_service_is_gone_and_agent_and_cold_sweep_the_wallet() {
    let bench = Bench::new();
    // Its data directory and its backup with it.
    fs::remove_dir_all(bench.path("service")).unwrap();
    fs::write(bench.path("plan.yaml"), PLAN).unwrap();
    let verified = bench.recover("verify", ["agent", "cold"], &[]).json();
    assert_eq!(verified["address"], address().to_string().to_lowercase());

    let args = ["--plan", "plan.yaml", "--to", TO, "--confirm-to", TO, "--out", "out"];
    let ran = bench.recover("sweep", ["agent", "cold"], &args);
    assert!(ran.stderr.contains("12.5 USDC"), "in words, before anything is signed: {}", ran.stderr);
    let swept = ran.json();
    assert_eq!(swept["transactions"].as_array().unwrap().len(), 2);
    let signed = raws(&bench);
    for (transaction, nonce) in signed.iter().zip([7, 8]) {
        let signature = transaction.signature().as_bytes();
        assert_eq!(recover(&signature, transaction.signature_hash()), address(), "by a second library");
        assert_eq!((transaction.nonce(), transaction.chain_id()), (nonce, Some(84532)));
    }
    assert_eq!(signed[1].to().unwrap().to_string(), TO);
    let fees = U256::from(2_000_000_000_u64 * (100_000 + 21_000));
    assert_eq!(signed[1].value() + fees, U256::from(10_000_000_000_000_000_u64));

    // Again: the very same transactions, none signed anew.
    let before = fs::read(bench.path("out/raw-transactions.txt")).unwrap();
    let again = bench.recover("sweep", ["agent", "cold"], &args).json();
    assert_eq!(again["signed_before"], 2);
    assert_eq!(fs::read(bench.path("out/raw-transactions.txt")).unwrap(), before);

    // Killed between two transactions, its last line cut short: the first stays as it was, the second is the same one.
    let journal = bench.path("out/journal.jsonl");
    let text = fs::read_to_string(&journal).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 4, "each planned, then signed");
    fs::write(&journal, format!("{}\n{}\n{}\n{}", lines[0], lines[1], lines[2], &lines[3][..50])).unwrap();
    let resumed = bench.recover("sweep", ["agent", "cold"], &args).json();
    assert_eq!(resumed["signed_before"], 1);
    let after = raws(&bench);
    assert_eq!(after[0], signed[0]);
    assert_eq!(after[1].signature_hash(), signed[1].signature_hash(), "never another one for its nonce");

    // Another plan for the same nonces is refused before anything is signed.
    fs::write(bench.path("plan.yaml"), PLAN.replace("12.5", "12")).unwrap();
    let other = bench.recover("sweep", ["agent", "cold"], &args);
    assert_eq!(other.code, 4);
    assert!(other.stdout.contains("nonce 7 on chain 84532 is taken"), "{}", other.stdout);

    let transcript = bench.run(&["--json", "recover", "transcript", "--file", "ceremony.jsonl"]).json();
    let steps: Vec<_> = transcript["steps"].as_array().unwrap().iter().map(|s| s["step"].clone()).collect();
    assert_eq!(steps[..4], ["verified", "sweeping", "verified", "swept"]);
    nothing_secret_is_left(&bench);
}

/// Neither share nor identity is in any file the ceremony wrote, in any spelling.
fn nothing_secret_is_left(bench: &Bench) {
    let identity = fs::read_to_string(bench.path("recovery.key")).unwrap();
    for name in ["ceremony.jsonl", "out/journal.jsonl", "out/raw-transactions.txt"] {
        let text = fs::read_to_string(bench.path(name)).unwrap();
        assert!(!text.contains(identity.trim()) && !text.contains("AGE-SECRET"), "{name}");
        assert!(!text.contains("secret"), "{name}");
    }
}

#[test]
fn the_cold_files_are_gone_and_agent_and_service_sweep_too() {
    let bench = Bench::new();
    fs::remove_dir_all(bench.path("cold")).unwrap();
    fs::write(bench.path("plan.yaml"), PLAN).unwrap();
    let args = ["--plan", "plan.yaml", "--to", TO, "--confirm-to", TO, "--out", "out"];
    let swept = bench.recover("sweep", ["service", "agent"], &args).json();
    assert_eq!(swept["transactions"].as_array().unwrap().len(), 2);
    for transaction in raws(&bench) {
        assert_eq!(recover(&transaction.signature().as_bytes(), transaction.signature_hash()), address());
    }
}

#[test]
fn the_agent_is_gone_and_service_and_cold_drill_and_sign() {
    let bench = Bench::new();
    fs::remove_dir_all(bench.path("agent")).unwrap();
    let certificate = bench.recover("drill", ["cold", "service"], &["--out", "drill.json"]).json();
    let challenge = certificate["challenge"].as_str().unwrap();
    assert!(challenge.starts_with("Quorate recovery drill, version 1. This moves nothing."));
    let payload = Payload::Message(Bytes::from(challenge.as_bytes().to_vec()));
    let digest = quorate_intent::decode(&payload).unwrap().digest.digest();
    let signature = hex::decode(&certificate["signature"].as_str().unwrap()[2..]).unwrap();
    assert_eq!(recover(&signature, digest), address());
    let written: serde_json::Value =
        serde_json::from_slice(&fs::read(bench.path("drill.json")).unwrap()).unwrap();
    assert_eq!(written, certificate);
    let again = bench.recover("drill", ["cold", "service"], &["--out", "drill.json"]);
    assert_eq!(again.code, 4, "a certificate is never overwritten");

    let who = address().to_string();
    let args = ["--payload-message", "hello", "--confirm", &who];
    let signed = bench.recover("sign", ["service", "cold"], &args).json();
    let digest =
        quorate_intent::decode(&Payload::Message(Bytes::from_static(b"hello"))).unwrap().digest.digest();
    let signature = hex::decode(&signed["signature"].as_str().unwrap()[2..]).unwrap();
    assert_eq!(recover(&signature, digest), address());
}
