//! What changes between two policies, and which way.

use quorate_policy::{Direction, Policy, diff};

use crate::rig::{POLICY, SHOP, STRANGER, swap, with};

fn changes(old: &str, new: &str) -> Vec<String> {
    let parse = |body: &str| Policy::parse(body.as_bytes()).unwrap();
    let told = diff(&parse(old), &parse(new));
    told.iter().map(|c| format!("{:?} {}: {} -> {}", c.direction, c.field, c.old, c.new)).collect()
}

/// One change forwards is its opposite backwards.
fn both(old: &str, new: &str, expected: &str, back: &str) {
    assert_eq!(changes(old, new), [expected]);
    assert_eq!(changes(new, old), [back]);
}

#[test]
fn nothing_changes_where_nothing_does_and_a_label_is_nothing() {
    assert_eq!(changes(POLICY, POLICY), Vec::<String>::new());
    assert_eq!(changes(POLICY, &swap("label: shop", "label: other")), Vec::<String>::new());
    assert_eq!(changes(POLICY, &swap("version: 3", "version: 4")), Vec::<String>::new());
}

#[test]
fn what_allows_more_is_looser_and_what_allows_less_tighter() {
    both(
        POLICY,
        &swap("max: \"25.00\"", "max: \"26\""),
        "Looser per_transaction USDC on base-sepolia: 25 USDC -> 26 USDC",
        "Tighter per_transaction USDC on base-sepolia: 26 USDC -> 25 USDC",
    );
    both(
        POLICY,
        &swap("chains: [base, base-sepolia]", "chains: [base]"),
        "Tighter chains base-sepolia: listed -> ",
        "Looser chains base-sepolia:  -> listed",
    );
    both(
        POLICY,
        &swap("label: landlord, chains: [base]", "label: landlord"),
        "Looser recipients 0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf: base -> every chain",
        "Tighter recipients 0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf: every chain -> base",
    );
    both(
        POLICY,
        &swap("_s: 3600", "_s: 3601"),
        "Looser max_authorization_lifetime_s limit: 3600 s -> 3601 s",
        "Tighter max_authorization_lifetime_s limit: 3601 s -> 3600 s",
    );
    both(
        POLICY,
        &swap("max: \"0.002\"", "max: \"0.002\", max_gas: 9"),
        "Tighter max_fee base-sepolia gas:  -> 9 gas",
        "Looser max_fee base-sepolia gas: 9 gas -> ",
    );
}

#[test]
fn limits_go_the_other_way() {
    let limited = |line: &str| with(&format!("  {line}\n"));
    let blocked = limited(&format!("blocked: [{{ address: \"{STRANGER}\", label: x }}]"));
    both(
        POLICY,
        &blocked,
        &format!("Tighter blocked {STRANGER}:  -> every chain"),
        &format!("Looser blocked {STRANGER}: every chain -> "),
    );
    both(
        &blocked,
        &limited(&format!("blocked: [{{ address: \"{STRANGER}\", label: x, chains: [base] }}]")),
        &format!("Looser blocked {STRANGER}: every chain -> base"),
        &format!("Tighter blocked {STRANGER}: base -> every chain"),
    );
    both(
        POLICY,
        &limited("velocity: [{ max: 5, window: { rolling_s: 60 } }]"),
        "Tighter velocity in any 60 s:  -> 5 signatures",
        "Looser velocity in any 60 s: 5 signatures -> ",
    );
    both(
        &limited("velocity: [{ max: 5, window: { rolling_s: 60 } }]"),
        &limited("velocity: [{ max: 6, window: { rolling_s: 60 } }]"),
        "Looser velocity in any 60 s: 5 signatures -> 6 signatures",
        "Tighter velocity in any 60 s: 6 signatures -> 5 signatures",
    );
    both(
        POLICY,
        &limited("not_before: 2026-01-01T00:00:00Z"),
        "Tighter not_before:  -> 2026-01-01T00:00:00Z",
        "Looser not_before: 2026-01-01T00:00:00Z -> ",
    );
    both(
        POLICY,
        &limited("not_after: 2026-01-01T00:00:00Z"),
        "Tighter not_after:  -> 2026-01-01T00:00:00Z",
        "Looser not_after: 2026-01-01T00:00:00Z -> ",
    );
    both(
        POLICY,
        &limited("merchants: { domains: [a.example] }"),
        "Tighter merchants.domains a.example:  -> listed",
        "Looser merchants.domains a.example: listed -> ",
    );
    both(
        &limited("merchants: { domains: [a.example] }"),
        &limited("merchants: { domains: [a.example, b.example] }"),
        "Looser merchants.domains b.example:  -> listed",
        "Tighter merchants.domains b.example: listed -> ",
    );
}

