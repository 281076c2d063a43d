//! docs/ceremony.md is a checklist: its own blocks are run here, by a shell, on a golden cluster's files.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::bench::{Bench, address};

pub(crate) fn blocks(kind: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/ceremony.md");
    let text = fs::read_to_string(path).unwrap();
    let start = format!("```sh {kind}\n");
    let blocks = text.split(&start).skip(1).map(|rest| rest.split("```").next().unwrap());
    let blocks: Vec<_> = blocks.collect();
    assert!(blocks.len() >= 2, "{kind}: the test sees little");
    blocks.concat()
}

pub(crate) fn run(bench: &Bench, script: &str) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_quorate")).parent().unwrap();
    let path = format!("{}:/usr/bin:/bin", program.display());
    let ran = Command::new("bash")
        .args(["-euo", "pipefail", "-c", script])
        .current_dir(bench.dir.path())
        .env_clear()
        .env("PATH", path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
    said
}

#[test]
fn the_ceremony_as_it_is_written() {
    let bench = Bench::new();
    let said = run(&bench, &blocks("ceremony"));
    for words in ["GOOD: agent-1 and cold-1", "DRILLED", "SWEPT: 2 transactions", "swept"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(said.contains(&address().to_string()));
    assert_eq!(fs::read_to_string(bench.path("swept/raw-transactions.txt")).unwrap().lines().count(), 2);
}

#[test]
fn the_custodians_blocks_as_they_are_written() {
    let bench = Bench::new();
    run(&bench, &blocks("custodians"));
    let identity: age::x25519::Identity =
        fs::read_to_string(bench.path("identity.txt")).unwrap().trim().parse().unwrap();
    let recipient = fs::read_to_string(bench.path("pieces/recipient.txt")).unwrap();
    assert_eq!(identity.to_public().to_string(), recipient.trim());
    assert_eq!(fs::read_dir(bench.path("pieces")).unwrap().count(), 7, "five pieces, the recipient, a code");
}
