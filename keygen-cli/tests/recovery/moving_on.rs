//! The cluster is back: what was done offline goes on its record, the wallet is replaced, and the old one is retired for
//! ever. The real CLI against real nodes.

use std::fs;

use quorate_tests::{CUSTODIAN, Cluster, FRIEND, WALLET, World, golden};
use quorate_transport::PeerRole;
use quorate_types::Role;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::bench::{Bench, Ran, address, back_up};
use crate::document::{blocks, run};

const NEW: &str = "wallet-2";

/// A cluster, and an operator with the CLI who also has the offline files.
struct Operator {
    bench: Bench,
    cluster: Cluster,
    runtime: Runtime,
}

impl Operator {
    fn of(world: World) -> Self {
        let bench = Bench::of(&world);
        let runtime = Runtime::new().unwrap();
        let cluster = runtime.block_on(Cluster::start(world));
        Self { bench, cluster, runtime }.connected()
    }

    fn connected(self) -> Self {
        let (world, address) = (&self.cluster.world, self.cluster.address());
        for (name, role) in [("operator.yaml", PeerRole::Operator), ("gateway.yaml", PeerRole::Gateway)] {
            fs::write(self.bench.path(name), world.profile(role, address)).unwrap();
        }
        self
    }

    /// All nodes and the coordinator go down and come up again from their disks.
    fn restarted(self) -> Self {
        let Self { bench, cluster, runtime } = self;
        let cluster = runtime.block_on(async { Cluster::start(cluster.stop().await).await });
        Self { bench, cluster, runtime }.connected()
    }

    fn run(&self, args: &[&str]) -> Ran {
        self.bench.run(&[&["--json", "--config", "operator.yaml"][..], args].concat())
    }

    fn refusal(&self, args: &[&str]) -> Value {
        let ran = self.run(args);
        assert_eq!(ran.code, 4, "{}{}", ran.stdout, ran.stderr);
        serde_json::from_str::<Value>(&ran.stdout).unwrap()["error"].clone()
    }

    fn pay(&self, wallet: &str, to: &str, key: &str) -> Ran {
        let what =
            ["--wallet", wallet, "--chain", "base-sepolia", "--asset", "USDC", "--to", to, "--amount", "1"];
        let fees =
            ["--max-fee-per-gas", "1000000000", "--max-priority-fee-per-gas", "1000000", "--gas", "65000"];
        let how = ["--json", "--config", "gateway.yaml", "sign", "transfer", "--nonce", "1"];
        self.bench.run(&[&how[..], &what, &fees, &["--idempotency-key", key]].concat())
    }

    fn denial(&self, wallet: &str, to: &str, key: &str) -> Value {
        let ran = self.pay(wallet, to, key);
        assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
        serde_json::from_str::<Value>(&ran.stdout).unwrap()["denied"].clone()
    }

    /// The audit log's entries of a kind.
    fn log(&self, kind: &str) -> Vec<Value> {
        let tail = self.run(&["audit", "tail", "-n", "1000"]).json();
        let entries = tail["entries"].as_array().unwrap().clone();
        entries.into_iter().filter(|entry| entry["kind"] == kind).collect()
    }
}

#[test]
fn a_ceremony_is_on_record_and_its_wallet_is_replaced_and_never_signs_again() {
    let world = golden().world();
    back_up(&world, 1);
    let operator = Operator::of(world);
    drilled(&operator);
    told(&operator);
    rotated(&operator);
    retired(operator);
}

fn drilled(operator: &Operator) {
    let bench = &operator.bench;
    assert_eq!(operator.run(&["wallet", "show", WALLET]).json()["drilled_at_ms"], 0);
    for name in ["first.json", "second.json"] {
        bench.recover("drill", ["agent", "cold"], &["--out", name]).json();
    }
    let second = operator.run(&["ceremony", "drill", "second.json"]).json();
    assert_eq!((&second["wallet"], &second["known"]), (&WALLET.into(), &false.into()));
    assert_eq!(operator.run(&["ceremony", "drill", "second.json"]).json()["known"], true);
    let stale = operator.refusal(&["ceremony", "drill", "first.json"]);
    assert_eq!(stale["field"], "challenge.Unix milliseconds", "{stale}");
    let text = fs::read_to_string(bench.path("second.json")).unwrap();
    fs::write(bench.path("forged.json"), text.replacen(WALLET, "wallet-9", 1)).unwrap();
    assert_eq!(operator.refusal(&["ceremony", "drill", "forged.json"])["kind"], "not_found");
    let shown = operator.run(&["wallet", "show", WALLET]).json();
    assert_eq!(shown["drilled_at_ms"], second["drilled_at_ms"]);
    assert!(
        bench.run(&["--config", "operator.yaml", "wallet", "show", WALLET]).stdout.contains("0 hours ago")
    );
    assert_eq!(operator.log("recovery.drilled").len(), 1);
    bench.recover("drill", ["service", "cold"], &["--out", "drill.json"]).json();
}

