//! A payment that needs two people, by the program alone.

use std::io::{BufRead, BufReader};

use quorate_tests::{STRANGER, WALLET};
use quorate_types::Role;

use crate::desk::{Desk, Ran, says};

/// A dollar at once, five told, ten after a minute, more with anne and ben.
const TIERS: &str = "  tiers:\n    - {asset: USDC, chain: base-sepolia, instant: \"1\", notify: \"5\", delay: \"10\", delay_s: 60}\n  approval: {threshold: 2, \
                     approvers: [anne, ben], timeout_s: 600}\n";

#[test]
fn a_payment_that_needs_two_people() {
    let desk = Desk::new();
    desk.put_in_force(TIERS);
    history(&desk);
    foretold(&desk);
    asked(&desk);
    approved(&desk);
    signed(&desk);
    refused(&desk);
    held(&desk);
    let log = desk.close().log(Role::Service);
    let yes: Vec<_> = log.iter().filter(|entry| entry.kind == "sign.contributed").collect();
    assert_eq!(yes.len(), 1, "one of all these was signed");
    assert_eq!(yes[0].fields["approved_by"], serde_json::json!(["anne", "ben"]));
}

fn history(desk: &Desk) {
    let told = desk.run("auditor", &["policy", "history", WALLET]).ends(0);
    let versions: Vec<&str> = told.lines().collect();
    assert_eq!(versions.len(), 2, "{told}");
    for (line, version) in versions.iter().zip(["version 1  ", "version 2  "]) {
        assert!(line.starts_with(version), "{told}");
        says(line, &["  0x", "  by spiffe://dev/operator/somebody (entry "]);
    }
    says(&desk.run("gateway", &["policy", "history", WALLET]).refused(), &["gateway may not call"]);
}

/// What would be decided, with the exit code of the request itself. Nothing comes of asking.
fn foretold(desk: &Desk) {
    let policy = "\n  policy  version 2, 0x";
    let nothing = "\n  Nothing was reserved or signed; the nodes decide for themselves.\n";
    let small = desk.paid(1, &["--dry-run"]).ends(0);
    says(&small, &["WOULD BE SIGNED by wallet-1: send 1 USDC to", "\n  tier    instant", policy, nothing]);
    says(&desk.paid(5, &["--dry-run"]).ends(0), &["\n  tier    notify", nothing]);
    let large = desk.paid(20, &["--dry-run", "--idempotency-key", "ticket"]).ends(6);
    says(&large, &["WOULD WAIT (approval) until 20", ": send 20 USDC to", "2 of anne, ben", nothing]);
    let child = desk.pay_to(&STRANGER.to_string(), 1, &["--dry-run"]);
    let denied = Ran::of(child.wait_with_output().unwrap()).ends(3);
    says(&denied, &["WOULD BE DENIED: send 1 USDC to", "\n  recipients: ", nothing]);
    assert_eq!(desk.run("approver", &["approval", "list"]).ends(0), "nothing waits\n");
}

fn asked(desk: &Desk) {
    let waits = desk.paid(20, &["--idempotency-key", "ticket"]).ends(6);
    says(&waits, &["WAITING for approval until 20", "\n  approval: people must approve it", "0 so far"]);
    says(&waits, &["quorate approval show --out FILE -- wallet-1 ticket", "--idempotency-key=ticket\n"]);
    let listed = desk.run("approver", &["approval", "list"]).ends(0);
    says(&listed, &["WALLET", "ticket", "waiting", "0 of 2", "send 20 USDC to"]);
    assert_eq!(listed.lines().count(), 2, "{listed}");
    let shown = desk.run("approver", &["approval", "show", WALLET, "ticket", "--out", "ticket.yaml"]).ends(0);
    says(
        &shown,
        &[
            "waiting",
            "send 20 USDC to",
            "0 of 2",
            "ssh-keygen -Y sign -n approval@quorate -f KEY ticket.yaml",
        ],
    );
    let missing = desk.run("approver", &["approval", "show", WALLET, "other"]).refused();
    says(&missing, &["other of wallet-1"]);
    says(&desk.run("gateway", &["approval", "list"]).refused(), &["gateway may not call"]);
}

