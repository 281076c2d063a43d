//! The cluster as an operator has it: the CLI, a coordinator and three nodes, each a process of its own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod crashes;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use quorate_tests::{FRIEND, STRANGER, programs, recover, transfer, usdc};
use quorate_types::{Address, B256};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// What a signing session may take, and some: the coordinator's own deadline is below it.
const PATIENCE: Duration = Duration::from_secs(60);
/// Less than the envelopes of one session: when so much has passed, both nodes are in the middle of it.
const MIDDLE_BYTES: u64 = 20_000;

const NO_POOLS: &str = "pools: {per_wallet: 0}\n";

/// What was signed in all.
#[derive(Clone, Copy)]
struct Paid {
    dollars: u64,
    signatures: u64,
}

/// What a command came to.
struct Ran {
    code: i32,
    answer: Value,
}

impl Ran {
    fn of(child: Child) -> Self {
        let output = child.wait_with_output().unwrap();
        let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
        let answer = serde_json::from_str(&out).unwrap_or_else(|_| panic!("not one object: {out}\n{err}"));
        Self { code: output.status.code().unwrap(), answer }
    }

    /// The answer of a command that did what it was told.
    fn done(self) -> Value {
        assert_eq!(self.code, 0, "{}", self.answer);
        self.answer
    }
}

/// A dev cluster in a directory of its own. Dropped, its processes are killed.
struct Dev {
    dir: TempDir,
    programs: PathBuf,
}

impl Dev {
    fn new() -> Self {
        let dev = Self { dir: TempDir::new().unwrap(), programs: programs() };
        dev.run(&["dev", "init"]).done();
        // Every signature by a session of its own, which is long enough to be killed in the middle.
        let mut config = fs::read_to_string(dev.config("coordinator-1")).unwrap();
        assert!(!config.contains("pools:"));
        config.push_str(NO_POOLS);
        fs::write(dev.config("coordinator-1"), config).unwrap();
        dev.run(&["dev", "up"]).done();
        dev
    }

    /// A process's configuration.
    fn config(&self, id: &str) -> PathBuf {
        self.root().join("machines").join(id).join("config.yaml")
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("cluster")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.programs.join("quorate"));
        command.arg("--json").arg("--dir").arg(self.root()).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn start(&self, args: &[&str]) -> Child {
        self.command(args).spawn().unwrap()
    }

    fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.start(args))
    }

    /// Asks for a payment in USDC whose nonce is its amount.
    fn pay(&self, to: Address, dollars: u64, key: &str) -> Child {
        self.transfer(to, (dollars, dollars), key)
    }

    /// Asks for what [`transfer`] asks for, by the CLI's own arguments.
    fn transfer(&self, to: Address, (dollars, nonce): (u64, u64), key: &str) -> Child {
        let (to, dollars, nonce) = (to.to_string(), dollars.to_string(), nonce.to_string());
        let what = ["--wallet", "shopper", "--chain", "base-sepolia", "--asset", "USDC", "--to", &to];
        let fees =
            ["--max-fee-per-gas", "1000000000", "--max-priority-fee-per-gas", "1000000", "--gas", "65000"];
        let how = ["--amount", &dollars, "--nonce", &nonce, "--idempotency-key", key];
        self.start(&[&["sign", "transfer"][..], &what, &fees, &how].concat())
    }

    /// Signs and applies that version of the wallet's policy, with more lines of rules, and answers its hash.
    fn apply(&self, version: u64, lines: &str) -> Value {
        let policy = self.dir.path().join("policy.yaml");
        let rules = "chains: [base-sepolia]\n  per_transaction: [{asset: USDC, chain: base-sepolia, max: \"25.00\"}]\n  \
                     max_fee: [{chain: base-sepolia, max: \"0.002\"}]\n  recipients:";
        let body = format!(
            "policy: quorate/v1\ncluster: dev\nwallet: shopper\nversion: {version}\nrules:\n  {rules}\n    - {{address: \
             \"{FRIEND}\", label: friend}}\n{lines}"
        );
        fs::write(&policy, body).unwrap();
        let policy = policy.to_str().unwrap();
        self.run(&["policy", "sign", policy]).done();
        self.run(&["policy", "apply", policy]).done()["hash"].clone()
    }

    fn provision(&self) -> Address {
        self.run(&["group", "enrol", "main"]).done();
        let create = ["wallet", "create", "--wallet", "shopper", "--agent", "shopper", "--group", "main"];
        let wallet = self.run(&create).done();
        assert_eq!((&wallet["state"], &wallet["attestations_checked"]), (&"active".into(), &true.into()));
        self.apply(1, "");
        wallet["address"].as_str().unwrap().parse().unwrap()
    }

    fn pid(&self, id: &str) -> Pid {
        let file = fs::read(self.root().join("run").join(format!("{id}.pid"))).unwrap();
        let file: Value = serde_json::from_slice(&file).unwrap();
        Pid::from_raw(i32::try_from(file["pid"].as_i64().unwrap()).unwrap()).unwrap()
    }

    /// Bytes of envelopes the coordinator has relayed.
    fn relayed(&self) -> u64 {
        self.metric("coordinator-1", "quorate_relay_bytes_total")
    }

    /// What a process's health endpoint says of `name`; 0 where it says nothing.
    fn metric(&self, id: &str, name: &str) -> u64 {
        let config = fs::read_to_string(self.config(id)).unwrap();
        let address = config.lines().find_map(|line| line.strip_prefix("health: ")).unwrap();
        let mut stream = TcpStream::connect(address.trim()).unwrap();
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let mut values = answer.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        values.next().map_or(0, |value| value.trim().parse().unwrap())
    }

    /// The processes that were started on this directory and still run.
    fn processes(&self) -> Vec<Pid> {
        let mine = self.dir.path().to_str().unwrap().as_bytes();
        let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let started_here = |pid: &i32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.windows(mine.len()).any(|window| window == mine)
        };
        pids.filter(started_here).filter_map(Pid::from_raw).collect()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        for pid in self.processes() {
            // Gone already is as good.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// [`check_transfer`] of what [`Dev::pay`] asks for.
fn check(answer: &Value, wallet: Address, dollars: u64) {
    check_transfer(answer, wallet, (dollars, dollars));
}

/// Checks a signature over the very payment that was asked for with another library than the cluster's.
fn check_transfer(answer: &Value, wallet: Address, (dollars, nonce): (u64, u64)) {
    let bytes = |field: &str| hex::decode(answer[field].as_str().unwrap().trim_start_matches("0x")).unwrap();
    let digest = quorate_intent::decode(&transfer(FRIEND, usdc(dollars), nonce)).unwrap().digest.digest();
    assert_eq!(B256::from_slice(&bytes("digest")), digest, "{answer}");
    assert_eq!(recover(&bytes("signature"), digest), wallet, "{answer}");
}

#[test]
fn the_monthly_drill_is_held_as_ci_holds_it() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/drill.sh");
    let held = Command::new(script).arg(programs()).output().unwrap();
    let said = String::from_utf8_lossy(&held.stdout);
    let last = said.trim_end().lines().last().unwrap_or_default();
    let err = String::from_utf8_lossy(&held.stderr);
    assert!(held.status.success() && last.starts_with("DRILL HELD"), "{said}\n{err}");
}

#[test]
fn a_cluster_of_processes_signs_denies_outlives_a_kill_and_goes_down() {
    let dev = Dev::new();
    let wallet = dev.provision();
    let first = Ran::of(dev.pay(FRIEND, 12, "first")).done();
    check(&first, wallet, 12);
    proven(&dev, &first);
    recorded(&dev, &first);
    denials(&dev);
    history(&dev);
    twice_at_once(&dev, wallet);
    a_killed_node(&dev, wallet);
    let signatures = crashes::at_every_failpoint(&dev, wallet, Paid { dollars: 12 + 5 + 7, signatures: 3 });
    dev.run(&["dev", "down"]).done();
    assert_eq!(dev.processes(), [], "a process is left");
    crashes::contributed(&dev, signatures);
}

/// Whoever has an answer's receipt can have it proven by the running coordinator, and check the proof without it.
fn proven(dev: &Dev, answer: &Value) {
    let (sequence, hash) = (&answer["receipt"]["sequence"], answer["receipt"]["hash"].as_str().unwrap());
    let file = |name: &str| dev.dir.path().join(name).to_str().unwrap().to_owned();
    let (proof, other) = (file("proof.json"), file("other.json"));
    let (receipt, began) = (format!("{sequence}:{hash}"), Instant::now());
    // The nodes cosign the log every half minute.
    let made = loop {
        let ran = dev.run(&["audit", "prove", &receipt, "--out", &proof]);
        if ran.code == 0 {
            break ran.done();
        }
        assert_eq!(ran.answer["error"]["kind"], "unavailable", "{}", ran.answer);
        assert!(began.elapsed() < PATIENCE, "{}", ran.answer);
        std::thread::sleep(Duration::from_millis(500));
    };
    assert_eq!(made["file"], proof);
    let entry: Value = serde_json::from_str(made["proof"]["entry"].as_str().unwrap()).unwrap();
    assert_eq!((&entry["seq"], &entry["kind"]), (sequence, &"sign.signed".into()));
    assert_eq!(entry["fields"]["signature"], answer["signature"].as_str().unwrap().trim_start_matches("0x"));
    let manifest = dev.root().join("manifest.yaml");
    let cosigned =
        ["--cosigned", made["checkpoint"].as_str().unwrap(), "--manifest", manifest.to_str().unwrap()];
    dev.run(&[&["audit", "check", &proof][..], &cosigned].concat()).done();
    // A receipt of another log is told apart, and leaves no proof behind.
    let forged = format!("{sequence}:{}", "0".repeat(64));
    let refused = dev.run(&["audit", "prove", &forged, "--out", &other]);
    assert_eq!((refused.code, Path::new(&other).exists()), (4, false), "{}", refused.answer);
}

