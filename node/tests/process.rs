//! The real binary: what it prints, how it exits, and what it asks of the kernel.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(unreachable_pub, dead_code, reason = "shared between test binaries")]

mod common;

use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use common::{Cluster, Coordinator};
use rustix::process::{Pid, Signal, kill_process};

/// Asked at run time: not every compiler wrapper hands on a variable with a dash in its name.
fn binary() -> Command {
    Command::new(std::env::var("CARGO_BIN_EXE_quorate-node").expect("run by cargo test"))
}

fn quorate_node(args: &[&str]) -> Output {
    binary().args(args).output().unwrap()
}

#[test]
fn init_prints_the_public_key_once() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let args = ["init", "--data-dir", data.to_str().unwrap(), "--id", "agent-1"];
    let made = quorate_node(&args);
    assert!(made.status.success());
    let line: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
    assert_eq!(line["node"], "agent-1");
    let key = line["key"].as_str().unwrap();
    assert_eq!(quorate_node::identity::load(&data).unwrap().public().to_string(), key);
    let again = quorate_node(&args);
    assert_eq!(again.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&again.stderr).contains("never overwritten"));
    assert!(again.stdout.is_empty());
    assert_eq!(quorate_node(&["init", "--data-dir", "x", "--id", "No Good"]).status.code(), Some(2));
}

#[test]
fn a_bad_configuration_exits_2_and_names_the_field() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("node.yaml");
    let missing = quorate_node(&["run", "--config", config.to_str().unwrap()]);
    assert_eq!(missing.status.code(), Some(2));
    std::fs::write(&config, "cluster: dev\nsurprise: 1\n").unwrap();
    let surprise = quorate_node(&["run", "--config", config.to_str().unwrap()]);
    assert_eq!(surprise.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&surprise.stderr).contains("surprise"));
}

#[test]
fn a_refusal_to_start_is_said_once_and_in_plain_text() {
    let cluster = Cluster::new();
    let config = cluster.path("node.yaml");
    let yaml = cluster.yaml(&[("coordinator-1", ([127, 0, 0, 1], 1).into())]);
    std::fs::write(&config, yaml.replace("file: kek", "file: manifest.yaml")).unwrap();
    let refused = quorate_node(&["run", "--config", config.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(2));
    let words = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(words.matches("manifest.yaml").count(), 1, "{words}");
    assert!(!words.contains('\u{1b}'), "colours in a log that is no terminal: {words:?}");
}

struct Node(Child);

impl Drop for Node {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

#[tokio::test]
async fn a_running_node_is_hardened_and_stops_when_told() {
    let cluster = Cluster::new();
    let mut coordinator = Coordinator::start(&cluster, "coordinator-1").await;
    let config = cluster.path("node.yaml");
    std::fs::write(&config, cluster.yaml(&[("coordinator-1", coordinator.address)])).unwrap();
    let child =
        binary().args(["run", "--config", config.to_str().unwrap()]).stderr(Stdio::null()).spawn().unwrap();
    let mut node = Node(child);
    let (_stream, hello) = coordinator.welcome(1_000).await;
    assert_eq!(hello.node, "service-1");

    let proc = |name: &str| std::fs::read_to_string(format!("/proc/{}/{name}", node.0.id())).unwrap();
    let status = proc("status");
    assert!(status.lines().any(|line| line == "NoNewPrivs:\t1"), "{status}");
    let limits = proc("limits");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");

    let pid = Pid::from_raw(i32::try_from(node.0.id()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    for _ in 0..500 {
        if let Some(status) = node.0.try_wait().unwrap() {
            assert_eq!(status.code(), Some(0));
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("still running after SIGTERM");
}
