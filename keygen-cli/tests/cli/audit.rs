//! A log in a file, checked without a cluster.

use crate::bench::Bench;
use quorate_audit::{Event, Exported, append, entries};
use quorate_session::{LogCheckpoint, NodeKey, Note, log_origin};
use quorate_store::{MemStore, update};
use rand_core::OsRng;

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

/// A manifest of two nodes and a coordinator, and its nodes' keys.
fn manifest(bench: &Bench) -> [NodeKey; 2] {
    let keys = [(); 2].map(|()| NodeKey::generate(&mut OsRng));
    let operator = ssh_key::PrivateKey::random(&mut OsRng, ssh_key::Algorithm::Ed25519).unwrap();
    let yaml = format!(
        "manifest: quorate/v1\ncluster: acme\nversion: 1\nnodes:\n  - {{id: agent-1, role: agent, key: \"{}\"}}\n  \
         - {{id: service-1, role: service, key: \"{}\"}}\noperators: [{{name: olga, key: \"{}\"}}]\n\
         quorum: {{operators: 1}}\ncoordinators: [{{id: coordinator-1}}]\n",
        keys[0].public(),
        keys[1].public(),
        operator.public_key().to_openssh().unwrap()
    );
    bench.write("manifest.yaml", &yaml);
    keys
}

/// A checkpoint of the log of these lines, cosigned by nodes in this order.
fn note(lines: &[String], keys: &[(&str, &NodeKey)], origin: &str) -> String {
    let log = Exported::read(&lines.join("\n")).unwrap();
    let cluster = "acme".parse().unwrap();
    let (origin, root) = (log_origin(&cluster, origin), log.checkpoint().hash);
    let checkpoint = LogCheckpoint { origin, size: log.head().sequence, root };
    let mut note = Note::new(checkpoint.clone());
    for (node, key) in keys {
        note.push(&cluster, (&node.parse().unwrap(), &key.public()), key.cosign(&checkpoint, 1_700_000_000));
    }
    note.to_string()
}

#[test]
fn a_cosigned_checkpoint_finds_every_kind_of_tampering() {
    let bench = Bench::new();
    let keys = manifest(&bench);
    let lines = exported(7);
    let both = [("agent-1", &keys[0]), ("service-1", &keys[1])];
    bench.write("good.checkpoint", &note(&lines[..6], &both, "coordinator-1"));
    let verify = |log: &str, checkpoint: &str| {
        let told = ["audit", "verify", log, "--cosigned", checkpoint, "--manifest", "manifest.yaml"];
        bench.run(&told)
    };
    bench.write("log", &lines.join("\n"));
    let good = verify("log", "good.checkpoint");
    assert_eq!(good.code, 0, "{}", good.stderr);
    let told =
        "cosigned   the first 6 entries of coordinator-1, at 2023-11-14T22:13:20Z, by agent-1, service-1";
    assert!(good.stdout.starts_with(told), "{}", good.stdout);
    // Cut, forked with a chain of its own, and edited with all its hashes made anew.
    bench.write("cut", &lines[..5].join("\n"));
    assert!(verify("cut", "good.checkpoint").stderr.contains("truncated"));
    let rewritten: Vec<String> = {
        let store = MemStore::new();
        for i in 1..=7u64 {
            let event = Event::new("sign.allowed")
                .wallet(&"treasury".parse().unwrap())
                .field("n", if i == 3 { 33 } else { i });
            let (receipt, durable) = update(&store, |txn| append(txn, 1000 + i, &event)).unwrap();
            receipt.confirm(&durable);
        }
        entries(&store, 1, usize::MAX).unwrap().into_iter().map(|entry| entry.json).collect()
    };
    bench.write("rewritten", &rewritten.join("\n"));
    assert_eq!(bench.run(&["audit", "verify", "rewritten"]).code, 0, "it chains well");
    assert!(verify("rewritten", "good.checkpoint").stderr.contains("rewritten"));
    // Checkpoints that prove nothing.
    let eve = NodeKey::generate(&mut OsRng);
    for (name, text, words) in [
        (
            "one",
            note(&lines, &both[..1], "coordinator-1"),
            "1 of the manifest's agent and service nodes cosigned it, 2 must",
        ),
        ("twice", note(&lines, &[both[0], both[0]], "coordinator-1"), "1 of the manifest's agent"),
        ("eve", note(&lines, &[both[0], ("service-1", &eve)], "coordinator-1"), "1 of the manifest's agent"),
        ("other", note(&lines, &both, "coordinator-2"), "which is no log of"),
        ("bent", note(&lines, &both, "coordinator-1").replace("\n7\n", "\n6\n"), "does not hold"),
    ] {
        bench.write(name, &text);
        let refused = verify("log", name);
        assert_eq!(refused.code, 4, "{name}");
        assert!(refused.stderr.contains(words), "{name}: {}", refused.stderr);
    }
    // An entry is proven against what the nodes cosigned.
    let log = Exported::read(&lines.join("\n")).unwrap();
    let receipt = |at: usize| format!("{}:{}", at, log.entries()[at - 1].hash);
    let known = ["--cosigned", "good.checkpoint", "--manifest", "manifest.yaml"];
    let prove = |at: usize, out: &str| {
        let told = ["audit", "prove", &receipt(at), "--log", "log", "--out", out];
        bench.run(&[&told[..], &known].concat())
    };
    assert_eq!(prove(3, "proof.json").code, 0);
    let checked = bench.run(&[&["audit", "check", "proof.json"][..], &known].concat());
    assert_eq!(checked.code, 0, "{}", checked.stderr);
    assert!(checked.stdout.contains("\"n\":3"));
    assert_ne!(prove(7, "late.json").code, 0, "it came after what was cosigned");
}

#[test]
fn a_nodes_own_log_counts_under_its_own_line_and_that_of_others() {
    let bench = Bench::new();
    let keys = manifest(&bench);
    let lines = exported(5);
    bench.write("log", &lines.join("\n"));
    bench.write("cut", &lines[..3].join("\n"));
    let (agent, service) = (("agent-1", &keys[0]), ("service-1", &keys[1]));
    let verify = |log: &str, text: &str| {
        bench.write("node.checkpoint", text);
        let known = ["--cosigned", "node.checkpoint", "--manifest", "manifest.yaml"];
        bench.run(&[&["audit", "verify", log][..], &known].concat())
    };
    for origin in ["service-1", "service-1/1700000000000"] {
        let good = note(&lines[..4], &[service, agent], origin);
        let verified = verify("log", &good);
        assert_eq!(verified.code, 0, "{}", verified.stderr);
        let told = "cosigned   the first 4 entries of service-1, at 2023-11-14T22:13:20Z, by agent-1\n";
        assert!(verified.stdout.starts_with(told), "{}", verified.stdout);
        assert!(verify("cut", &good).stderr.contains("truncated"));
    }
    let eve = NodeKey::generate(&mut OsRng);
    for (text, words) in [
        (note(&lines, &[agent], "service-1"), "service-1 did not sign it"),
        (note(&lines, &[("service-1", &eve), agent], "service-1"), "service-1 did not sign it"),
        (
            note(&lines, &[service], "service-1"),
            "0 of the manifest's agent and service nodes cosigned it, 1 must",
        ),
        (note(&lines, &[service, agent], "service-1/0"), "which is no log of"),
    ] {
        let refused = verify("log", &text);
        assert_eq!(refused.code, 4, "{words}");
        assert!(refused.stderr.contains(words), "{words}: {}", refused.stderr);
    }
}
