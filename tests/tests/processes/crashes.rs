//! Each failpoint in turn: the process dies there, is started again, and is asked the same. One answer, one charge, whichever
//! it was.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use quorate_failpoint::{Point, VARIABLE};
use quorate_tests::FRIEND;
use quorate_types::Address;
use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};

use crate::{Dev, NO_POOLS, PATIENCE, Paid, Ran, check_transfer};

/// Payments asked for until one meets a failpoint: where there is a presignature that the coordinator knows of, the first does.
const TRIES: usize = 5;
/// Nonces of the payments here begin above those of others.
const NONCES: u64 = 100;

impl Dev {
    /// Kills a process, and starts it again so that it dies at `point`, where one is named.
    fn restart(&self, id: &str, point: Option<Point>) {
        kill_process(self.pid(id), Signal::KILL).unwrap();
        self.ended(id);
        self.up(id, point);
    }

    fn up(&self, id: &str, point: Option<Point>) {
        let mut command = self.command(&["dev", "up"]);
        command.env_remove(VARIABLE).envs(point.map(|point| (VARIABLE, point.name())));
        let up = Ran::of(command.spawn().unwrap()).done();
        assert_eq!(up["started"], json!([id]));
    }

    /// Waits until nothing is left of a process that dies: its files and ports are let go of by the last of its threads.
    fn ended(&self, id: &str) {
        let (pid, began) = (self.pid(id).as_raw_nonzero(), Instant::now());
        let threads = || fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
        let state = || fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let reaped =
            |stat: String| stat.rsplit_once(") ").is_none_or(|(_, state)| state.starts_with(['Z', 'X']));
        while threads() > 1 || !reaped(state()) {
            assert!(began.elapsed() < PATIENCE, "{id} does not end");
            sleep(Duration::from_millis(5));
        }
    }

    /// Waits until both signing nodes hold a presignature. Where the coordinator has none made yet, a payment has it.
    fn stocked(&self) {
        let (began, held) = (Instant::now(), |id| self.metric(id, "quorate_node_presignatures") > 0);
        while !(held("agent-1") && held("service-1")) && began.elapsed() < PATIENCE {
            sleep(Duration::from_millis(50));
        }
    }
}

struct Asked<'a> {
    dev: &'a Dev,
    wallet: Address,
    paid: Paid,
    nonce: u64,
}

impl Asked<'_> {
    /// Asks for a payment of a dollar that nobody asked for before, and says which it was.
    fn another(&mut self, key: &str) -> (u64, Ran) {
        self.nonce += 1;
        (self.nonce, self.pay(self.nonce, key))
    }

    fn pay(&self, nonce: u64, key: &str) -> Ran {
        Ran::of(self.dev.transfer(FRIEND, (1, nonce), &format!("{key}-{nonce}")))
    }

    fn signed(&mut self, nonce: u64, ran: Ran) -> Value {
        let answer = ran.done();
        check_transfer(&answer, self.wallet, (1, nonce));
        assert_eq!(answer["repeated_answer"], false);
        (self.paid.dollars, self.paid.signatures) = (self.paid.dollars + 1, self.paid.signatures + 1);
        answer
    }

    fn dies_at(&mut self, point: Point) {
        let (dev, name, process) = (self.dev, point.name(), format!("{}-1", point.owner()));
        dev.restart(&process, Some(point));
        let nonce = self.until_it_dies(point, &process);
        let log = fs::read_to_string(dev.root().join("logs").join(format!("{process}.log"))).unwrap();
        let died = |line: &&str| line.contains("dies at a failpoint") && line.contains(name);
        assert_eq!(log.lines().filter(died).count(), 1, "{name}");
        dev.up(&process, None);
        let again = self.pay(nonce, name);
        let answer = if point == Point::CoordinatorRecorded {
            // It was on record already.
            self.paid = Paid { dollars: self.paid.dollars + 1, signatures: self.paid.signatures + 1 };
            check_transfer(&again.answer, self.wallet, (1, nonce));
            again.done()
        } else {
            self.signed(nonce, again)
        };
        let once_more = self.pay(nonce, name).done();
        assert_eq!(once_more["signature"], answer["signature"], "{name}");
        assert_eq!(
            (&once_more["receipt"], &once_more["repeated_answer"]),
            (&answer["receipt"], &true.into())
        );
    }

    /// Answers which payment it died of.
    fn until_it_dies(&mut self, point: Point, process: &str) -> u64 {
        for _ in 0..TRIES {
            if point.needs_a_presignature() {
                self.dev.stocked();
            }
            let (nonce, ran) = self.another(point.name());
            if ran.code != 0 {
                assert_eq!(ran.code, 5, "{}: {}", point.name(), ran.answer);
                self.dev.ended(process);
                return nonce;
            }
            assert!(
                point.needs_a_presignature(),
                "{process} does not die: was it built by `cargo test --workspace`?"
            );
            self.signed(nonce, ran);
        }
        panic!("{process} does not die at {}", point.name());
    }
}

