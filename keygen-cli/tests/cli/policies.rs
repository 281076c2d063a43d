//! Policies tried before anyone signs them: cases, differences, and an exported log asked again.

use quorate_audit::{Event, append, entries};
use quorate_store::{MemStore, update};
use serde_json::{Value, json};

use crate::bench::Bench;

const POLICY: &str = include_str!("../../../deploy/samples/policy.yaml");
const CASES: &str = include_str!("../../../deploy/samples/policy-cases.yaml");

fn bench() -> Bench {
    let bench = Bench::new();
    bench.write("policy.yaml", POLICY);
    bench.write("cases.yaml", CASES);
    bench
}

#[test]
fn the_sample_policy_does_what_its_cases_say() {
    let bench = bench();
    let ran = bench.snapshot("policy-test", &["policy", "test", "policy.yaml", "cases.yaml"]);
    assert_eq!(ran.code, 0);
}

#[test]
fn a_case_that_comes_out_otherwise_fails_and_is_told() {
    let bench = bench();
    bench.write("tight.yaml", &POLICY.replace("max: \"25.00\"}", "max: \"24\"}"));
    let ran = bench.snapshot("policy-test-wrong", &["policy", "test", "tight.yaml", "cases.yaml"]);
    assert_eq!(ran.code, 4);
    bench.write("codes.yaml", &CASES.replace("codes: [messages]", "codes: [kind]"));
    let ran = bench.run(&["--json", "policy", "test", "policy.yaml", "codes.yaml"]);
    assert_eq!((ran.code, ran.json()["cases"][6]["wrong"].as_str()), (4, Some("expected to fail: kind")));
}

#[test]
fn cases_that_cannot_be_read_are_refused_by_name() {
    let bench = bench();
    for (from, to, reason) in [
        ("at: 2026-06-01T10:00:00Z", "at: yesterday", "expected a moment"),
        ("    at: 2026-06-01T10:00:00Z\n", "", "the first case must say when it is asked"),
        ("chain: base-sepolia", "chain: moon", "no chain is called \"moon\""),
        ("expect: allow", "expect: maybe", "unknown variant `maybe`"),
        ("    fresh: true", "    fresher: true", "fresher"),
        ("message: Receipt 17 confirmed", "transaction: \"0x02\"", "transaction: "),
        ("    message: Receipt 17 confirmed\n", "", "expected one of: transaction, typed_data"),
    ] {
        assert!(CASES.contains(from), "{from}");
        bench.write("bad.yaml", &CASES.replacen(from, to, 1));
        let ran = bench.run(&["policy", "test", "policy.yaml", "bad.yaml"]);
        assert_eq!(ran.code, 4, "{from}: {}", ran.stdout);
        assert!(ran.stderr.contains(reason), "{from}: {}", ran.stderr);
    }
}

#[test]
fn what_a_new_policy_changes_is_told_with_its_direction() {
    let bench = bench();
    let new = POLICY
        .replace("version: 1", "version: 2")
        .replace("max: \"25.00\"}", "max: \"50.00\"}")
        .replace("{max: 100, window: {rolling_s: 3600}}", "{max: 50, window: {rolling_s: 3600}}")
        .replace("from: \"07:00\"", "from: \"08:00\"");
    bench.write("new.yaml", &new);
    bench.snapshot("policy-diff", &["policy", "diff", "policy.yaml", "new.yaml"]);
    bench.snapshot("policy-diff-nothing", &["policy", "diff", "policy.yaml", "policy.yaml"]);
    bench.write("broken.yaml", &POLICY.replace("version: 1", "version: 0"));
    bench.snapshot("policy-diff-broken", &["policy", "diff", "policy.yaml", "broken.yaml"]);
}

fn event(kind: &'static str, fields: &Value) -> Event {
    let wallet = fields.get("wallet").and_then(Value::as_str).unwrap_or("shopper");
    let event = Event::new(kind).wallet(&wallet.parse().unwrap());
    fields.as_object().unwrap().iter().fold(event, |event, (key, value)| {
        // Field names live as long as the program.
        event.field(String::leak(key.clone()), value.clone())
    })
}