/// Anne signs with OpenSSH, ben with a key in a file. What is not an approver's, over just this, counts for nothing.
fn approved(desk: &Desk) {
    let approve = |request: &str, more: &[&str]| {
        let file = ["approval", "approve", WALLET, request, "--file", "ticket.yaml"];
        desk.run("approver", &[&file[..], more].concat())
    };
    let as_order = desk.ssh_sign("anne", "freeze@quorate", "ticket.yaml");
    says(&approve("ticket", &["--sig", &as_order]).refused(), &["approval@quorate"]);
    says(&approve("ticket", &["--key", "operator.key"]).refused(), &["approval: "]);
    says(&approve("another", &["--key", "ben.key"]).refused(), &["--file: it is about another request"]);

    let yes = desk.ssh_sign("anne", "approval@quorate", "ticket.yaml");
    says(&approve("ticket", &["--sig", &yes]).ends(0), &["waiting", "1 of 2: anne"]);
    says(&approve("ticket", &["--sig", &yes]).ends(0), &["1 of 2: anne"]);
    says(&desk.paid(20, &["--idempotency-key", "ticket"]).ends(6), &["1 so far"]);

    // Somebody waits for the last yes, and has the signature without asking again.
    let mut waiting = desk.pay(20, &["--idempotency-key", "ticket", "--wait"]);
    let mut remarks = BufReader::new(waiting.stderr.take().unwrap());
    let mut said = String::new();
    remarks.read_line(&mut said).unwrap();
    says(&said, &["WAITING for approval until 20"]);
    says(&approve("ticket", &["--key", "ben.key"]).ends(0), &["approved", "2 of 2: anne, ben"]);
    let ran = Ran::of(waiting.wait_with_output().unwrap());
    says(&ran.ends(0), &["SIGNED by wallet-1: send 20 USDC to"]);
}

fn signed(desk: &Desk) {
    let again = desk.paid(20, &["--idempotency-key", "ticket"]).ends(0);
    says(&again, &["SIGNED by wallet-1: send 20 USDC to", "(the answer given before)", "(recovered here)"]);
    says(&again, &["\n  asked by     agent-1", "\n  receipt      #", "\n  idempotency  ticket\n"]);
    let told = desk.paid(20, &["--idempotency-key", "ticket", "--dry-run"]).ends(0);
    says(&told, &["ANSWERED BEFORE"]);
}

fn refused(desk: &Desk) {
    desk.paid(21, &["--idempotency-key", "shop"]).ends(6);
    let show = ["approval", "show", WALLET, "shop", "--out", "shop.yaml"];
    desk.run("approver", &show).ends(0);
    let refuse = |who: &str| {
        let reason = ["--reason", "we know no such shop"];
        desk.run(who, &[&["approval", "refuse", WALLET, "shop"][..], &reason].concat())
    };
    says(&refuse("auditor").refused(), &["auditor may not call"]);
    let case = refuse("approver").ends(0);
    says(&case, &["refused", "spiffe://dev/approver/somebody: we know no such shop"]);
    let late = ["approval", "approve", WALLET, "shop", "--file", "shop.yaml", "--key", "anne.key"];
    says(&desk.run("approver", &late).refused(), &["refused it already"]);
    let denied = desk.paid(21, &["--idempotency-key", "shop"]).ends(3);
    says(&denied, &["DENIED by coordinator", "\n  approval: ", "we know no such shop", "\n  receipt #"]);
}

/// What waits for time alone is seen, and stopped, in the same place.
fn held(desk: &Desk) {
    let waits = desk.paid(10, &["--idempotency-key", "held"]).ends(6);
    says(&waits, &["WAITING: on hold until 20", "\n  delay: ", "a hold of 60 s"]);
    let listed = desk.run("approver", &["approval", "list"]).ends(0);
    says(listed.lines().find(|line| line.contains("held")).unwrap(), &["on hold", "send 10 USDC to"]);
    let refuse = ["approval", "refuse", WALLET, "held", "--reason", "not today"];
    says(&desk.run("operator", &refuse).ends(0), &["spiffe://dev/operator/somebody: not today"]);
    says(&desk.run("operator", &refuse).refused(), &["refused it already"]);
    says(&desk.paid(10, &["--idempotency-key", "held"]).ends(3), &["DENIED by coordinator", "not today"]);
}