/// The transcript: signed by a custodian and an operator, checked offline, and on record step by step.
fn told(operator: &Operator) {
    let bench = &operator.bench;
    let confirm = address().to_string();
    let args = ["--payload-message", "hello", "--confirm", &confirm];
    let signed = bench.recover("sign", ["service", "cold"], &args).json();
    let unsigned = operator.refusal(&["ceremony", "transcript", "ceremony.jsonl"]);
    assert!(unsigned["next"].as_str().unwrap().contains("sign-transcript"), "{unsigned}");
    let trust = ["--manifest", "manifest.yaml", "--manifest-signature", "manifest.sig", "--root", "root.pub"];
    let check = [&["--json", "recover", "transcript", "--file", "ceremony.jsonl"][..], &trust].concat();
    let sign =
        |key| bench.run(&["--json", "recover", "sign-transcript", "ceremony.jsonl", "--key", key]).json();
    sign("custodian.key");
    let alone = bench.run(&check);
    assert!(alone.code == 4 && alone.stdout.contains("an operator must be among"), "{}", alone.stdout);
    sign("operator.key");
    let checked = bench.run(&check).json();
    assert_eq!(checked["signers"], serde_json::json!([CUSTODIAN, "olga"]));
    let steps = checked["steps"].as_array().unwrap().len();

    // As docs/ceremony.md has it.
    let said = run(bench, &blocks("cluster"));
    assert!(said.contains(&format!("{steps} of {steps} steps are new, with 4 signatures")), "{said}");
    assert_eq!(operator.log("recovery.drilled").len(), 2);
    assert_eq!(operator.run(&["ceremony", "transcript", "ceremony.jsonl"]).json()["recorded"], 0);
    let entries = operator.log("recovery.step");
    assert_eq!(entries.len(), steps);
    let last = &entries[steps - 1];
    assert_eq!(last["fields"]["detail"]["signatures"][0]["signature"], signed["signature"]);
    assert_eq!((&last["wallet"], &last["fields"]["other_keys"]), (&WALLET.into(), &serde_json::json!([])));

    // A line is taken out: neither offline nor at the cluster.
    let text = fs::read_to_string(bench.path("ceremony.jsonl")).unwrap();
    let rest = text.split_once('\n').unwrap().1;
    fs::write(bench.path("ceremony.jsonl"), rest).unwrap();
    assert_ne!(bench.run(&check).code, 0);
    let refused = operator.refusal(&["ceremony", "transcript", "ceremony.jsonl"]);
    assert_eq!(refused["field"], "transcript", "{refused}");
    fs::write(bench.path("ceremony.jsonl"), text).unwrap();
}

fn rotated(operator: &Operator) {
    let bench = &operator.bench;
    assert_eq!(operator.pay(WALLET, &FRIEND.to_string(), "before").code, 0);
    let rotate = ["wallet", "rotate", "--wallet", WALLET, "--new", NEW, "--out", "rotation"];
    let new = operator.run(&rotate).json()["new"]["address"].as_str().unwrap().to_owned();
    for wallet in [NEW, WALLET] {
        let policy = format!("rotation/{wallet}.policy.yaml");
        bench.run(&["--json", "policy", "sign", &policy, "--key", "operator.key"]).json();
        operator.run(&["policy", "apply", &policy]).json();
    }
    // The old wallet pays the new one and nobody else; the new one may do what the old one might.
    let friend = FRIEND.to_string();
    let denial = operator.denial(WALLET, &friend, "old to friend");
    assert_eq!(denial["failures"][0]["rule"], "recipients", "{denial}");
    assert_eq!(operator.pay(WALLET, &new, "old to new").code, 0);
    assert_eq!(operator.pay(NEW, &friend, "new to friend").code, 0);
    assert_eq!(operator.denial(NEW, &new, "new to itself")["failures"][0]["rule"], "recipients");
    assert_eq!(operator.run(&["wallet", "show", NEW]).json()["agent"], format!("{WALLET}-agent"));
}

fn retired(operator: Operator) {
    let how = ["--reason", "rotated", "--key", "operator.key"];
    let retired = operator.run(&[&["wallet", "retire", WALLET][..], &how].concat()).json();
    assert_eq!(retired["waiting"], serde_json::json!([]), "{retired}");
    let to = operator.run(&["wallet", "show", NEW]).json()["address"].as_str().unwrap().to_owned();
    let denied = |operator: &Operator, key: &str| {
        let denial = operator.denial(WALLET, &to, key);
        assert!(denial.to_string().contains("is retired"), "{denial}");
    };
    denied(&operator, "retired");
    // Nothing lifts it: no later order, no later policy, no restart of everything.
    let lift = operator.refusal(&[&["unfreeze", "wallet", WALLET][..], &how].concat());
    assert!(lift["reason"].as_str().unwrap().contains("retired"), "{lift}");
    let operator = operator.restarted();
    denied(&operator, "after a restart");
    let path = operator.bench.path("rotation/later.yaml");
    let old = operator.bench.path(&format!("rotation/{WALLET}.policy.yaml"));
    let later = fs::read_to_string(old).unwrap().replace("version: 2", "version: 3");
    fs::write(&path, later).unwrap();
    operator.bench.run(&["--json", "policy", "sign", "rotation/later.yaml", "--key", "operator.key"]).json();
    operator.run(&["policy", "apply", "rotation/later.yaml"]).json();
    denied(&operator, "under a later policy");
    assert_eq!(operator.pay(NEW, &FRIEND.to_string(), "the new one").code, 0);
    let world = operator.runtime.block_on(operator.cluster.stop());
    // Each node obeys it by itself: it is in the log of both.
    for role in [Role::Agent, Role::Service] {
        let log = world.log(role);
        let obeyed = |entry: &&quorate_audit::Entry| {
            entry.kind == "freeze.enforced" && entry.json.contains(&format!("wallet/{WALLET}"))
        };
        assert_eq!(log.iter().filter(obeyed).count(), 1, "{role}");
    }
}