/// A log as the coordinator writes it.
fn log(events: &[(&'static str, u64, Value)]) -> String {
    let store = MemStore::new();
    for (kind, at, fields) in events {
        let (receipt, durable) = update(&store, |txn| append(txn, *at, &event(kind, fields))).unwrap();
        receipt.confirm(&durable);
    }
    let entries = entries(&store, 1, usize::MAX).unwrap();
    entries.iter().map(|entry| format!("{}\n", entry.json)).collect()
}

fn asked(key: &str, text: &str, denied: Option<&str>) -> Value {
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut fields = json!({
        "idempotency_key": key,
        "summary": format!("sign a message of {} bytes", text.len()),
        "payload": { "message": hex },
        "metadata": {},
    });
    if let Some(rule) = denied {
        fields["denial"] = json!({ "failures": [{ "rule": rule }] });
    }
    fields
}

#[test]
fn an_exported_log_is_asked_again() {
    let bench = bench();
    let noon = 1_780_308_000_000;
    let large = json!({ "idempotency_key": "x", "summary": "large", "payload": null, "metadata": {} });
    let log = log(&[
        ("wallet.active", noon, json!({ "address": "0x857b06519E91e3A54538791bDbb0E22373e36b66" })),
        ("sign.allowed", noon + 1, asked("a", "Receipt 1 confirmed", None)),
        ("sign.denied", noon + 2, asked("b", "Invoice 1 paid", Some("messages"))),
        ("sign.denied", noon + 3, asked("c", "Give me everything", Some("messages"))),
        ("sign.allowed", noon + 4, asked("d", "Receipt 2 confirmed", None)),
        ("sign.failed", noon + 5, json!({ "idempotency_key": "d", "admitted_by": 5, "spend": "given back" })),
        ("sign.allowed", noon + 6, asked("e", "Receipt 3 confirmed", None)),
        ("sign.denied", noon + 7, asked("f", "Receipt 4 confirmed", Some("frozen"))),
        ("sign.allowed", noon + 8, large),
        ("sign.allowed", noon + 9, asked("g", "Receipt 5 confirmed", None)),
    ]);
    bench.write("log", &log);
    // Two signatures an hour, and invoices too: the one given up does not count, the last one is one too many.
    let candidate = POLICY.replace("{max: 100, window", "{max: 3, window").replace(
        "^Receipt [0-9]{1,9} confirmed$",
        "^(Receipt [0-9]{1,9} confirmed|Invoice [0-9]{1,9} paid)$",
    );
    bench.write("candidate.yaml", &candidate);
    bench.snapshot("policy-backtest", &["policy", "backtest", "candidate.yaml", "--log", "log"]);
    let same = bench.run(&["--json", "policy", "backtest", "policy.yaml", "--log", "log"]);
    assert_eq!((same.code, same.json()["changed"].as_array().map(Vec::len)), (0, Some(0)), "{}", same.stdout);
    bench
        .write("edited", &log.replace("Receipt", "receipt").replace("noon", "night").replacen("52", "72", 1));
    assert_eq!(bench.run(&["policy", "backtest", "policy.yaml", "--log", "edited"]).code, 4);
    bench.write("other.yaml", &POLICY.replace("wallet: shopper", "wallet: other"));
    let none = bench.run(&["policy", "backtest", "other.yaml", "--log", "log"]);
    assert!(none.code == 4 && none.stderr.contains("was never active in this log"), "{}", none.stderr);
}

/// Of the other wallets only those of the wallet's agent count, what was given back does not, and one key may be two wallets'.
#[test]
fn a_log_says_what_the_agents_other_wallets_did() {
    let bench = bench();
    let noon = 1_780_308_000_000;
    let of = |wallet: &str, agent: &str, key: &str| {
        let mut fields = asked(key, "Receipt 1 confirmed", None);
        fields["agent"] = json!(agent);
        fields["wallet"] = json!(wallet);
        fields
    };
    let given_back = json!({ "wallet": "traveller", "agent": "bot", "idempotency_key": "b", "admitted_by": 4, "spend": "given back" });
    let log = log(&[
        ("wallet.active", noon, json!({ "address": "0x857b06519E91e3A54538791bDbb0E22373e36b66" })),
        ("sign.allowed", noon + 1, of("shopper", "bot", "a")),
        ("sign.allowed", noon + 2, of("traveller", "bot", "a")),
        ("sign.allowed", noon + 3, of("traveller", "bot", "b")),
        ("sign.failed", noon + 4, given_back),
        ("sign.allowed", noon + 5, of("stranger", "other", "a")),
        ("sign.allowed", noon + 6, of("shopper", "bot", "b")),
        ("sign.allowed", noon + 7, of("shopper", "bot", "c")),
    ]);
    bench.write("log", &log);
    bench.write("agent.yaml", &POLICY.replace("{max: 100, window", "{max: 3, per: agent, window"));
    bench.snapshot("policy-backtest-agent", &["policy", "backtest", "agent.yaml", "--log", "log"]);
    bench.write("wallet.yaml", &POLICY.replace("{max: 100, window", "{max: 3, window"));
    let same = bench.run(&["--json", "policy", "backtest", "wallet.yaml", "--log", "log"]).json();
    assert_eq!((&same["changed"], &same["beside"]), (&json!([]), &json!(2)));
}

#[test]
fn conditions_are_linted_compared_tried_and_asked_again() {
    let bench = bench();
    let lines = r#"  conditions:
    metadata: [{name: confidence, type: decimal}]
    require: [{label: sure enough, cedar: 'context.confidence.greaterThan(decimal("0.8"))'}]
"#;
    let conditional = format!("{POLICY}{lines}").replace("version: 1", "version: 2");
    bench.write("conditional.yaml", &conditional);
    assert_eq!(bench.run(&["policy", "lint", "conditional.yaml"]).code, 0);
    bench.write("broken.yaml", &conditional.replace("greaterThan(decimal(\"0.8\"))", "above(0.8)"));
    let broken = bench.run(&["policy", "lint", "broken.yaml"]);
    assert!(broken.code == 4 && broken.stdout.contains("rules.conditions.require[0]: "), "{}", broken.stdout);

    let changes = bench.run(&["--json", "policy", "diff", "policy.yaml", "conditional.yaml"]).json();
    let directions: Vec<_> = changes["changes"].as_array().unwrap().iter().map(|c| &c["direction"]).collect();
    assert_eq!(directions, ["tighter", "tighter"]);

    let case = |said: &str, expect: &str| {
        let shop = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";
        let paid = format!("{{asset: USDC, chain: base-sepolia, to: \"{shop}\", amount: \"1\"}}");
        format!("  - {{name: x, transfer: {paid}, at: 2026-06-01T10:00:00Z, metadata: {said}, {expect}}}\n")
    };
    let cases = [
        case("{confidence: \"0.81\"}", "expect: allow"),
        case("{confidence: \"0.8\"}", "expect: deny, codes: [conditions]"),
        case("{confidence: high}", "expect: deny, codes: [conditions]"),
        case("{}", "expect: deny, codes: [conditions]"),
    ];
    let address = "0x857b06519E91e3A54538791bDbb0E22373e36b66";
    bench.write("cases.yaml", &format!("address: \"{address}\"\ncases:\n{}", cases.concat()));
    let ran = bench.run(&["policy", "test", "conditional.yaml", "cases.yaml"]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);

    let noon = 1_780_308_000_000;
    let mut sure = asked("a", "Receipt 1 confirmed", None);
    sure["metadata"] = json!({ "confidence": "0.9" });
    let mut unsure = asked("b", "Receipt 2 confirmed", None);
    unsure["metadata"] = json!({ "confidence": "0.5" });
    let log = log(&[
        ("wallet.active", noon, json!({ "address": address })),
        ("sign.allowed", noon + 1, sure),
        ("sign.allowed", noon + 2, unsure),
    ]);
    bench.write("log", &log);
    let ran = bench.run(&["--json", "policy", "backtest", "conditional.yaml", "--log", "log"]);
    let changed = ran.json()["changed"].clone();
    assert_eq!(changed.as_array().map(Vec::len), Some(1), "{}", ran.stdout);
    assert_eq!(changed[0]["would_be"], json!(["conditions"]), "{changed}");
}

#[test]
fn a_wallets_history_needs_a_cluster() {
    let bench = bench();
    bench.snapshot("policy-history-missing-profile", &["policy", "history", "shopper"]);
}
