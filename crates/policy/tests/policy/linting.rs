//! What authors are told before anyone signs.

use quorate_policy::{Policy, Severity, lint};

use crate::rig::{POLICY, SHOP, swap, usdc};

fn told(body: &str) -> Vec<String> {
    lint(body.as_bytes()).iter().map(ToString::to_string).collect()
}

/// Complete: nothing to say.
const CLEAN: &str = r#"policy: quorate/v1
cluster: example
wallet: agent-1
version: 1
rules:
  chains: [base]
  per_transaction: [{ asset: USDC, chain: base, max: "5" }]
  cumulative: [{ asset: USDC, chain: base, max: "50", window: { rolling_s: 86400 } }]
  max_fee: [{ chain: base, max: "0.001" }]
  recipients: [{ address: "0x209693Bc6afc0C5328bA36FaF03C514EF312287C", label: shop }]
  max_authorization_lifetime_s: 3600
"#;

#[test]
fn nothing_is_said_about_a_complete_policy() {
    assert!(told(CLEAN).is_empty());
}

#[test]
fn every_error_is_listed_not_only_the_first() {
    let body = POLICY
        .replace("version: 3", "version: 0")
        .replace("asset: ETH", "asset: DOGE")
        .replace("\"25.00\"", "\"25,00\"")
        .replace("Bc6a", "bC6a");
    let expected = [
        "error: version: must be at least 1",
        "error: rules.per_transaction[0].max: expected a plain decimal number such as \"25\" or \"0.002\"",
        "error: rules.per_transaction[1].asset: no asset is called \"DOGE\" on base-sepolia: expected ETH or USDC",
        "error: rules.recipients[0].address: its EIP-55 checksum is wrong: a letter was changed",
    ];
    assert_eq!(told(&body), expected);
    assert_eq!(Policy::parse(body.as_bytes()).unwrap_err().to_string(), "version: must be at least 1");
}

#[test]
fn a_text_that_does_not_read_is_one_error() {
    let findings = lint(b"policy: [");
    assert_eq!(findings.len(), 1);
    assert_eq!((findings[0].severity, findings[0].path.as_str()), (Severity::Error, ""));
}

#[test]
fn empty_lists_are_pointed_out() {
    let body = "policy: quorate/v1\ncluster: example\nwallet: agent-1\nversion: 1\nrules: {}\n";
    let expected = [
        "warning: rules.chains: empty: every request will be denied",
        "warning: rules.per_transaction: empty: every request will be denied",
        "warning: rules.recipients: empty: every request will be denied",
        "warning: rules.max_authorization_lifetime_s: absent: EIP-3009 authorizations (x402 payments) and permits will be denied",
    ];
    assert_eq!(told(body), expected);
}

