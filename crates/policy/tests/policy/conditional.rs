//! Conditions over metadata, by the gateway's word.

use std::collections::BTreeMap;

use quorate_policy::{Decision, Direction, Facts, Policy, Severity, diff, evaluate_stateless, lint};

use crate::rig::{
    AGENT, BASE_SEPOLIA, NOW_S, PAYER, SHOP, STRANGER, address, signed, transfer, wallet, with,
};

const LINES: &str = r#"  conditions:
    metadata: [{ name: confidence, type: decimal }, { name: retries, type: integer }]
    require:
      - { label: sure enough, cedar: 'context.confidence.greaterThan(decimal("0.8"))' }
      - { label: no endless loop, cedar: context.retries * 3074457345618258603 <= 9223372036854775807 }
"#;

fn told(said: Option<&[(&str, &str)]>, to: &str) -> Vec<String> {
    let metadata: Option<BTreeMap<String, String>> =
        said.map(|said| said.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect());
    let (intent, wallet) = (transfer(BASE_SEPOLIA, to, 1), wallet());
    let facts = Facts::of(&wallet, &AGENT, address(PAYER), &intent, NOW_S * 1000);
    let facts = Facts { metadata: metadata.as_ref(), ..facts };
    match evaluate_stateless(Some(&signed(&with(LINES))), &facts) {
        Decision::Allow(_) => Vec::new(),
        Decision::Deny(denial) => denial.failures.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn what_meets_every_condition_is_let_pass() {
    for confidence in ["0.8001", "0.81", "1"] {
        assert_eq!(told(Some(&[("confidence", confidence), ("retries", "2")]), SHOP), Vec::<String>::new());
    }
}

#[test]
fn at_the_boundary_it_is_denied_and_the_condition_named() {
    assert_eq!(
        told(Some(&[("confidence", "0.8"), ("retries", "0"), ("note", "x")]), SHOP),
        ["conditions: by the gateway's word, \"sure enough\" does not hold (limit \
          context.confidence.greaterThan(decimal(\"0.8\")), requested confidence \"0.8\", retries \"0\")"]
    );
}

#[test]
fn what_is_not_said_and_what_cannot_be_told_is_denied() {
    assert_eq!(
        told(Some(&[("retries", "many")]), SHOP),
        [
            "conditions: by the gateway's word, confidence is not said as a number of at most four places (limit \
             confidence, a number of at most four places, requested retries \"many\")",
            "conditions: by the gateway's word, retries is not said as an integer (limit retries, an integer, requested \
             retries \"many\")",
        ]
    );
    assert!(told(Some(&[]), SHOP)[0].ends_with("requested nothing)"));
    let overflow = told(Some(&[("confidence", "0.9"), ("retries", "4")]), SHOP);
    assert_eq!(overflow.len(), 1);
    assert!(
        overflow[0].starts_with("conditions: by the gateway's word, \"no endless loop\" cannot be told: "),
        "{overflow:?}"
    );
    let both = told(Some(&[("confidence", "0.7"), ("retries", "4")]), SHOP);
    assert_eq!(both.len(), 2, "{both:?}");
}

#[test]
fn a_process_that_is_not_told_does_not_ask_and_nothing_is_allowed_by_it() {
    assert_eq!(told(None, SHOP), Vec::<String>::new());
    let refused = told(Some(&[("confidence", "1.0"), ("retries", "0")]), STRANGER);
    assert!(refused.len() == 1 && refused[0].starts_with("recipients: "), "{refused:?}");
}

#[test]
fn what_could_not_be_asked_is_refused_when_the_policy_is_read() {
    for (from, to, path) in [
        ("context.confidence", "context.trust", "rules.conditions.require[0]: "),
        ("type: decimal", "type: text", "rules.conditions.require[0]: "),
        ("name: confidence", "name: Confidence", "rules.conditions.metadata[0].name: expected a name"),
        ("name: retries", "name: confidence", "rules.conditions.metadata[1].name: listed twice"),
        ("<= 9223372036854775807", "", "rules.conditions.require[1]: "),
        ("no endless loop", "sure enough", "rules.conditions.require[1]: another condition is called so"),
        ("no endless loop", "\"\"", "rules.conditions.require[1].label: "),
        ("type: integer", "type: float", ""),
    ] {
        assert!(LINES.contains(from), "{from}");
        let text = with(&LINES.replace(from, to));
        let refused = Policy::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(refused.starts_with(path), "{to}: {refused}");
        let found = lint(text.as_bytes());
        assert_eq!(found[0].severity, Severity::Error, "{to}");
        assert!(format!("{}: {}", found[0].path, found[0].message).starts_with(path), "{to}: {found:?}");
    }
    let none = "  conditions: { metadata: [{ name: confidence, type: decimal }], require: [] }\n";
    assert!(
        Policy::parse(with(none).as_bytes())
            .unwrap_err()
            .to_string()
            .starts_with("rules.conditions: expected 1")
    );
}

#[test]
fn one_more_condition_is_tighter_and_one_less_is_looser() {
    let parse = |lines: &str| Policy::parse(with(lines).as_bytes()).unwrap();
    let changes = |old: &str, new: &str| {
        let changes = diff(&parse(old), &parse(new));
        changes.into_iter().map(|change| (change.direction, change.field)).collect::<Vec<_>>()
    };
    let fields = [
        "conditions.metadata confidence, a number of at most four places",
        "conditions.metadata retries, an integer",
        "conditions.require context.confidence.greaterThan(decimal(\"0.8\"))",
        "conditions.require context.retries * 3074457345618258603 <= 9223372036854775807",
    ];
    assert_eq!(changes("", LINES), fields.map(|field| (Direction::Tighter, field.to_owned())));
    assert_eq!(changes(LINES, ""), fields.map(|field| (Direction::Looser, field.to_owned())));
    // What it is called is no change. A lower bar is told as the line that goes and the one that comes.
    assert_eq!(changes(LINES, &LINES.replace("sure enough", "confident")), []);
    let lower = changes(LINES, &LINES.replace("0.8\"", "0.7\""));
    assert_eq!(
        lower.iter().map(|(way, _)| *way).collect::<Vec<_>>(),
        [Direction::Looser, Direction::Tighter]
    );
}
