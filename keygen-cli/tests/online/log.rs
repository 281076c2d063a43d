//! The log of a coordinator that runs: its end, what comes, and all of it in a file.

use std::io::{BufRead, BufReader};
use std::process::Child;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use quorate_tests::{COORDINATOR, STRANGER};
use serde_json::Value;

use crate::desk::{Desk, Ran, says};

/// A program that goes on until it is killed, line by line.
struct Following {
    child: Child,
    lines: Receiver<String>,
}

impl Following {
    fn of(mut child: Child) -> Self {
        let (tell, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
        Self { child, lines }
    }

    fn next(&self) -> String {
        self.lines.recv_timeout(Duration::from_secs(30)).expect("no entry came")
    }

    /// Reads until an entry of this kind about this request.
    fn until(&self, kind: &str, key: &str) -> u64 {
        loop {
            let line = self.next();
            let mut words = line.split(' ');
            let sequence = words.next().unwrap().parse().unwrap();
            if words.nth(1) == Some(kind) && line.contains(&format!("\"idempotency_key\":\"{key}\"")) {
                return sequence;
            }
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn receipt(answer: &Value) -> (u64, String) {
    let (sequence, hash) = (&answer["receipt"]["sequence"], answer["receipt"]["hash"].as_str().unwrap());
    (sequence.as_u64().unwrap(), format!("{sequence}:{hash}"))
}

#[test]
fn the_log_is_followed_exported_and_verified_without_the_cluster() {
    let mut desk = Desk::new();
    let first = desk.paid(1, &["--json", "--idempotency-key", "first"]).json(0);
    let following = followed(&mut desk, &first);
    let child = desk.pay_to(&STRANGER.to_string(), 2, &["--json", "--idempotency-key", "stranger"]);
    let denied = Ran::of(child.wait_with_output().unwrap()).json(3);
    assert_eq!(following.until("sign.denied", "stranger"), receipt(&denied).0);
    drop(following);
    says(&desk.run("gateway", &["audit", "tail"]).refused(), &["gateway may not call"]);
    exported(&desk, [&first, &denied]);
    desk.close();
}

/// The end of the log, and then what comes: also from a coordinator that was started again in between.
fn followed(desk: &mut Desk, first: &Value) -> Following {
    let (sequence, _) = receipt(first);
    let tail = desk.run("auditor", &["audit", "tail", "-n", "2"]).ends(0);
    let lines: Vec<&str> = tail.lines().collect();
    assert_eq!(lines.len(), 2, "{tail}");
    assert!(lines[1].starts_with(&format!("{sequence} ")), "{tail}");
    says(lines[0], &[" sign.allowed wallet-1 {"]);
    says(lines[1], &[" sign.signed wallet-1 {"]);
    let following = Following::of(desk.start("auditor", &["audit", "tail", "-n", "1", "--follow"]));
    assert_eq!(following.until("sign.signed", "first"), sequence);
    let second = desk.paid(3, &["--json", "--idempotency-key", "second"]).json(0);
    assert_eq!(following.until("sign.signed", "second"), receipt(&second).0);
    let Desk { cluster, runtime, .. } = desk;
    runtime.block_on(async {
        cluster.restart_coordinator().await;
        cluster.attached(&quorate_types::Role::ALL).await;
    });
    following
}

fn exported(desk: &Desk, answers: [&Value; 2]) {
    let told = desk.run("auditor", &["--json", "audit", "export", "--out", "log"]).json(0);
    let text = std::fs::read_to_string(desk.path("log")).unwrap();
    assert_eq!(told["entries"].as_u64().unwrap(), text.lines().count() as u64);
    says(&desk.run("auditor", &["audit", "export", "--out", "log"]).refused(), &["log"]);

    // Offline from here on.
    let verify = |file: &str, more: &[&str]| desk.run("", &[&["audit", "verify", file][..], more].concat());
    let [(_, signed), (last, denied)] = answers.map(receipt);
    let checkpoint = told["checkpoint"].as_str().unwrap();
    let known = ["--receipt", &signed, "--receipt", &denied, "--checkpoint", checkpoint];
    let words = verify("log", &known).ends(0);
    says(&words, &["each in its place and following from the one before", checkpoint]);
    let cut: String =
        text.lines().take(usize::try_from(last).unwrap() - 1).flat_map(|line| [line, "\n"]).collect();
    desk.write("cut", &cut);
    verify("cut", &[]).ends(0);
    says(&verify("cut", &["--receipt", &denied]).refused(), &["truncated"]);
    desk.write("edited", &text.replace(&STRANGER.to_string(), &quorate_tests::FRIEND.to_string()));
    says(&verify("edited", &known).refused(), &[&format!("entry {last}")]);

    // What the nodes cosigned of it, where they have by now, is beside it.
    if desk.path("log.checkpoint").exists() {
        let manifest = desk.cluster.world.path("manifest.yaml");
        let cosigned = ["--cosigned", "log.checkpoint", "--manifest", manifest.to_str().unwrap()];
        says(&verify("log", &cosigned).ends(0), &["cosigned   the first ", COORDINATOR]);
    }
}
