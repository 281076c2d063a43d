//! Alerts that a receiver did not take, by the program alone.

use std::time::{Duration, Instant};

use quorate_tests::{Receiver, WALLET, golden};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::desk::{Desk, says};

#[test]
fn what_a_receiver_did_not_take_is_listed_and_sent_again() {
    let (world, runtime) = (golden().world(), Runtime::new().unwrap());
    // Two are gone for the receiver, and the third it takes.
    let mut hook = runtime.block_on(Receiver::webhook(&[410, 404]));
    hook.is_told_by(&world, &["limit"]);
    let desk = Desk::of(world, runtime);
    let all_well = "Every alert arrived, or is still tried.\n";
    assert_eq!(desk.run("operator", &["alert", "list"]).ends(0), all_well);

    let mut refused = Vec::new();
    for key in ["much", "more"] {
        desk.paid(26, &["--idempotency-key", key]).ends(3);
        refused.push(desk.runtime.block_on(hook.next_json()));
    }
    let began = Instant::now();
    let letters = loop {
        let listed = desk.run("auditor", &["--json", "alert", "list"]).json(0);
        let letters = listed["letters"].as_array().unwrap().clone();
        if letters.len() == 2 {
            break letters;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{listed}");
    };
    for ((letter, refused), status) in letters.iter().zip(&refused).zip(["410", "404"]) {
        assert_eq!((&letter["receiver"], &letter["kind"]), (&json!("hook"), &json!("limit")));
        assert_eq!((&letter["id"], &letter["wallet"]), (&refused["id"], &json!(WALLET)));
        says(letter["reason"].as_str().unwrap(), &[status]);
    }
    let listed = desk.run("operator", &["alert", "list"]).ends(0);
    assert_eq!(listed.lines().count(), 3, "{listed}");
    says(&listed, &["RECEIVER", "hook", "limit", "answered 410", "answered 404", "denied by coordinator"]);

    says(&desk.run("auditor", &["alert", "retry", "hook"]).refused(), &["auditor may not call"]);
    says(&desk.run("operator", &["alert", "retry", "nobody"]).refused(), &["nobody"]);
    let sent = desk.run("operator", &["alert", "retry", "hook"]).ends(0);
    assert_eq!(sent, "2 alerts are sent to hook again.\n");
    for refused in &refused {
        assert_eq!(desk.runtime.block_on(hook.next_json())["id"], refused["id"]);
    }
    assert_eq!(desk.run("operator", &["alert", "list"]).ends(0), all_well);
    assert_eq!(
        desk.run("operator", &["alert", "retry", "hook"]).ends(0),
        "0 alerts are sent to hook again.\n"
    );
    desk.close();
}