/// A text, what is put in its place, and what is said then.
type Case<'a> = (&'a str, &'a str, &'a [&'a str]);

fn check(cases: &[Case<'_>]) {
    for (from, to, expected) in cases {
        assert!(CLEAN.contains(from), "{from}");
        let body = CLEAN.replacen(from, to, 1);
        assert_eq!(told(&body), *expected, "{from} -> {to}");
        assert!(Policy::parse(body.as_bytes()).is_ok(), "a warning is no refusal");
    }
}

#[test]
fn lines_without_effect_are_pointed_out() {
    check(&[
        (
            "max_fee: [{ chain: base, max: \"0.001\" }]",
            "max_fee: []",
            &[
                "warning: rules.max_fee: no line for base: transactions there will be denied, authorizations not",
            ],
        ),
        (
            "chains: [base]\n",
            "chains: [base, polygon]\n",
            &[
                "warning: rules.per_transaction: no line for polygon: nothing can move there",
                "warning: rules.max_fee: no line for polygon: transactions there will be denied, authorizations not",
            ],
        ),
        (
            "chains: [base]\n",
            "chains: [polygon]\n",
            &[
                "warning: rules.per_transaction: no line for polygon: nothing can move there",
                "warning: rules.max_fee: no line for polygon: transactions there will be denied, authorizations not",
                "warning: rules.max_fee: base is not among rules.chains: its line has no effect",
                "warning: rules.per_transaction: base is not among rules.chains: its line has no effect",
            ],
        ),
        (
            "label: shop }",
            "label: shop, chains: [polygon] }",
            &[
                "warning: rules.recipients: 0x209693Bc6afc0C5328bA36FaF03C514EF312287C is on no chain this policy \
               allows: it will never be paid",
            ],
        ),
    ]);
}

#[test]
fn odd_limits_are_pointed_out() {
    check(&[
        (
            "max: \"0.001\"",
            "max: \"1\"",
            &["warning: rules.max_fee: base: one whole coin or more may be burnt as fee, each time"],
        ),
        (
            "max: \"5\"",
            "max: \"0\"",
            &["warning: rules.per_transaction: 0 USDC on base: only transfers of nothing are allowed"],
        ),
        (
            "_s: 3600",
            "_s: 604801",
            &[
                "warning: rules.max_authorization_lifetime_s: longer than a week: a signed authorization stays usable \
               all that time",
            ],
        ),
        (
            "_s: 3600",
            "_s: 0",
            &[
                "warning: rules.max_authorization_lifetime_s: 0: EIP-3009 authorizations (x402 payments) and permits will \
               be denied",
            ],
        ),
    ]);
}

#[test]
fn limits_over_time_that_are_missing_or_odd_are_pointed_out() {
    let line = "cumulative: [{ asset: USDC, chain: base, max: \"50\", window: { rolling_s: 86400 } }]";
    check(&[
        (
            line,
            "cumulative: []",
            &[
                "warning: rules.cumulative: no line for USDC on base: without a limit over time it may be moved again and \
               again",
            ],
        ),
        (
            "max: \"50\"",
            "max: \"4.999999\"",
            &["warning: rules.cumulative: USDC on base: less over time than one signature may move"],
        ),
        (
            "window: { rolling_s: 86400 } }]",
            "window: { rolling_s: 86400 } }, { asset: ETH, chain: base, max: \"1\", window: { rolling_s: 60 } }]",
            &["warning: rules.cumulative: ETH on base has no per_transaction line: this one has no effect"],
        ),
        (
            line,
            &format!("{line}\n  velocity: [{{ max: 0, window: {{ rolling_s: 60 }} }}]"),
            &["warning: rules.velocity: 0 signatures: every request will be denied"],
        ),
        (
            line,
            &format!("{line}\n  active_hours: {{ timezone: UTC, spans: [] }}"),
            &["warning: rules.active_hours.spans: empty: every request will be denied"],
        ),
        (
            line,
            &format!("{line}\n  blocked: [{{ address: \"{SHOP}\", label: shop, chains: [base] }}]"),
            &[
                "warning: rules.blocked: 0x209693Bc6afc0C5328bA36FaF03C514EF312287C is among the recipients too: where \
               both hold, it is not paid",
            ],
        ),
        (
            line,
            &format!("{line}\n  blocked: [{{ address: \"{}\", label: x }}]", SHOP.to_lowercase()),
            &[
                "warning: rules.blocked: 0x209693Bc6afc0C5328bA36FaF03C514EF312287C is among the recipients too: where \
                 both hold, it is not paid",
                "warning: rules.blocked[0].address: without its checksum a typing error goes unseen: \
                 0x209693Bc6afc0C5328bA36FaF03C514EF312287C",
            ],
        ),
    ]);
}

#[test]
fn odd_addresses_are_pointed_out() {
    let usdc = usdc(8453).to_string();
    let lower = SHOP.to_lowercase();
    check(&[
        (
            SHOP,
            &lower,
            &["warning: rules.recipients[0].address: without its checksum a typing error goes unseen: \
               0x209693Bc6afc0C5328bA36FaF03C514EF312287C"],
        ),
        (
            SHOP,
            &usdc,
            &["warning: rules.recipients[0].address: is a token's contract: what is sent to it is lost"],
        ),
    ]);
}

#[test]
fn a_policy_is_accepted_exactly_where_lint_finds_no_error() {
    for body in [POLICY.to_owned(), CLEAN.to_owned(), swap("version: 3", "version: 0"), "x".to_owned()] {
        let errors = lint(body.as_bytes()).iter().any(|finding| finding.severity == Severity::Error);
        assert_eq!(Policy::parse(body.as_bytes()).is_err(), errors, "{body}");
    }
}
