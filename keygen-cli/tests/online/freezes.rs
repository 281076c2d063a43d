//! Stopped by one person, and lifted by two, by the program alone.

use quorate_tests::{WALLET, golden};
use quorate_types::Role;
use tokio::runtime::Runtime;

use crate::desk::{Desk, says};

#[test]
fn an_approver_stops_a_wallet_and_two_operators_let_it_go_on() {
    let world = golden().world();
    world.require_both_operators();
    let desk = Desk::of(world, Runtime::new().unwrap());
    assert_eq!(desk.run("auditor", &["freeze", "list"]).ends(0), "Nothing was ever frozen.\n");
    frozen(&desk);
    let lift = ["unfreeze", "wallet", WALLET, "--reason", "new agent build"];
    for (key, quorum) in [("operator.key", "2 signers must agree, got 1"), ("anne.key", "signatures[0]")] {
        let alone = desk.run("operator", &[&lift[..], &["--key", key]].concat()).refused();
        says(&alone, &["order: ", quorum]);
    }
    still_denied(&desk, "after one tried");
    lifted(&desk, &lift);
    desk.paid(2, &["--idempotency-key", "lifted"]).ends(0);

    // What is for everything is lifted by itself, and what stops something else stops nothing here.
    for scope in [&["agent", "another"][..], &["asset", "native@base"], &["chain", "base"]] {
        let order = [&["freeze"], scope, &["--reason", "a drill", "--key", "ben.key"]].concat();
        says(&desk.run("approver", &order).ends(0), &[" is FROZEN by order "]);
    }
    desk.paid(3, &["--idempotency-key", "others"]).ends(0);
    let world = desk.close();
    for role in [Role::Agent, Role::Service] {
        let orders: Vec<_> =
            world.log(role).into_iter().filter(|entry| entry.kind == "freeze.enforced").collect();
        assert_eq!(orders.len(), 5, "{role}");
        assert_eq!(orders[1].fields["action"], "unfreeze");
    }
}

fn frozen(desk: &Desk) {
    let freeze = ["freeze", "wallet", WALLET, "--reason", "pays strangers", "--key", "anne.key"];
    says(&desk.run("gateway", &freeze).refused(), &["gateway may not call"]);
    says(&desk.run("auditor", &freeze).refused(), &["auditor may not call"]);
    let order = desk.run("approver", &[&["--json"][..], &freeze].concat()).json(0);
    assert_eq!(order["order"]["scope"], format!("wallet/{WALLET}"));
    assert_eq!((&order["order"]["frozen"], &order["order"]["sequence"]), (&true.into(), &1.into()));
    assert_eq!(order["waiting"], serde_json::json!([]));
    assert!(order["took_ms"].as_f64().unwrap() > 0.0, "{order}");
    let listed = desk.run("auditor", &["freeze", "list"]).ends(0);
    let line = listed.lines().nth(1).unwrap();
    says(line, &["wallet/wallet-1", "FROZEN", "agent-1", "service-1", "pays strangers"]);
    still_denied(desk, "frozen");
}

fn still_denied(desk: &Desk, key: &str) {
    let denied = desk.paid(1, &["--idempotency-key", key]).ends(3);
    says(&denied, &["DENIED by coordinator", "\n  frozen: ", "pays strangers", "order 1"]);
}

/// One signs with the program, the other with OpenSSH.
fn lifted(desk: &Desk, lift: &[&str]) {
    let written = desk.run("operator", &[lift, &["--out", "lift.yaml"]].concat()).ends(0);
    says(&written, &["lift.yaml is written", "ssh-keygen -Y sign -n freeze@quorate"]);
    let signed = desk.run("", &["freeze", "sign", "lift.yaml", "--key", "operator.key"]).ends(0);
    says(&signed, &["unfreeze wallet/wallet-1 signed with SHA256:"]);
    let second = desk.ssh_sign("operator-2", "freeze@quorate", "lift.yaml");
    let apply = |signatures: &[&str]| {
        desk.run("operator", &[&["freeze", "apply", "lift.yaml"][..], signatures].concat())
    };
    says(&apply(&[]).refused(), &["2 signers must agree, got 1"]);
    says(&apply(&["--sig", &second]).refused(), &["2 signers must agree, got 1"]);
    let words = apply(&["--sig", "lift.yaml.sig", "--sig", &second]).ends(0);
    says(
        &words,
        &["wallet/wallet-1 is free by order 2: obeyed by the coordinator and ", "agent-1", "service-1"],
    );
    says(&desk.run("operator", &["freeze", "list"]).ends(0), &["lifted", "new agent build"]);
}
