//! The real binary: what it says, and how it exits.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::path::Path;
use std::process::{Command, Output};

fn run(config: &Path) -> Output {
    // Asked at run time: not every compiler wrapper hands on a variable with a dash in its name.
    let binary = std::env::var("CARGO_BIN_EXE_quorate-coordinator").expect("run by cargo test");
    Command::new(binary).arg("run").arg("--config").arg(config).output().unwrap()
}

#[test]
fn a_bad_configuration_exits_2_and_is_told_once() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("coordinator.yaml");
    assert_eq!(run(&config).status.code(), Some(2));
    std::fs::write(&config, "cluster: dev\nsurprise: 1\n").unwrap();
    let refused = run(&config);
    assert_eq!(refused.status.code(), Some(2));
    assert!(refused.stdout.is_empty());
    let words = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(words.matches("surprise").count(), 1, "{words}");
}