#[test]
fn what_may_be_both_is_only_changed_and_the_looser_come_first() {
    let hours = |from: &str| {
        with(&format!(
            "  active_hours: {{ timezone: UTC, spans: [{{ days: [mon], from: \"{from}\", to: \"10:00\" }}] }}\n"
        ))
    };
    assert_eq!(
        changes(&hours("08:00"), &hours("09:00")),
        ["Changed active_hours: mon 08:00-10:00 (UTC) -> mon 09:00-10:00 (UTC)"]
    );
    let other = swap(SHOP, STRANGER).replace("chains: [base, base-sepolia]", "chains: [base-sepolia]");
    let directions = |body: &str| -> Vec<Direction> {
        let parse = |body: &str| Policy::parse(body.as_bytes()).unwrap();
        diff(&parse(POLICY), &parse(body)).into_iter().map(|change| change.direction).collect()
    };
    assert_eq!(directions(&other), [Direction::Looser, Direction::Tighter, Direction::Tighter]);
}

#[test]
fn lines_of_calls_typed_data_and_messages_are_told_whole() {
    let new = with(&format!(
        "  calls: [{{ chain: base, contract: \"{SHOP}\", label: x, function: \"f(uint256)\", arguments: [{{ at: 0, at_most: \"9\" }}] }}]\n  \
         typed_data: [{{ label: x, domain: {{ name: N, chain: base }}, type: \"T(bool b)\", fields: [{{ path: b, one_of: [\"true\"] }}] }}]\n  \
         messages: {{ sign_in: [{{ domain: a.example, chain: base, max_lifetime_s: 60 }}], texts: [{{ label: x, pattern: \"^a$\" }}] }}\n"
    ));
    assert_eq!(
        changes(POLICY, &new),
        [
            format!("Looser calls base {SHOP} f(uint256) with argument 0 at most 9:  -> listed"),
            "Looser typed_data T(bool b) name N chain base with b one of true:  -> listed".to_owned(),
            "Looser messages.sign_in a.example on base for at most 60 s:  -> listed".to_owned(),
            "Looser messages.texts ^a$:  -> listed".to_owned(),
        ]
    );
}

#[test]
fn tiers_come_tighter_go_looser_and_otherwise_change() {
    let tiers = |instant: &str| {
        with(&format!(
            "  tiers: [{{ asset: USDC, chain: base, instant: \"{instant}\", delay: \"4\", delay_s: 60 }}]\n  \
             approval: {{ threshold: 1, approvers: [ann], timeout_s: 600 }}\n"
        ))
    };
    assert_eq!(
        changes(POLICY, &tiers("1")),
        [
            "Tighter tiers USDC on base:  -> at once up to 1 USDC, held 60 s up to 4 USDC, approved above",
            "Tighter approval approvers:  -> 1 of ann in 600 s",
        ]
    );
    assert_eq!(
        changes(&tiers("1"), &tiers("2")),
        [
            "Changed tiers USDC on base: at once up to 1 USDC, held 60 s up to 4 USDC, approved above -> at once up to 2 USDC, \
          held 60 s up to 4 USDC, approved above"
        ]
    );
}
