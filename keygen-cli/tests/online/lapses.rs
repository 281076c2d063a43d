//! Budget back of what ended unused, by the program alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quorate_lapse::GRACE_S;
use quorate_tests::{Cluster, FRIEND, WALLET, authorization_until, golden, usdc};
use quorate_types::{Clock, Payload, SystemClock, UnixMillis};
use tokio::runtime::Runtime;

use crate::desk::{Desk, says};

const LIMIT: &str = "  cumulative: [{asset: USDC, chain: base-sepolia, max: \"1.5\", per: wallet, window: {rolling_s: 2592000}}]\n";

/// The cluster's clock, which the test sets forward.
struct Later(AtomicU64);

impl Clock for Later {
    fn now(&self) -> UnixMillis {
        SystemClock.now() + self.0.load(Ordering::SeqCst)
    }
}

#[test]
fn operators_give_back_what_ended_unused() {
    let (runtime, clock) = (Runtime::new().unwrap(), Arc::new(Later(AtomicU64::new(0))));
    let cluster = runtime.block_on(Cluster::start_by(golden().world(), clock.clone()));
    let desk = Desk::with(cluster, runtime);
    desk.put_in_force(LIMIT);
    let ends_s = SystemClock.now() / 1000 + 300;
    let write = |name: &str, nonce: u8, ends_s: u64| {
        let from = golden().public_key().address();
        let Payload::TypedData(json) = authorization_until(from, FRIEND, usdc(1), (nonce, ends_s)) else {
            panic!()
        };
        desk.write(name, &json);
    };
    write("paid.json", 1, ends_s);
    write("next.json", 2, ends_s + 3000);
    let sign = |file: &str, key: &str| {
        let args = ["sign", "typed-data", "--wallet", WALLET, "--file", file, "--idempotency-key", key];
        desk.run("gateway", &args)
    };
    sign("paid.json", "paid").ends(0);
    says(&sign("next.json", "next").ends(3), &["DENIED", "cumulative"]);

    let (time, hash) = (ends_s.to_string(), format!("0x{}", "ab".repeat(32)));
    let new = |file: &str, time: &str, more: &[&str]| {
        let what =
            ["lapse", "new", "--wallet", WALLET, "--typed-data", file, "--block", "7", "--block-hash", &hash];
        let how = ["--block-time", time, "--reason", "authorizationState is false"];
        desk.run("operator", &[&what[..], &how, more].concat())
    };
    let early = (ends_s - 1).to_string();
    says(&new("paid.json", &early, &["--out", "no.yaml"]).refused(), &["block: its time is"]);
    let key = ["--key", "operator.key"];
    says(&new("paid.json", &time, &key).refused(), &["too early: not before"]);
    clock.0.store((300 + GRACE_S + 1) * 1000, Ordering::SeqCst);
    says(&new("paid.json", &time, &["--key", "anne.key"]).refused(), &["signatures[0]"]);
    says(&new("next.json", &(ends_s + 3000).to_string(), &key).refused(), &["too early"]);

    let words = new("paid.json", &time, &["--out", "lapse.yaml"]).ends(0);
    says(
        &words,
        &[
            "Unused at block 7 (0xabab",
            "authorizationState is false",
            "lapse.yaml is written",
            "ssh-keygen -Y sign -n lapse@quorate",
        ],
    );
    let signature = desk.ssh_sign("operator", "lapse@quorate", "lapse.yaml");
    let apply = |who: &str| desk.run(who, &["lapse", "apply", "lapse.yaml", "--sig", &signature]);
    for who in ["gateway", "approver", "auditor"] {
        says(&apply(who).refused(), &[&format!("{who} may not call")]);
    }
    assert_eq!(apply("operator").ends(0), "1 USDC came back at the coordinator; service-1 took back 1.\n");
    let again =
        desk.run("operator", &["--json", "lapse", "apply", "lapse.yaml", "--sig", &signature]).json(0);
    assert_eq!((&again["node_given_back"], &again["given_back"]), (&0.into(), &serde_json::json!([])));
    says(
        &desk.run("", &["lapse", "sign", "lapse.yaml", "--key", "operator.key"]).ends(0),
        &["1 USDC", &format!("nonce 0x{}", "01".repeat(32)), "Unused at block 7", "Signed with SHA256:"],
    );
    sign("next.json", "next").ends(0);
    desk.close();
}
