//! What a policy may say, one refusal at a time.

use quorate_policy::{Policy, PolicyError};
use quorate_types::U256;

use crate::rig::{BASE, BASE_SEPOLIA, LANDLORD, POLICY, POLYGON, SHOP, address, asset, swap, usdc};

fn refusal(body: &str) -> String {
    Policy::parse(body.as_bytes()).unwrap_err().to_string()
}

#[test]
fn the_policy_says_what_it_says() {
    let policy = Policy::parse(POLICY.as_bytes()).unwrap();
    assert_eq!(policy.wallet().as_str(), "agent-1");
    assert_eq!(policy.cluster().as_str(), "example");
    assert_eq!(policy.version(), 3);
    assert_eq!(policy.chains().iter().copied().collect::<Vec<_>>(), [BASE, BASE_SEPOLIA]);
    let cap = |chain, token| policy.per_transaction().get(&asset(chain, token)).copied();
    assert_eq!(cap(BASE_SEPOLIA, Some(usdc(BASE_SEPOLIA))), Some(U256::from(25_000_000)));
    assert_eq!(cap(BASE_SEPOLIA, None), Some(U256::from(10u64.pow(16))));
    assert_eq!(cap(BASE, None), None);
    assert_eq!(policy.max_fee().get(&POLYGON), Some(&U256::from(10u64.pow(18))));
    assert_eq!(policy.recipients()[&address(SHOP)].chains, None);
    let landlord = &policy.recipients()[&address(LANDLORD)];
    assert_eq!(landlord.label, "landlord");
    assert_eq!(landlord.chains.iter().flatten().copied().collect::<Vec<_>>(), [BASE]);
    assert_eq!(policy.max_authorization_lifetime_s(), Some(3600));
}

#[test]
fn an_amount_without_quotes_keeps_its_digits() {
    let body = swap("max: \"0.01\"", "max: 0.010000000000000001");
    let policy = Policy::parse(body.as_bytes()).unwrap();
    let cap = policy.per_transaction()[&asset(BASE_SEPOLIA, None)];
    assert_eq!(cap, U256::from(10u64.pow(16) + 1));
}

fn check(cases: &[(&str, &str, &str)]) {
    for (from, to, expected) in cases {
        assert_eq!(refusal(&swap(from, to)), *expected, "{from} -> {to}");
    }
}

#[test]
fn refusals_name_the_field() {
    check(&[
        ("policy: quorate/v1", "policy: quorate/v2", "policy: expected quorate/v1"),
        ("version: 3", "version: 0", "version: must be at least 1"),
        ("wallet: agent-1", "wallet: Agent", "wallet: wallet: only a-z, 0-9 and inner '-' are allowed"),
        ("cluster: example", "cluster: a/b", "cluster: cluster: only a-z, 0-9 and inner '-' are allowed"),
        ("[base, base-sepolia]", "[base, Base]", "rules.chains[1]: no chain is called \"Base\""),
        ("[base, base-sepolia]", "[base, base]", "rules.chains[1]: listed twice"),
    ]);
}

#[test]
fn limits_are_refused_by_line_and_field() {
    check(&[
        (
            "asset: USDC, chain: base-sepolia",
            "asset: usdc, chain: base-sepolia",
            "rules.per_transaction[0].asset: no asset is called \"usdc\" on base-sepolia: expected ETH or USDC",
        ),
        (
            "asset: ETH, chain: base-sepolia",
            "asset: POL, chain: base-sepolia",
            "rules.per_transaction[1].asset: no asset is called \"POL\" on base-sepolia: expected ETH or USDC",
        ),
        (
            "asset: ETH, chain: base-sepolia",
            "asset: ETH, chain: monad",
            "rules.per_transaction[1].asset: no asset is called \"ETH\" on monad: expected native",
        ),
        (
            "asset: ETH, chain: base-sepolia",
            "asset: ETH, chain: moon",
            "rules.per_transaction[1].chain: no chain is called \"moon\"",
        ),
        (
            "asset: ETH, chain: base-sepolia",
            "asset: USDC, chain: base-sepolia",
            "rules.per_transaction[1]: USDC on base-sepolia has a line already",
        ),
        (
            "chain: base-sepolia, max: \"0.002\"",
            "chain: moon, max: \"0.002\"",
            "rules.max_fee[0].chain: no chain is called \"moon\"",
        ),
        ("{ chain: polygon,", "{ chain: base-sepolia,", "rules.max_fee[1]: base-sepolia has a line already"),
        (
            "\"0.002\"",
            "\"0.0020000000000000000\"",
            "rules.max_fee[0].max: at most 18 digits after the point, got 19",
        ),
        (
            "\"25.00\"",
            "\"25.0000000\"",
            "rules.per_transaction[0].max: at most 6 digits after the point, got 7",
        ),
    ]);
}