/// Answers how many payments were signed in all.
pub(super) fn at_every_failpoint(dev: &Dev, wallet: Address, paid: Paid) -> u64 {
    let mut asked = Asked { dev, wallet, paid, nonce: NONCES };
    let (online, others): (Vec<_>, Vec<_>) = Point::ALL.into_iter().partition(|p| p.needs_a_presignature());
    for point in others {
        asked.dies_at(point);
    }
    let config = fs::read_to_string(dev.config("coordinator-1")).unwrap();
    assert!(config.contains(NO_POOLS));
    fs::write(dev.config("coordinator-1"), config.replace(NO_POOLS, "")).unwrap();
    dev.restart("coordinator-1", None);
    // What is used is made ahead.
    let (nonce, first) = asked.another("first");
    asked.signed(nonce, first);
    for point in online {
        asked.dies_at(point);
    }
    one_more_and_no_other(&mut asked);
    asked.paid.signatures
}

/// A cap with room for one payment more than were signed: had one been charged twice, by the coordinator or by the service
/// node, there would be none, and had one not been charged, there would be room for two.
fn one_more_and_no_other(asked: &mut Asked<'_>) {
    let Paid { dollars, signatures } = asked.paid;
    let window = "window: {rolling_s: 86400}";
    let lines = format!(
        "  cumulative: [{{asset: USDC, chain: base-sepolia, max: \"{}\", {window}}}]\n  velocity: [{{max: {}, {window}}}]\n",
        dollars + 1,
        signatures + 1
    );
    asked.dev.apply(3, &lines);
    let (nonce, one_more) = asked.another("one-more");
    asked.signed(nonce, one_more);
    let (_, denied) = asked.another("no-other");
    assert_eq!(denied.code, 3, "{}", denied.answer);
    let failures = denied.answer["denied"]["failures"].as_array().unwrap();
    let rules: BTreeSet<_> = failures.iter().map(|failure| failure["rule"].as_str().unwrap()).collect();
    assert_eq!(rules, BTreeSet::from(["cumulative", "velocity"]), "{failures:?}");
}

/// The service node, which is stopped, wrote down that it contributed to so many payloads, and to no other.
pub(super) fn contributed(dev: &Dev, signatures: u64) {
    let (config, out) = (dev.config("service-1"), dev.dir.path().join("service.log"));
    let mut command = Command::new(dev.programs.join("quorate-node"));
    let exported =
        command.arg("export-log").arg("--config").arg(config).arg("--out").arg(&out).output().unwrap();
    assert!(exported.status.success(), "{}", String::from_utf8_lossy(&exported.stderr));
    let log = fs::read_to_string(out).unwrap();
    let entries = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let payloads: BTreeSet<_> = entries
        .filter(|entry| entry["kind"] == "sign.contributed")
        .map(|entry| entry["fields"]["payload_hash"].to_string())
        .collect();
    assert_eq!(u64::try_from(payloads.len()).unwrap(), signatures);
}
