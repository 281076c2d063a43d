//! Conditions are met to the letter, and everything else is a no.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeMap;
use std::thread;

use quorate_conditions::{
    Condition, Conditions, Kind, MAX_BRACKETS, MAX_BYTES, MAX_CONDITIONS, MAX_NAMES, MAX_TEXT, Part, Refused,
};

const CONFIDENT: &str = r#"context.confidence.greaterThan(decimal("0.8"))"#;

fn read(metadata: &[(&str, Kind)], texts: &[&str]) -> Result<Conditions, Refused> {
    let metadata: Vec<_> = metadata.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect();
    let called = |(at, text): (usize, &&str)| Condition { label: format!("c{at}"), text: (*text).to_owned() };
    Conditions::parse(&metadata, texts.iter().enumerate().map(called).collect())
}

fn said(said: &[(&str, &str)]) -> BTreeMap<String, String> {
    said.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn told(conditions: &Conditions, said_: &[(&str, &str)]) -> Vec<String> {
    conditions.unmet("agent-1", &said(said_)).iter().map(ToString::to_string).collect()
}

const NONE: [String; 0] = [];

#[test]
fn a_decimal_is_held_to_its_last_place() {
    let conditions = read(&[("confidence", Kind::Decimal)], &[CONFIDENT]).unwrap();
    for enough in ["0.8001", "0.81", "1", "1.0", "99999999999999.9999"] {
        assert_eq!(told(&conditions, &[("confidence", enough)]), NONE, "{enough}");
    }
    for little in ["0.8", "0.80", "0.7999", "0", "-0.9", "-99999999999999.9999"] {
        assert_eq!(told(&conditions, &[("confidence", little)]), ["\"c0\" does not hold"], "{little}");
    }
}

#[test]
fn what_is_not_said_or_not_of_its_type_is_not_met() {
    let table: &[(Kind, &[&str])] = &[
        (
            Kind::Decimal,
            &[
                "",
                "-",
                "high",
                ".9",
                "9.",
                "0.80001",
                "1e3",
                "NaN",
                "0,9",
                " 1.0",
                "+1",
                "--1",
                "0x1",
                "100000000000000",
            ],
        ),
        (Kind::Integer, &["", "1.0", "+1", "01", "-0", " 1", "9223372036854775808", "one"]),
        (Kind::Boolean, &["", "True", "1", "yes", "true "]),
        (Kind::Text, &[&"x".repeat(MAX_TEXT + 1)]),
    ];
    for (kind, bad) in table {
        let conditions = read(&[("x", *kind), ("ok", Kind::Boolean)], &["context.ok"]).unwrap();
        let unsaid = [format!("x is not said as {kind}")];
        assert_eq!(told(&conditions, &[("ok", "true")]), unsaid);
        for text in *bad {
            assert_eq!(told(&conditions, &[("ok", "true"), ("x", text)]), unsaid, "{text}");
        }
    }
    let nothing = read(&[("a", Kind::Text), ("b", Kind::Integer)], &["context.b > 1"]).unwrap();
    assert_eq!(told(&nothing, &[]), ["a is not said as a text", "b is not said as an integer"]);
    // What nobody declared is not read.
    assert_eq!(told(&nothing, &[("a", ""), ("b", "2"), ("c", "\u{202e}")]), NONE);
}

#[test]
fn every_condition_must_hold_and_each_that_does_not_is_named() {
    let kinds = [("purpose", Kind::Text), ("retries", Kind::Integer), ("reviewed", Kind::Boolean)];
    let texts = ["context.reviewed", "context.retries <= 3", r#"!(context.purpose like "*refund*")"#];
    let conditions = read(&kinds, &texts).unwrap();
    let told = |purpose, retries, reviewed| {
        told(&conditions, &[("purpose", purpose), ("retries", retries), ("reviewed", reviewed)])
    };
    assert_eq!(told("invoice", "3", "true"), NONE);
    assert_eq!(told("invoice", "4", "true"), ["\"c1\" does not hold"]);
    assert_eq!(told("invoice", "-9223372036854775808", "false"), ["\"c0\" does not hold"]);
    assert_eq!(
        told("a refund", "4", "false"),
        ["\"c0\" does not hold", "\"c1\" does not hold", "\"c2\" does not hold"]
    );
}

/// Cedar leaves out what fails, and forbids nothing by it. Here that must be a no.
#[test]
fn a_condition_that_fails_on_the_spot_is_not_met() {
    let kinds = [("retries", Kind::Integer)];
    let conditions =
        read(&kinds, &["context.retries < 9", "context.retries * 4611686018427387904 >= 0"]).unwrap();
    assert_eq!(told(&conditions, &[("retries", "1")]), NONE);
    let unmet = told(&conditions, &[("retries", "8")]);
    assert!(unmet.len() == 1 && unmet[0].starts_with("\"c1\" cannot be told: "), "{unmet:?}");
    let both = told(&conditions, &[("retries", "9")]);
    assert!(both.len() == 2 && both[0] == "\"c0\" does not hold", "{both:?}");
}

#[test]
fn what_could_not_be_asked_is_refused_when_it_is_read() {
    let kinds = [("confidence", Kind::Decimal), ("n", Kind::Integer)];
    for bad in [
        "",
        "context",
        "context.n",
        "context.trust > 1",
        "context.confidence > 1",
        r#"context.confidence.greaterThan(decimal("0.80001"))"#,
        r#"context.confidence.greaterThan("0.8")"#,
        "context.n == \"1\"",
        "context.n > 9223372036854775808",
        "principal in Group::\"x\"",
        "principal.age > 1",
        "principal == ?principal",
        "permit (principal, action, resource);",
        // Nothing can end here and go on as something else.
        "context.n > 1 } unless { false",
        "false }; permit (principal, action, resource) when { true",
        // Always so, or never anything else: a line that decides nothing is a mistake.
        "true",
        "context has n",
        // Nothing unseen.
        "context.n > 1\n",
        "context.n\t> 1",
        "context.n > 1 // \u{202e}",
        "context.n == 1 || context.confidence == decimal(\"\u{0660}.0\")",
    ] {
        let refused = read(&kinds, &["context.n > 1", bad]).expect_err(bad);
        assert_eq!(refused.part, Part::Condition(1), "{bad}: {refused}");
        assert!(!refused.reason.is_empty());
    }
    // A remark at the end takes nothing with it.
    assert!(read(&kinds, &["context.n > 1 // and no more"]).is_ok());
}

#[test]
fn names_are_plain_and_told_once_and_words_of_the_language_are_names() {
    for (bad, at) in [
        (&[("Confidence", Kind::Text)][..], 0),
        (&[("x", Kind::Text), ("", Kind::Text)], 1),
        (&[("x\": Bool }", Kind::Text)], 0),
        (&[("x", Kind::Text), ("x", Kind::Integer)], 1),
        (&[("é", Kind::Text)], 0),
    ] {
        assert_eq!(read(bad, &["context.x == \"1\""]).unwrap_err().part, Part::Name(at), "{bad:?}");
    }
    let words =
        [("context", Kind::Integer), ("in", Kind::Integer), ("if", Kind::Integer), ("0", Kind::Integer)];
    let texts = ["context.context + context[\"in\"] + context[\"if\"] + context[\"0\"] == 10"];
    let conditions = read(&words, &texts).unwrap();
    assert_eq!(told(&conditions, &[("context", "1"), ("in", "2"), ("if", "3"), ("0", "4")]), NONE);
}

#[test]
fn two_conditions_of_one_name_are_refused() {
    let line = |text: &str| Condition { label: "same".to_owned(), text: text.to_owned() };
    let kinds = [("n".to_owned(), Kind::Integer)];
    let refused = Conditions::parse(&kinds, vec![line("context.n > 1"), line("context.n > 2")]).unwrap_err();
    assert_eq!(refused.part, Part::Condition(1));
}

#[test]
fn there_are_few_of_them_and_they_are_short() {
    let names: Vec<String> = (0..=MAX_NAMES).map(|n| format!("n{n}")).collect();
    let kinds: Vec<_> = names.iter().map(|name| (name.as_str(), Kind::Integer)).collect();
    assert!(read(&kinds[..MAX_NAMES], &["context.n0 > 1"]).is_ok());
    assert_eq!(read(&kinds, &["context.n0 > 1"]).unwrap_err().part, Part::Whole);
    let most = vec!["context.n0 > 1"; MAX_CONDITIONS + 1];
    assert!(read(&kinds[..1], &most[1..]).is_ok());
    assert_eq!(read(&kinds[..1], &most).unwrap_err().part, Part::Whole);
    assert_eq!(read(&kinds[..1], &[]).unwrap_err().part, Part::Whole);
    let padded = |length: usize| format!("{:length$}", "context.n0 > 1");
    assert!(read(&kinds[..1], &[&padded(MAX_BYTES)]).is_ok());
    assert!(read(&kinds[..1], &[&padded(MAX_BYTES + 1)]).is_err());
}

/// As deep as the bounds let a condition go, on half of the stack that a thread has.
#[test]
fn the_deepest_condition_needs_little_stack() {
    let repeat = |open: &str, middle: &str, close: &str, times| {
        format!("{}{middle}{}", open.repeat(times), close.repeat(times))
    };
    let many =
        |part: &str, last: &str| format!("{}{last}", part.repeat((MAX_BYTES - last.len()) / part.len()));
    let deep = [
        repeat("(", "context.b", ")", MAX_BRACKETS),
        repeat("!(", "context.b", ")", MAX_BRACKETS),
        repeat("[", "1", "].isEmpty()", MAX_BRACKETS / 2),
        many("context.b||", "context.b"),
        many("context.b&&", "context.b"),
        many("1+", "1<context.n"),
        many("if context.b then context.b else ", "context.b"),
        many("1==1==", "1"),
        format!("context{}", ".b".repeat((MAX_BYTES - 7) / 2)),
        format!("context.b{}", " ".repeat(MAX_BYTES - 9)),
        many("-", "1<context.n"),
        many("!", "context.b"),
        "(".repeat(MAX_BRACKETS),
        "{".repeat(MAX_BRACKETS),
    ];
    let ask = move || {
        let kinds = [("b", Kind::Boolean), ("n", Kind::Integer)];
        let read = deep.iter().map(|text| read(&kinds, &[text]));
        let read: Vec<_> = read.collect();
        let met = read
            .iter()
            .flatten()
            .map(|conditions| told(conditions, &[("b", "true"), ("n", "512")]).is_empty());
        (met.filter(|met| *met).count(), read.len())
    };
    let (met, of) = thread::Builder::new().stack_size(1024 * 1024).spawn(ask).unwrap().join().unwrap();
    assert!(met >= 6 && of == 14, "{met} of {of}");
    // Deeper is not even read.
    let kinds = [("b", Kind::Boolean)];
    assert!(read(&kinds, &[&repeat("(", "context.b", ")", MAX_BRACKETS + 1)]).is_err());
}

#[test]
fn the_same_question_has_the_same_answer_on_every_thread() {
    let kinds = [("n", Kind::Integer), ("t", Kind::Text)];
    let texts: Vec<String> =
        (0..MAX_CONDITIONS).map(|n| format!("context.n * {} < {n}", i64::MAX / 8)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let ask = || {
        let conditions = read(&kinds, &texts).unwrap();
        [-9, 0, 1, 7, 9].map(|n| told(&conditions, &[("n", &n.to_string()), ("t", "x")]))
    };
    let first = ask();
    thread::scope(|scope| {
        for handle in (0..4).map(|_| scope.spawn(ask)).collect::<Vec<_>>() {
            assert_eq!(handle.join().unwrap(), first);
        }
    });
}