#[test]
fn recipients_are_refused_by_line_and_field() {
    let wrong_case = SHOP.replace("Bc6a", "bC6a");
    check(&[
        (SHOP, &SHOP[..41], "rules.recipients[0].address: expected 0x and 40 hex digits"),
        (SHOP, &SHOP[2..], "rules.recipients[0].address: expected 0x and 40 hex digits"),
        (
            SHOP,
            &wrong_case,
            "rules.recipients[0].address: its EIP-55 checksum is wrong: a letter was changed",
        ),
        (
            SHOP,
            "0x0000000000000000000000000000000000000000",
            "rules.recipients[0].address: the zero address is nobody's",
        ),
        (LANDLORD, SHOP, "rules.recipients[1].address: listed twice"),
        ("label: shop", "label: ''", "rules.recipients[0].label: must be 1 to 64 characters"),
        ("label: shop", "label: ' '", "rules.recipients[0].label: must be 1 to 64 characters"),
        (
            "label: shop",
            "label: \"sh\\u202eop\"",
            "rules.recipients[0].label: control and invisible characters are not allowed",
        ),
        (
            "label: shop",
            "label: \"sh\\e[2Kop\"",
            "rules.recipients[0].label: control and invisible characters are not allowed",
        ),
        (
            "chains: [base] }",
            "chains: [moon] }",
            "rules.recipients[1].chains[0]: no chain is called \"moon\"",
        ),
        ("chains: [base] }", "chains: [base, base] }", "rules.recipients[1].chains[1]: listed twice"),
    ]);
}

#[test]
fn amounts_are_plain_decimal_numbers() {
    let cap = "{ asset: USDC, chain: base-sepolia, max: \"25.00\" }";
    let amount = "expected a plain decimal number such as \"25\" or \"0.002\"";
    for bad in ["''", "-1", "+1", "1e3", "1_000", "0x10", "01", "1.", ".5", ".inf", "\" 1\"", "1,5"] {
        let body = swap(cap, &format!("{{ asset: USDC, chain: base-sepolia, max: {} }}", quoted(bad)));
        assert_eq!(refusal(&body), format!("rules.per_transaction[0].max: {amount}"), "{bad}");
    }
    let huge = swap("\"25.00\"", &format!("\"{}\"", U256::MAX));
    assert_eq!(refusal(&huge), "rules.per_transaction[0].max: too large");
}

#[test]
fn an_address_may_come_without_its_checksum() {
    let body = swap(SHOP, &SHOP.to_lowercase());
    let policy = Policy::parse(body.as_bytes()).unwrap();
    assert!(policy.recipients().contains_key(&address(SHOP)));
}

/// A comma would end the value.
fn quoted(text: &str) -> String {
    if text.contains(',') { format!("\"{text}\"") } else { text.to_owned() }
}

#[test]
fn the_same_coin_by_two_names_is_one_line_too_many() {
    let eth = "- { asset: ETH, chain: base-sepolia, max: \"0.01\" }";
    let body = swap(eth, &format!("{eth}\n    - {{ asset: native, chain: base-sepolia, max: \"1\" }}"));
    assert_eq!(refusal(&body), "rules.per_transaction[2]: native on base-sepolia has a line already");
}

#[test]
fn the_same_address_in_other_letters_is_listed_twice() {
    let body = swap(LANDLORD, &SHOP.to_lowercase());
    assert_eq!(refusal(&body), "rules.recipients[1].address: listed twice");
}

