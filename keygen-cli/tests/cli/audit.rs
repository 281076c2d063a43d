//! A log in a file, checked without a cluster.

use crate::bench::Bench;
use quorate_audit::{Event, Exported, append, entries};
use quorate_store::{MemStore, update};

/// A log of some entries, as `audit export` writes it.
fn exported(n: u64) -> Vec<String> {
    let store = MemStore::new();
    for i in 1..=n {
        let event = Event::new("sign.allowed").wallet(&"treasury".parse().unwrap()).field("n", i);
        let (receipt, durable) = update(&store, |txn| append(txn, 1000 + i, &event)).unwrap();
        receipt.confirm(&durable);
    }
    entries(&store, 1, usize::MAX).unwrap().into_iter().map(|entry| entry.json).collect()
}

#[test]
fn a_log_is_verified_and_a_tampered_one_is_refused() {
    let bench = Bench::new();
    let lines = exported(7);
    let log = Exported::read(&lines.join("\n")).unwrap();
    let (last, checkpoint) = (&log.entries()[6], log.checkpoint().to_string());
    let receipt = format!("{}:{}", last.sequence, last.hash);
    bench.write("good", &lines.join("\n"));
    let good =
        bench.run(&["--json", "audit", "verify", "good", "--receipt", &receipt, "--checkpoint", &checkpoint]);
    assert_eq!((good.code, good.json()["entries"].as_u64()), (0, Some(7)), "{}", good.stderr);
    assert_eq!(good.json()["checkpoint"], checkpoint.as_str());
    let mut swapped = lines.clone();
    swapped.swap(2, 3);
    for (name, lines) in [
        ("edited", lines.iter().map(|line| line.replace("\"n\":3", "\"n\":9")).collect::<Vec<_>>()),
        ("deleted", [&lines[..2], &lines[3..]].concat()),
        ("swapped", swapped),
        ("other", vec!["{}".to_owned()]),
    ] {
        bench.write(name, &lines.join("\n"));
        let refused = bench.run(&["audit", "verify", name]);
        assert_eq!(refused.code, 4, "{name}");
        assert!(refused.stderr.contains("entry "), "{name}: {}", refused.stderr);
    }
    // A cut end chains well: only somebody who saw more can tell.
    bench.write("cut", &lines[..6].join("\n"));
    assert_eq!(bench.run(&["audit", "verify", "cut"]).code, 0);
    for seen in [["--receipt", &receipt], ["--checkpoint", &checkpoint]] {
        let refused = bench.run(&["audit", "verify", "cut", seen[0], seen[1]]);
        assert_eq!(refused.code, 4);
        assert!(refused.stderr.contains("truncated"), "{}", refused.stderr);
    }
}

#[test]
fn a_proof_convinces_whoever_has_only_the_root() {
    let bench = Bench::new();
    let lines = exported(5);
    let log = Exported::read(&lines.join("\n")).unwrap();
    let receipt = format!("3:{}", log.entries()[2].hash);
    let checkpoint = log.checkpoint().to_string();
    bench.write("log", &lines.join("\n"));
    let proved = bench.run(&["audit", "prove", &receipt, "--log", "log", "--out", "proof.json"]);
    assert_eq!(proved.code, 0, "{}", proved.stderr);
    std::fs::remove_file(bench.path("log")).unwrap();
    let checked = bench.run(&["audit", "check", "proof.json", "--checkpoint", &checkpoint]);
    assert_eq!(checked.code, 0, "{}", checked.stderr);
    assert!(checked.stdout.contains("\"n\":3"), "{}", checked.stdout);
    let proof = std::fs::read_to_string(bench.path("proof.json")).unwrap();
    bench.write("forged.json", &proof.replace("\\\"n\\\":3", "\\\"n\\\":4"));
    assert_eq!(bench.run(&["audit", "check", "forged.json", "--checkpoint", &checkpoint]).code, 4);
    let other = Exported::read(&lines[..4].join("\n")).unwrap().checkpoint().to_string();
    assert_eq!(bench.run(&["audit", "check", "proof.json", "--checkpoint", &other]).code, 4);
    let wrong = receipt.replace("3:", "2:");
    assert_eq!(bench.run(&["audit", "prove", &wrong, "--log", "log2", "--out", "p2"]).code, 4);
}
