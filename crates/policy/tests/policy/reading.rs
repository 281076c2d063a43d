//! What a policy may say, one refusal at a time.

use quorate_policy::{Fee, Per, Policy, PolicyError, Window};
use quorate_types::U256;

use crate::rig::{BASE, BASE_SEPOLIA, LANDLORD, POLICY, POLYGON, SHOP, address, asset, swap, usdc, with};

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
    assert_eq!(
        policy.max_fee().get(&POLYGON),
        Some(&Fee { max: U256::from(10u64.pow(18)), max_per_gas: None, max_gas: None })
    );
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

const USDC: &str = "asset: USDC, chain: base, max: \"10\"";

#[test]
fn limits_over_time_say_what_they_say() {
    let body = with(
        "  cumulative:
    - { asset: USDC, chain: base, max: \"10\", window: { rolling_s: 60 } }
    - { asset: USDC, chain: base, max: \"10\", per: recipient, window: { calendar: week, timezone: Asia/Tokyo } }
  velocity:
    - { max: 7, window: { rolling_s: 2678400 } }
  blocked: [{ address: \"0x209693Bc6afc0C5328bA36FaF03C514EF312287C\", label: x, chains: [base] }]
",
    );
    let policy = Policy::parse(body.as_bytes()).unwrap();
    let [first, second] = policy.cumulative() else { panic!("{policy:?}") };
    assert_eq!((first.asset, first.max), (asset(BASE, Some(usdc(BASE))), U256::from(10_000_000)));
    assert_eq!((first.per, &first.window), (Per::Wallet, &Window::Rolling { seconds: 60 }));
    assert_eq!((second.per, second.window.to_string().as_str()), (Per::Recipient, "per week (Asia/Tokyo)"));
    let velocity = &policy.velocity()[0];
    assert_eq!((velocity.max, velocity.window.to_string().as_str()), (7, "in any 2678400 s"));
    assert_eq!(policy.blocked()[&address(SHOP)].chains.iter().flatten().count(), 1);
    assert_eq!((policy.not_before(), policy.not_after(), policy.active_hours()), (None, None, None));
}

#[test]
fn limits_over_time_are_refused_by_line_and_field() {
    let window = "expected rolling_s, or calendar with its timezone";
    for (line, expected) in [
        (format!("{USDC}, window: {{ rolling_s: 59 }}"), ".window.rolling_s: must be 60 to 2678400, got 59"),
        (
            format!("{USDC}, window: {{ rolling_s: 2678401 }}"),
            ".window.rolling_s: must be 60 to 2678400, got 2678401",
        ),
        (format!("{USDC}, window: {{}}"), &format!(".window: {window}")),
        (format!("{USDC}, window: {{ calendar: day }}"), &format!(".window: {window}")),
        (format!("{USDC}, window: {{ timezone: UTC }}"), &format!(".window: {window}")),
        (
            format!("{USDC}, window: {{ rolling_s: 60, calendar: day, timezone: UTC }}"),
            &format!(".window: {window}"),
        ),
        (format!("{USDC}, window: {{ rolling_s: 60, timezone: UTC }}"), &format!(".window: {window}")),
        (
            format!("{USDC}, window: {{ calendar: day, timezone: europe/berlin }}"),
            ".window.timezone: no timezone is called \"europe/berlin\": expected an IANA name such as Europe/Berlin",
        ),
        (
            "asset: USDC, chain: moon, max: \"1\", window: { rolling_s: 60 }".to_owned(),
            ".chain: no chain is called \"moon\"",
        ),
        (
            "asset: USDC, chain: base, max: \"1.0000000\", window: { rolling_s: 60 }".to_owned(),
            ".max: at most 6 digits after the point, got 7",
        ),
    ] {
        let body = with(&format!("  cumulative: [{{ {line} }}]\n"));
        assert_eq!(refusal(&body), format!("rules.cumulative[0]{expected}"), "{line}");
    }
    let twice = format!("{{ {USDC}, window: {{ rolling_s: 60 }} }}");
    assert_eq!(
        refusal(&with(&format!("  cumulative: [{twice}, {twice}]\n"))),
        "rules.cumulative[1]: USDC on base has a line for this window already"
    );
    assert_eq!(
        refusal(&with(
            "  velocity: [{ max: 1, window: { rolling_s: 60 } }, { max: 2, window: { rolling_s: 60 } }]\n"
        )),
        "rules.velocity[1]: there is a line for this window already"
    );
    let many = "{ max: 1, window: { rolling_s: 60 } }, ".repeat(65);
    assert_eq!(
        refusal(&with(&format!("  velocity: [{many}]\n"))),
        "rules.velocity: at most 64 entries, got 65"
    );
    for shape in [
        "  velocity: [{ max: -1, window: { rolling_s: 60 } }]\n",
        "  velocity: [{ max: 1, window: { calendar: year, timezone: UTC } }]\n",
        "  velocity: [{ max: 1, per: cluster, window: { rolling_s: 60 } }]\n",
        "  velocity: [{ max: 1, window: { rolling_s: 60, calendar: } }]\n",
        "  active_hours:\n",
    ] {
        assert!(matches!(Policy::parse(with(shape).as_bytes()), Err(PolicyError::Yaml(_))), "{shape}");
    }
}

#[test]
fn hours_and_moments_are_refused_by_field() {
    let span = |span: &str| format!("  active_hours: {{ timezone: UTC, spans: [{{ {span} }}] }}\n");
    let time =
        |part: &str| format!("rules.active_hours.spans[0].{part}: expected a time of day such as \"08:00\"");
    for (lines, expected) in [
        (
            "  active_hours: { timezone: Mars, spans: [] }\n".to_owned(),
            "rules.active_hours.timezone: no timezone is called \"Mars\": expected an IANA name such as Europe/Berlin"
                .to_owned(),
        ),
        (span("days: [], from: \"08:00\", to: \"09:00\""), "rules.active_hours.spans[0].days: names no day".to_owned()),
        (
            span("days: [mon, mon], from: \"08:00\", to: \"09:00\""),
            "rules.active_hours.spans[0].days[1]: listed twice".to_owned(),
        ),
        (span("days: [mon], from: \"8:00\", to: \"09:00\""), time("from")),
        (span("days: [mon], from: \"24:00\", to: \"24:00\""), time("from")),
        (span("days: [mon], from: \"08:60\", to: \"09:00\""), time("from")),
        (span("days: [mon], from: \"08:00\", to: \"24:01\""), time("to")),
        (span("days: [mon], from: \"08:00\", to: \"+9:00\""), time("to")),
        (
            span("days: [mon], from: \"22:00\", to: \"06:00\""),
            "rules.active_hours.spans[0].to: must be later than from; a span over midnight is two spans".to_owned(),
        ),
        (
            "  active_hours: { timezone: UTC, spans: [], holidays: [2026-02-29] }\n".to_owned(),
            "rules.active_hours.holidays[0]: expected a date such as 2026-12-25".to_owned(),
        ),
        (
            "  active_hours: { timezone: UTC, spans: [], holidays: [2026-12-25, 2026-12-25] }\n".to_owned(),
            "rules.active_hours.holidays[1]: listed twice".to_owned(),
        ),
        (
            "  not_before: 2026-01-01\n".to_owned(),
            "rules.not_before: expected a moment such as 2026-01-31T09:00:00Z".to_owned(),
        ),
        (
            "  not_before:\n".to_owned(),
            "rules.not_before: expected a moment such as 2026-01-31T09:00:00Z".to_owned(),
        ),
        (
            "  not_after: 1969-12-31T23:59:59Z\n".to_owned(),
            "rules.not_after: expected a moment such as 2026-01-31T09:00:00Z".to_owned(),
        ),
        (
            "  not_before: 2026-01-01T00:00:00Z\n  not_after: 2025-12-31T23:59:59Z\n".to_owned(),
            "rules.not_after: lies before not_before".to_owned(),
        ),
    ] {
        assert_eq!(refusal(&with(&lines)), expected, "{lines}");
    }
}