#[test]
fn the_shape_is_strict() {
    let extra = [
        ("version: 3", "version: 3\nfuture: 1"),
        ("rules:", "rules:\n  allow_everything: true"),
        ("max: \"25.00\" }", "max: \"25.00\", future: 1 }"),
        ("max: \"0.002\" }", "max: \"0.002\", future: 1 }"),
        ("label: shop }", "label: shop, future: 1 }"),
    ];
    for (from, to) in extra {
        let text = refusal(&swap(from, to));
        assert!(text.contains("unknown field `"), "{text}");
    }
    let cases = [
        (swap("version: 3", "version: 3\nversion: 4"), "duplicate field `version`"),
        (swap("  chains: [base, base-sepolia]", "  chains: [base]\n  chains: [polygon]"), "duplicate field"),
        (swap("version: 3\n", ""), "missing field `version`"),
        (swap(", label: shop", ""), "missing field `label`"),
        (swap("version: 3", "version: -3"), "version: invalid type"),
        (swap("_s: 3600", "_s: -1"), "max_authorization_lifetime_s: invalid type"),
        (swap("_s: 3600", "_s: 1.5"), "max_authorization_lifetime_s: invalid type"),
        (format!("{POLICY}---\n{POLICY}"), "more than one document"),
        (String::new(), "policy: "),
    ];
    for (body, expected) in cases {
        let text = refusal(&body);
        assert!(text.contains(expected), "{text} should contain {expected}");
    }
    assert_eq!(refusal_of(b"\xff"), "policy: not UTF-8");
    let long = format!("{POLICY}#{}", "x".repeat(256 * 1024));
    assert_eq!(refusal(&long), "policy: at most 262144 bytes are accepted");
}

fn refusal_of(body: &[u8]) -> String {
    Policy::parse(body).unwrap_err().to_string()
}

#[test]
fn errors_are_short_and_printable() {
    let hostile = format!("\"\\e[2J{}\": 1\n{POLICY}", "x".repeat(100_000));
    let Err(PolicyError::Yaml(text)) = Policy::parse(hostile.as_bytes()) else { panic!("accepted") };
    assert!(text.chars().count() <= 240 && !text.chars().any(char::is_control), "{text:?}");
    let chain = swap("[base, base-sepolia]", &format!("[\"\\e{}\"]", "x".repeat(1000)));
    let text = refusal(&chain);
    assert!(text.len() < 300 && !text.chars().any(char::is_control), "{text:?}");
}

#[test]
fn a_field_without_a_value_is_not_an_absent_field() {
    let policy = |from: &str, to: &str| Policy::parse(swap(from, to).as_bytes());
    // Absent means every chain. Written and left empty it must not.
    for blank in ["chains: }", "chains: null }", "chains: ~ }"] {
        let nowhere = policy("chains: [base] }", blank);
        let unlimited = |policy: Policy| policy.recipients()[&address(LANDLORD)].chains.is_none();
        assert!(!nowhere.is_ok_and(unlimited), "{blank}");
    }
    assert!(policy("cluster: example", "cluster:").is_err());
    assert!(policy("_s: 3600", "_s:").is_err());
}

#[test]
fn counts_are_bounded() {
    let chains = format!("[{}]", vec!["base"; 65].join(", "));
    assert_eq!(refusal(&swap("[base, base-sepolia]", &chains)), "rules.chains: at most 64 entries, got 65");
    let fee = "    - { chain: polygon, max: \"1\" }\n";
    assert_eq!(refusal(&swap(fee, &fee.repeat(64))), "rules.max_fee: at most 64 entries, got 65");
    let cap = "    - { asset: USDC, chain: base, max: \"5\" }\n";
    assert_eq!(refusal(&swap(cap, &cap.repeat(254))), "rules.per_transaction: at most 256 entries, got 257");
    let short = "    - { address: x, label: x }\n";
    let shop = "    - { address: \"0x209693Bc6afc0C5328bA36FaF03C514EF312287C\", label: shop }\n";
    assert_eq!(refusal(&swap(shop, &short.repeat(4096))), "rules.recipients: at most 4096 entries, got 4097");
}