/// The hash of a transaction that was signed here is on record with the signature, and no other is taken.
fn recorded(dev: &Dev, answer: &Value) {
    let record = |hash: &str| {
        let request = ["--wallet", "shopper", "--idempotency-key", "first", "--transaction-hash", hash];
        dev.run(&[&["sign", "record-transaction"][..], &request].concat())
    };
    let told = record(answer["transaction_hash"].as_str().unwrap()).done();
    assert_eq!((&told["receipt"], &told["chain_id"]), (&answer["receipt"], &84532.into()));
    let refused = record(&B256::repeat_byte(1).to_string());
    assert_eq!((refused.code, &refused.answer["error"]["field"]), (4, &"transaction_hash".into()));
}

fn denials(dev: &Dev) {
    for (to, dollars, rule) in [(FRIEND, 26, "per_transaction"), (STRANGER, 1, "recipients")] {
        let denied = Ran::of(dev.pay(to, dollars, rule));
        assert_eq!(denied.code, 3, "{}", denied.answer);
        let failure = &denied.answer["denied"]["failures"][0];
        assert!(failure["rule"].as_str().unwrap().contains(rule), "{failure}");
        assert!(!failure["reason"].as_str().unwrap().is_empty());
        assert_eq!(denied.answer["denied"]["decided_by"], "coordinator");
        assert_eq!(denied.answer["idempotency_key"], rule);
    }
}

/// Two processes, one key, one payment: one signature.
fn twice_at_once(dev: &Dev, wallet: Address) {
    let both = [dev.pay(FRIEND, 5, "twice"), dev.pay(FRIEND, 5, "twice")];
    let [one, two] = both.map(|child| Ran::of(child).done());
    check(&one, wallet, 5);
    assert_eq!(one["signature"], two["signature"]);
    assert_ne!(one["repeated_answer"], two["repeated_answer"], "one of them gave the other's answer");
}

/// The service node dies while it signs: the caller hears of it in time, and nothing but the node must be started again.
fn a_killed_node(dev: &Dev, wallet: Address) {
    let (before, began) = (dev.relayed(), Instant::now());
    let asked = dev.pay(FRIEND, 7, "killed");
    while dev.relayed() < before + MIDDLE_BYTES {
        assert!(began.elapsed() < PATIENCE, "no session began");
        std::thread::sleep(Duration::from_millis(2));
    }
    kill_process(dev.pid("service-1"), Signal::KILL).unwrap();
    let failed = Ran::of(asked);
    assert!(began.elapsed() < PATIENCE, "answered after {:?}", began.elapsed());
    assert_eq!(failed.code, 5, "{}", failed.answer);
    assert_eq!(failed.answer["error"]["nodes"], serde_json::json!(["service-1"]), "{}", failed.answer);
    let up = dev.run(&["dev", "up"]).done();
    assert_eq!(up["started"], serde_json::json!(["service-1"]));
    check(&Ran::of(dev.pay(FRIEND, 7, "killed")).done(), wallet, 7);
}

/// Which versions were put in force, by whom and when, is on record.
fn history(dev: &Dev) {
    let first = dev.run(&["policy", "show", "shopper"]).done()["hash"].clone();
    let second = dev.apply(2, "");
    let told = dev.run(&["policy", "history", "shopper"]).done();
    let versions = told["versions"].as_array().unwrap();
    let hashes: Vec<_> = versions.iter().map(|version| (&version["version"], &version["hash"])).collect();
    assert_eq!(hashes, [(&1.into(), &first), (&2.into(), &second)]);
    let number = |at: usize, name: &str| versions[at][name].as_u64().unwrap();
    assert!(number(0, "sequence") < number(1, "sequence") && number(0, "at_ms") <= number(1, "at_ms"));
    for version in versions {
        assert!(version["by"].as_str().unwrap().starts_with("spiffe://dev/operator/"), "{version}");
    }
    assert_eq!(dev.run(&["policy", "history", "nobody"]).code, 4);
}
