//! What the program says no to, with which exit code, and what it tells to do next.

use crate::bench::Bench;

const TO: &str = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";

fn transfer<'a>(change: &[(&'a str, &'a str)]) -> Vec<&'a str> {
    let mut pairs = vec![
        ("--wallet", "w"),
        ("--chain", "base-sepolia"),
        ("--asset", "USDC"),
        ("--to", TO),
        ("--amount", "1.50"),
        ("--nonce", "0"),
        ("--max-fee-per-gas", "2gwei"),
        ("--max-priority-fee-per-gas", "1gwei"),
    ];
    for (flag, value) in change {
        pairs.iter_mut().find(|(known, _)| known == flag).unwrap().1 = value;
    }
    let mut args = vec!["sign", "transfer"];
    args.extend(pairs.into_iter().flat_map(|(flag, value)| [flag, value]));
    args
}

#[test]
fn usage_is_2() {
    let bench = Bench::new();
    for (name, args) in [
        ("usage-no-command", vec![]),
        ("usage-unknown-flag", vec!["wallet", "list", "--all"]),
        ("usage-bad-wallet-name", vec!["wallet", "show", "Bad_Name"]),
        ("usage-two-payloads", vec!["sign", "message", "--wallet", "w", "--text", "a", "--hex", "00"]),
        ("usage-no-payload", vec!["sign", "tx", "--wallet", "w"]),
        ("usage-json", vec!["--json", "wallet", "show", "Bad_Name"]),
        ("usage-no-key", vec!["policy", "sign", "p.yaml"]),
    ] {
        bench.write("p.yaml", POLICY);
        assert_eq!(bench.snapshot(name, &args).code, 2, "{name}");
    }
    for (flag, value) in
        [("--to", "0x12"), ("--chain", "basee"), ("--max-fee-per-gas", "1.5"), ("--nonce", "-1")]
    {
        assert_eq!(bench.run(&transfer(&[(flag, value)])).code, 2, "{flag} {value}");
    }
}

#[test]
fn without_a_profile_nothing_is_asked() {
    let bench = Bench::new();
    assert_eq!(bench.snapshot("no-profile", &["wallet", "list"]).code, 4);
    let ran = bench.snapshot("no-profile-json", &["--json", "wallet", "list"]);
    assert_eq!(ran.json()["error"]["kind"], "not_found");
    assert_eq!(bench.snapshot("missing-profile", &["--config", "no.yaml", "wallet", "list"]).code, 4);
    bench.write("bad.yaml", "coordinator: a\nsurprise: 1\n");
    assert_eq!(bench.snapshot("bad-profile", &["--config", "bad.yaml", "wallet", "list"]).code, 4);
}

/// What every machine would refuse nobody is asked to sign.
#[test]
fn a_lapse_is_read_before_it_is_signed() {
    let bench = Bench::new();
    let good = include_str!("../../../crates/lapse/fixtures/lapse.yaml");
    for (name, from, to) in [
        ("lapse-before-end", "time_s: 1800000900", "time_s: 1800000599"),
        ("lapse-never-ends", "1800000600", "340282366920938463463374607431768211455"),
        (
            "lapse-another-token",
            "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
            "0x0000000000000000000000000000000000000001",
        ),
        (
            "lapse-without-reason",
            "reason: authorizationState of the nonce is false at this block",
            "reason: ''",
        ),
    ] {
        assert!(good.contains(from), "{from}");
        bench.write("lapse.yaml", &good.replace(from, to));
        assert_eq!(bench.snapshot(name, &["lapse", "sign", "lapse.yaml", "--key", "k"]).code, 4, "{name}");
    }
}

#[test]
fn wrong_amounts_are_told_before_anyone_is_asked() {
    let bench = Bench::new();
    for (name, amount) in [
        ("amount-too-many-decimals", "1.0000001"),
        ("amount-negative", "-1"),
        ("amount-exponent", "1e3"),
        ("amount-comma", "1,50"),
    ] {
        assert_eq!(bench.snapshot(name, &transfer(&[("--amount", amount)])).code, 4, "{name}");
    }
    assert_eq!(bench.snapshot("asset-unknown", &transfer(&[("--asset", "DOGE")])).code, 4);
    let tip = transfer(&[("--max-priority-fee-per-gas", "3gwei")]);
    assert_eq!(bench.snapshot("tip-above-fee", &tip).code, 4);
    // And with nothing wrong, the missing profile is what is missing.
    assert!(bench.run(&transfer(&[])).stderr.contains("no client profile"));
}

#[test]
fn files_that_are_not_there_or_not_hex() {
    let bench = Bench::new();
    let missing = ["sign", "typed-data", "--wallet", "w", "--file", "no.json"];
    assert_eq!(bench.snapshot("missing-typed-data", &missing).code, 4);
    let raw = ["sign", "tx", "--wallet", "w", "--raw", "0xzz"];
    assert_eq!(bench.snapshot("raw-not-hex", &raw).code, 4);
    let short = ["sign", "raw-digest", "--wallet", "w", "--digest", "0x1122"];
    assert_eq!(bench.snapshot("raw-digest-short", &short).code, 4);
}

const POLICY: &str = r#"policy: quorate/v1
cluster: dev
wallet: w
version: 1
rules:
  chains: [base-sepolia]
  per_transaction: [{asset: USDC, chain: base-sepolia, max: "25.00"}]
  max_fee: [{chain: base-sepolia, max: "0.002"}]
  recipients: [{address: "0x209693Bc6afc0C5328bA36FaF03C514EF312287C", label: shop}]
"#;

#[test]
fn a_bad_policy_is_neither_passed_nor_signed() {
    let bench = Bench::new();
    bench.write("good.yaml", POLICY);
    bench.write("bad.yaml", &POLICY.replace("25.00", "-25"));
    bench.write("not.yaml", "hello");
    assert_eq!(bench.run(&["policy", "lint", "good.yaml"]).code, 0);
    let ran = bench.run(&["--json", "policy", "lint", "bad.yaml"]);
    assert_eq!((ran.code, ran.json()["ok"].as_bool()), (4, Some(false)));
    assert_eq!(ran.json()["findings"][0]["severity"], "error");
    assert!(
        ran.json()["findings"][0]["path"].as_str().unwrap().contains("per_transaction[0].max"),
        "{}",
        ran.stdout
    );
    assert_eq!(bench.run(&["policy", "lint", "not.yaml"]).code, 4);
    assert_eq!(bench.snapshot("policy-missing", &["policy", "lint", "no.yaml"]).code, 4);
    bench.cluster();
    let refused = bench.run(&["policy", "sign", "bad.yaml"]);
    assert_eq!(refused.code, 4);
    assert!(refused.stderr.contains("quorate policy lint"), "{}", refused.stderr);
    assert!(!bench.path("bad.yaml.sig").exists());
}

#[test]
fn an_unsigned_policy_is_not_sent() {
    let bench = Bench::new();
    bench.cluster();
    bench.write("p.yaml", POLICY);
    let ran = bench.run(&["policy", "apply", "p.yaml"]);
    assert_eq!(ran.code, 5, "the cluster is not running: {}", ran.stderr);
    assert!(ran.stderr.contains("dev up"), "{}", ran.stderr);
}
