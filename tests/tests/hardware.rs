//! Shares sealed to a hardware token: real programs, and an age plugin that stands in for a token with a PIN.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::fs;
use std::path::Path;
use std::process::Command;

use quorate_tests::{Cluster, WALLET, World, golden, programs};
use quorate_types::Role;

const PLUGIN: &str = env!("CARGO_BIN_EXE_age-plugin-tape");

/// A token: its identity file is written, its recipient is the answer.
fn token(file: &Path) -> String {
    let made = Command::new(PLUGIN).output().unwrap();
    let text = String::from_utf8(made.stdout).unwrap();
    fs::write(file, &text).unwrap();
    let recipient = text.lines().find_map(|line| line.split("recipient: ").nth(1)).unwrap();
    recipient.trim().to_owned()
}

/// The cluster's operators take `recipient` in, and every node hears of it.
fn reseal_to(world: World, recipient: &str) -> World {
    let text = fs::read_to_string(world.path("manifest.yaml")).unwrap();
    let old = world.recovery().to_public().to_string();
    let text = text.replace("version: 1\n", "version: 2\n").replace(&old, recipient);
    let next = world.next_manifest(&text, &["operator", "operator-2"]);
    fs::write(world.path("manifest.yaml"), next.body).unwrap();
    fs::write(world.path("manifest.sig"), next.signatures.concat()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async { Cluster::start(world).await.stop().await })
}

struct Ran {
    code: i32,
    said: String,
}

/// A program with the plugin on its PATH, or without.
fn run(world: &World, program: &str, with_plugin: bool, args: &[&str]) -> Ran {
    let plugins = Path::new(PLUGIN).parent().unwrap();
    let path = if with_plugin { plugins } else { Path::new("/nowhere") };
    let root = world.path("manifest.yaml").parent().unwrap().to_owned();
    let output = Command::new(programs().join(program))
        .args(args)
        .current_dir(root)
        .env_clear()
        .env("PATH", path)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    Ran { code: output.status.code().unwrap(), said: String::from_utf8(said).unwrap() }
}

fn back_up(world: &World, role: Role, with_plugin: bool) -> Ran {
    let config = format!("{role}.yaml");
    fs::write(world.path(&config), world.node_yaml(role, "127.0.0.1:1".parse().unwrap())).unwrap();
    let out = format!("backup-{role}");
    run(world, "quorate-node", with_plugin, &["backup", "--config", &config, "--out", &out])
}

fn recover(world: &World, with_plugin: bool, more: &[&str]) -> Ran {
    let trust = ["--manifest", "manifest.yaml", "--manifest-signature", "manifest.sig", "--root", "root.pub"];
    let files = ["--package", "backup-agent", "--package", "backup-service", "--wallet", WALLET];
    let (command, more) = more.split_first().unwrap();
    let args =
        [&["--json", "recover", command, "--identity", "token.txt"], &trust[..], &files, more].concat();
    run(world, "quorate", with_plugin, &args)
}

#[test]
fn a_token_opens_what_was_sealed_to_it_for_its_pin_only() {
    let world = golden().world();
    let recipient = token(&world.path("token.txt"));
    assert!(recipient.starts_with("age1tape1"), "{recipient}");
    let world = reseal_to(world, &recipient);
    fs::write(world.path("root.pub"), world.operator().public_key().to_openssh().unwrap()).unwrap();
    for (file, pin) in [("pin", "271828\n"), ("wrong", "314159\n")] {
        fs::write(world.path(file), pin).unwrap();
    }

    let refused = back_up(&world, Role::Agent, false);
    assert_ne!(refused.code, 0);
    assert!(refused.said.contains("age-plugin-tape") && refused.said.contains("PATH"), "{}", refused.said);
    fs::remove_dir_all(world.path("backup-agent")).unwrap();
    for role in [Role::Agent, Role::Service] {
        let made = back_up(&world, role, true);
        assert_eq!(made.code, 0, "{}", made.said);
    }

    let drill = |with_plugin, pin: &[&str]| {
        recover(&world, with_plugin, &[&["drill", "--out", "drill.json"], pin].concat())
    };
    let cases: [(bool, &[&str], &str); 3] = [
        (false, &["--pin-file", "pin"], "age-plugin-tape"),
        (true, &[], "--pin-file"),
        (true, &["--pin-file", "wrong"], "the PIN is wrong"),
    ];
    for (with_plugin, pin, words) in cases {
        let refused = drill(with_plugin, pin);
        assert_ne!(refused.code, 0);
        assert!(refused.said.contains(words), "{words}: {}", refused.said);
        assert!(!refused.said.contains("314159") && !refused.said.contains("AGE-"), "{}", refused.said);
    }
    assert!(!world.path("drill.json").exists());
    let drilled = drill(true, &["--pin-file", "pin"]);
    assert_eq!(drilled.code, 0, "{}", drilled.said);
    assert!(world.path("drill.json").exists());
}
